"""JSON that every reader takes, printed or written whole."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

from pose_estimation_ros.core.errors import ConfigurationError

# A list of numbers that json has spread over lines; strings have no line breaks.
_VECTOR = re.compile(r'\[\n\s+([^\[\]{}"]*?)\n\s+\]')


def without_nan(value: Any) -> Any:
    """Return nested lists and mappings with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def json_text(value: Any) -> str:
    """Return a value as indented JSON, with vectors on one line."""
    text = json.dumps(without_nan(value), indent=2, allow_nan=False)
    return _VECTOR.sub(lambda match: f'[{" ".join(match.group(1).split())}]', text)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and the folders above it, under a temporary name and rename it.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f'{path} cannot be written: {error.strerror}; choose another '
                                 'place') from error
