"""Where training samples come from: what is stored, or what is rendered meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder
from pose_estimation_ros.synthetic.object_source import ObjectSource, ProceduralObjects
from pose_estimation_ros.training.batch_plan import BatchRequest, Draw, PassOrder, WeightedOrder
from pose_estimation_ros.training.checkpoints import check_network, trained_weights
from pose_estimation_ros.training.synthetic_stream import SyntheticStream

SYNTHETIC = 'synthetic'
DOMAINS = ('primary', 'second')

Items = NDArray[np.intp]


class SampleSource(Protocol):
    """Samples to draw from; what they are is between source and task."""

    def samples(self, draw: Draw) -> Any:
        """Return the samples of a draw, together."""

    def advance(self, now: int, ahead: int) -> None:
        """Prepare the samples from the `now`-th up to the `ahead`-th that is drawn."""

    def close(self) -> None:
        """Free what is held."""


class StoredSamples:
    """Samples that are all there."""

    def __init__(self, take: Callable[[Items], Any], order: PassOrder | WeightedOrder) -> None:
        """Take the function from indices to samples, and the order to draw them in."""
        self._take, self._order = take, order

    def samples(self, draw: Draw) -> Any:
        """Return the samples of a draw."""
        return self._take(self._order.items(draw))

    def advance(self, now: int, ahead: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class RenderedSamples:
    """Samples that are made while the training runs."""

    def __init__(self, stream: SyntheticStream,
                 take: Callable[[tuple[Path, ...], Items], Any]) -> None:
        """Take the stream, and the function from shards and indices to samples."""
        self._stream, self._take = stream, take

    def samples(self, draw: Draw) -> Any:
        """Return the samples of a draw."""
        return self._take(tuple(self._stream.paths(draw)), self._stream.items(draw))

    def advance(self, now: int, ahead: int) -> None:
        """Make shards ahead."""
        self._stream.advance(now, ahead)

    def close(self) -> None:
        """End the makers."""
        self._stream.close()


class SourcedTask:
    """The part of a `TrainingTask` that most networks share; looks after the sources.

    Attributes:
        network: Name of the network.
    """

    network: str

    def __init__(self, sources: Sequence[SampleSource]) -> None:
        """Take the sources, one per share of the data ratio."""
        self._sources = sources

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of a checkpoint of the same network.

        Raises:
            ModelError: If it is of another one.
        """
        check_network(content, self.network, path)
        return trained_weights(content)

    def advance(self, now: BatchRequest, ahead: BatchRequest) -> None:
        """Let the sources prepare what is soon drawn."""
        for source, first, last in zip(self._sources, now.drawn_before(), ahead.drawn_before(),
                                       strict=True):
            source.advance(first, last)

    def close(self) -> None:
        """Close the sources."""
        for source in self._sources:
            source.close()


@dataclass(frozen=True)
class SyntheticWorld:
    """What is rendered while training.

    Attributes:
        domain: 'primary' or 'second'.
        objects: The objects to be found.
        name: For folders.
    """

    domain: str
    objects: ObjectSource
    name: str


def synthetic_world(source: str) -> SyntheticWorld | None:
    """Return what 'synthetic', 'synthetic:<domain>' or 'synthetic:<mesh folder>' means.

    Returns:
        None for anything else, which is stored data.

    Raises:
        ConfigurationError: If there is neither a domain nor a folder of that name.
        InvalidInputError: If a mesh of the folder cannot be used.
    """
    name, _, world = source.partition(':')
    if name != SYNTHETIC:
        return None
    if world in ('', *DOMAINS):
        domain = world or DOMAINS[0]
        return SyntheticWorld(domain, ProceduralObjects(domain), domain)
    if not Path(world).is_dir():
        raise ConfigurationError(f'{source!r}: there is no folder of meshes {world}; give one, or '
                                 f'one of the domains {", ".join(DOMAINS)}')
    return SyntheticWorld(DOMAINS[0], open_mesh_folder(Path(world)), Path(world).name)


def data_path(source: str) -> tuple[Path, str]:
    """Return folder and split of 'folder' or 'folder:split'.

    Raises:
        ConfigurationError: If there is no such folder.
    """
    path, split = Path(source), ''
    if not path.exists() and ':' in source:
        folder, _, split = source.rpartition(':')
        path = Path(folder)
    if not path.is_dir():
        raise ConfigurationError(f'there is no folder {path} to train on; give that of the data, '
                                 "or, where the network can, 'synthetic' to render meanwhile")
    return path, split
