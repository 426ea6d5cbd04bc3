"""What the package aims at in speed, and the published implementations that it is measured by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pose_estimation_ros.evaluation.report import format_value
from pose_estimation_ros.evaluation.stored_tables import read_table

_NOTHING = 'not measured'


@dataclass(frozen=True)
class Cell:
    """A place in a stored table.

    Attributes:
        table: Name of the table.
        row: Values by which the row is found.
        column: Head of the column.
    """

    table: str
    row: Mapping[str, object]
    column: str

    def value(self, results: Path) -> float | None:
        """Return the figure, None if it was not measured."""
        stored = read_table(results, self.table)
        rows = () if stored is None else stored.rows
        for entry in rows:
            if all(entry.get(key) == value for key, value in self.row.items()):
                found = entry.get(self.column)
                return None if found is None else float(found)
        return None


@dataclass(frozen=True)
class SpeedAim:
    """One aim.

    Attributes:
        what: What is measured.
        least: What must be reached.
        wanted: What should be reached.
        command: What prints the figure.
        measured: Returns the figure as text, from the folder of stored tables.
    """

    what: str
    least: str
    wanted: str
    command: str
    measured: Callable[[Path], str]


@dataclass(frozen=True)
class PublishedTime:
    """A published implementation, measured on two cores of this kind elsewhere.

    Attributes:
        what: What is evaluated.
        published: Milliseconds.
        plain: Returns the time of a plain evaluation of the same on this machine, as text.
        ours: Returns ours.
        outputs: What says that the outputs are the same.
    """

    what: str
    published: float
    plain: Callable[[Path], str]
    ours: Callable[[Path], str]
    outputs: str


def _figure(cell: Cell, unit: str) -> Callable[[Path], str]:
    def text(results: Path) -> str:
        value = cell.value(results)
        return _NOTHING if value is None else f'{format_value(value)}{unit}'
    return text


def _one_of(first: Callable[[Path], str], second: Callable[[Path], str],
            join: str) -> Callable[[Path], str]:
    return lambda results: join.format(first(results), second(results))


def _nothing(_: Path) -> str:
    return '–'


_MS = 'median, ms per object'
_PLAIN, _OURS = 'plain evaluation', 'ours, exported'


def _full(network: str, objects: int, way: str, column: str) -> Cell:
    return Cell('full_speed', {'network': network, 'objects': objects, 'evaluation': way}, column)


def _ratio(over: float, cell: Cell) -> Callable[[Path], str]:
    def text(results: Path) -> str:
        value = cell.value(results)
        return _NOTHING if not value else f'{over / value:.3g}x'
    return text


def _alignment(way: str, column: str) -> Cell:
    return Cell('alignment_speed', {'outliers': '60%', 'way': way}, column)


_BATCH, _ONE = 'ours, one batch', 'published rule, one trial at a time'
AIMS = (
    SpeedAim('whole path, CR-Net lite, 6 objects, 640x480: one frame after another / overlapping',
             '5 frames/s', '12 frames/s', 'pose-estimation benchmark stages',
             _one_of(_figure(Cell('stages', {'stage': 'frames/s, one after another'}, 'crnet'),
                             ''),
                     _figure(Cell('stages', {'stage': 'frames/s, overlapping'}, 'crnet'),
                             ' frames/s'), '{} / {}')),
    SpeedAim('the same over DDS, camera of 30 Hz', '5 frames/s', '12 frames/s',
             'pose-estimation benchmark running_node',
             _figure(Cell('running_node', {'backend': 'crnet'}, 'frames/s'), ' frames/s')),
    SpeedAim('full networks, share of the matrix rate: SPD / CR-Net, 4 objects', '60 %', '85 %',
             'pose-estimation benchmark full_speed',
             _one_of(_figure(_full('SPD', 4, _OURS, 'share of the matrix rate, %'), ' %'),
                     _figure(_full('CR-Net', 4, _OURS, 'share of the matrix rate, %'), ' %'),
                     '{} / {}')),
    SpeedAim('SPD / CR-Net full against a plain evaluation here, 4 objects', '1.2x / 1.6x',
             '1.6x / 2.5x', 'pose-estimation benchmark full_speed',
             _one_of(_figure(_full('SPD', 4, _OURS, 'times as fast as plain'), 'x'),
                     _figure(_full('CR-Net', 4, _OURS, 'times as fast as plain'), 'x'),
                     '{} / {}')),
    SpeedAim('the same against the published figures (222 / 790 ms)', '1.2x / 1.6x',
             '1.6x / 2.5x', 'pose-estimation benchmark full_speed',
             _one_of(_ratio(222.0, _full('SPD', 4, _OURS, _MS)),
                     _ratio(790.0, _full('CR-Net', 4, _OURS, _MS)), '{} / {}')),
    SpeedAim('lite network against the published full one, CR-Net, 4 objects', '10x', '25x',
             'pose-estimation benchmark full_speed',
             _ratio(790.0, _full('CR-Net', 4, 'crnet_lite, network', _MS))),
    SpeedAim('alignment, 6 objects, 60 % outliers, against the published 13 ms', '10x', '40x',
             'pose-estimation benchmark alignment_speed',
             _figure(_alignment(_BATCH, 'times as fast as published elsewhere'), 'x')),
    SpeedAim('node over the bare pipeline at 640x480', '8 ms', '3 ms',
             'pose-estimation benchmark node_overhead',
             _figure(Cell('node_overhead', {'what': 'difference, frame by frame'}, 'median, ms'),
                     ' ms')),
    SpeedAim('memory of the running node, CR-Net lite', '600 MB', '350 MB',
             'pose-estimation benchmark running_node',
             _figure(Cell('running_node', {'backend': 'crnet'}, 'most memory, MB'), ' MB')),
    SpeedAim('start of the process to the first pose, CR-Net lite', '5 s', '2 s',
             'pose-estimation benchmark running_node',
             _figure(Cell('running_node', {'backend': 'crnet'}, 'start to first pose, s'), ' s')),
    SpeedAim('H200: Mask R-CNN full and 6 objects of CR-Net / MRC-Net full', '10 / 15 ms',
             '3 / 5 ms', '–', lambda _: 'no GPU was at hand'),
)


def _mrc(crops: int, way: str) -> Cell:
    return Cell('mrc_full_speed', {'crops': crops, 'evaluation': way}, 'wall, ms per crop')


def _solver(way: str) -> Cell:
    return Cell('neural_mesh_solver', {'stage': 'whole solver', 'way': way}, 'wall, ms')


def _encoder(way: str) -> Cell:
    return Cell('disp6d_encoder', {'crops': 1, 'evaluation': way}, 'median, ms per crop')


_PARITY = 'equal: fixtures in test/'
PUBLISHED = (
    *(PublishedTime(f'{name}, {objects} {"object" if objects == 1 else "objects"}: one object',
                    published, _figure(_full(name, objects, _PLAIN, _MS), ' ms'),
                    _figure(_full(name, objects, _OURS, _MS), ' ms'), _PARITY)
      for name, times in (('SPD', {1: 165.0, 4: 222.0}), ('CR-Net', {1: 479.0, 4: 790.0}))
      for objects, published in times.items()),
    PublishedTime('alignment, 1024 points, 60 % outliers: one object of 6', 13.0,
                  _figure(_alignment(_ONE, _MS), ' ms'), _figure(_alignment(_BATCH, _MS), ' ms'),
                  'equal with equal samples: test/core/test_alignment.py'),
    PublishedTime('MRC-Net without its renderer: one crop', 572.0,
                  _figure(_mrc(1, 'plain'), ' ms'), _figure(_mrc(1, _OURS), ' ms'), _PARITY),
    PublishedTime('C2F, solver: one object', 75600.0, _nothing,
                  _figure(_solver('ours'), ' ms'),
                  'another search; the loss reached is in the table below'),
    PublishedTime('DISP6D, encoder: one crop', 17.9, _figure(_encoder('PyTorch'), ' ms'),
                  _figure(_encoder(_OURS), ' ms'), _PARITY),
)
