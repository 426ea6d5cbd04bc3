"""Which samples make the batch of a step, as a function of seed and step alone.

Nothing is remembered from step to step, so a resumed run, any number of data workers, and any
number of processes that share the batch see the same samples with the same augmentation. Batches
are made of grains, small groups with random numbers of their own; processes share whole grains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError


@dataclass(frozen=True)
class Draw:
    """Consecutive samples of one data source, counted over the whole training.

    Attributes:
        source: Number of the source.
        first: How many samples of it came before.
        count: How many come now.
        seed: Seed of the source's order.
    """

    source: int
    first: int
    count: int
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Grain:
    """A few slots of a batch.

    Attributes:
        draws: Where their samples come from.
        generator: Source of all that is random about them.
    """

    draws: tuple[Draw, ...]
    generator: np.random.Generator


@dataclass(frozen=True)
class BatchRequest:
    """What is wanted for one step.

    Attributes:
        step: The step, counted from the start of the training.
        stage_step: The step, counted from the start of the stage.
        size: Samples of the whole batch, over all processes.
        seed: Seed of the training.
        ratio: Shares of the data sources; () = one source.
        before: Samples that earlier stages drew from each source; () = none.
        rank: Which process asks.
        ranks: How many share the batch.
    """

    step: int
    stage_step: int
    size: int
    seed: int = 0
    ratio: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    rank: int = 0
    ranks: int = 1

    def grains(self, size: int) -> Iterator[Grain]:
        """Yield the grains of this process's share.

        Args:
            size: Slots of a grain; it divides the batch.

        Raises:
            ConfigurationError: If the grains cannot be shared equally.
        """
        for number in self._own(size):
            yield Grain(self._draws(number * size, size), self._generator(number))

    def first_of_groups(self, size: int) -> Iterator[Grain]:
        """Yield grains of one draw of one sample, which the caller makes a group of.

        Sources are mixed by groups: a group is of one source.

        Args:
            size: Slots of a group; it divides the batch.

        Raises:
            ConfigurationError: As `grains`.
        """
        before = tuple(count // size for count in self.before)
        groups = replace(self, size=self.size // size, before=before)
        for number in self._own(size):
            yield Grain(groups._draws(number, 1), self._generator(number))

    def drawn_before(self) -> list[int]:
        """Return how many samples of each source all earlier steps took."""
        return self._drawn(self.stage_step * self.size)

    def _own(self, size: int) -> range:
        """Return the numbers of the grains of that size which are this process's share."""
        share, rest = divmod(self.size, size * self.ranks)
        if rest:
            raise ConfigurationError(
                f'a batch of {self.size} cannot be shared by {self.ranks} processes in groups of '
                f'{size}; choose a multiple of {size * self.ranks} as --batch')
        return range(self.rank * share, (self.rank + 1) * share)

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.step, number))

    def _drawn(self, position: int) -> list[int]:
        ratio = self.ratio or (1,)
        before = self.before or (0,) * len(ratio)
        return [start + count for start, count in zip(before, drawn(position, ratio), strict=True)]

    def _draws(self, slot: int, count: int) -> tuple[Draw, ...]:
        position = self.stage_step * self.size + slot
        edges = zip(self._drawn(position), self._drawn(position + count), strict=True)
        return tuple(Draw(source, start, end - start, (self.seed, source))
                     for source, (start, end) in enumerate(edges) if end > start)


def drawn(position: int, ratio: tuple[int, ...]) -> list[int]:
    """Return how many of the first `position` samples come from each source.

    Any sum(ratio) consecutive samples hold the ratio exactly.
    """
    pattern = _pattern(ratio)
    cycles, rest = divmod(position, len(pattern))
    return [cycles * pattern.count(source) + pattern[:rest].count(source)
            for source in range(len(ratio))]


@lru_cache(maxsize=16)
def _pattern(ratio: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sources of sum(ratio) consecutive samples, each spread evenly."""
    total = sum(ratio)
    chosen: list[int] = []
    for position in range(1, total + 1):
        lag = [share * position / total - chosen.count(source)
               for source, share in enumerate(ratio)]
        chosen.append(lag.index(max(lag)))
    return tuple(chosen)


class PassOrder:
    """Every item once per pass, each pass in an order of its own."""

    def __init__(self, count: int) -> None:
        """Order `count` items."""
        self._count = count

    def items(self, draw: Draw) -> NDArray[np.intp]:
        """Return the (draw.count,) items of a draw."""
        number = np.arange(draw.first, draw.first + draw.count)
        passes, place = np.divmod(number, self._count)
        return np.array([_permutation((*draw.seed, int(turn)), self._count)[spot]
                         for turn, spot in zip(passes, place, strict=True)], dtype=np.intp)


class WeightedOrder:
    """Items at random, each with a probability of its own."""

    def __init__(self, weights: NDArray[np.floating]) -> None:
        """Take the (count,) probabilities, up to a common factor."""
        total = np.cumsum(weights, dtype=np.float64)
        self._edges = total / total[-1]

    def items(self, draw: Draw) -> NDArray[np.intp]:
        """Return the (draw.count,) items of a draw."""
        chance = np.random.default_rng((*draw.seed, draw.first)).random(draw.count)
        return np.searchsorted(self._edges, chance, side='right')


def parse_ratio(text: str, sources: int) -> tuple[int, ...]:
    """Return the shares of a text such as '3:1'; '' gives every source the same.

    Raises:
        ConfigurationError: If there are not as many positive whole numbers as sources.
    """
    shares = text.split(':') if text else ['1'] * sources
    if len(shares) != sources or not all(share.isdecimal() for share in shares) or not any(
            int(share) for share in shares):
        raise ConfigurationError(f'the ratio {text!r} must have one whole number for each of the '
                                 f'{sources} data sources, such as 3:1')
    return tuple(int(share) for share in shares)


@lru_cache(maxsize=16)
def _permutation(seed: tuple[int, ...], count: int) -> NDArray[np.intp]:
    return np.random.default_rng(seed).permutation(count)
