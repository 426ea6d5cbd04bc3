"""Which seeds belong to which split, so that no instance is in two of them.

A seed belongs to exactly one split by its remainder modulo 10: 0 to 7 train, 8 val, 9 test. The
rule holds for every category and both domains; the number of instances asked for does not change
it.
"""

from __future__ import annotations

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ConfigurationError

DISTRACTOR = 'distractor'
# What a solid can be besides an object; no category may be called so.
ROOM_ROLES = ('table', 'floor', 'wall')
BACKGROUND_ROLES = (*ROOM_ROLES, 'clutter')
OBJECT_CATEGORIES: tuple[str, ...] = (*CATEGORY_NAMES, DISTRACTOR)

_PERIOD = 10
_REMAINDERS: dict[str, tuple[int, ...]] = {
    'train': (0, 1, 2, 3, 4, 5, 6, 7),
    'val': (8,),
    'test': (9,),
}
SPLITS: tuple[str, ...] = tuple(_REMAINDERS)


def split_of_seed(seed: int) -> str:
    """Return the split that instance `seed` belongs to."""
    remainder = seed % _PERIOD
    return next(split for split, chosen in _REMAINDERS.items() if remainder in chosen)


def instance_seed(split: str, index: int) -> int:
    """Return the seed of the `index`-th instance (from 0) of a split.

    Raises:
        ConfigurationError: Unknown split.
    """
    if split not in _REMAINDERS:
        raise ConfigurationError(f'unknown split {split!r}; choose one of {", ".join(SPLITS)}')
    chosen = _REMAINDERS[split]
    turn, place = divmod(index, len(chosen))
    return _PERIOD * turn + chosen[place]
