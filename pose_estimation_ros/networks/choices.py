"""Checks that what a network is configured to be is among its choices."""

from __future__ import annotations

from collections.abc import Mapping

from pose_estimation_ros.core.errors import ConfigurationError


def check_choices(config: object, network: str, choices: Mapping[str, tuple[object, ...]]) -> None:
    """Check attributes of a configuration.

    Args:
        config: The configuration.
        network: What it configures, for the message.
        choices: The values that each attribute may have, by its name.

    Raises:
        ConfigurationError: If one has another value.
    """
    for name, allowed in choices.items():
        value = getattr(config, name)
        if value not in allowed:
            raise ConfigurationError(f'{network} has no {name} {value!r}; choose one of '
                                     f'{", ".join(map(str, allowed))}')
