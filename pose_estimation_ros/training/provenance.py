"""What a checkpoint's notes tell about how it was made, for the manifest of its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def training_facts(notes: Mapping[str, Any], step: int) -> dict[str, Any]:
    """Return steps, samples, minutes, and of every call: command, data, seed, commit, machine.

    Args:
        notes: Of a checkpoint; runs of earlier versions know less.
        step: Its step.
    """
    facts: dict[str, Any] = {'steps': step}
    if 'images' in notes:
        facts['samples'] = notes['images']
    if 'seconds' in notes:
        facts['minutes'] = round(notes['seconds'] / 60, 1)
    history = notes.get('history', [])
    for name, title in (('command', 'commands'), ('data', 'data'), ('seed', 'seed'),
                        ('commit', 'commit'), ('machine', 'machine'), ('processes', 'processes')):
        values = [call[name] for call in history if name in call]
        values = [value for place, value in enumerate(values) if value not in values[:place]]
        if values:
            # Interrupted runs are continued by the same command.
            facts[title] = values if title == 'commands' or len(values) > 1 else values[0]
    return facts
