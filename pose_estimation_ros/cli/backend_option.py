"""The option that chooses the method which estimates the poses."""

from __future__ import annotations

from pose_estimation_ros.backends.registry import BUILT_IN, backend_names

BACKEND_HELP = (f'Method that estimates the poses: {", ".join(BUILT_IN)}, or one of an installed '
                'package.')


def complete_backend(incomplete: str) -> list[str]:
    """Return the installed methods that begin so, for the completion of command lines."""
    return [name for name in backend_names() if name.startswith(incomplete)]
