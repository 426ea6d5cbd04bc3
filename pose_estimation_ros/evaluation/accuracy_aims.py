"""What was asked of the shipped models, and the stored figure that answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pose_estimation_ros.evaluation.stored_tables import read_table

_EVALUATE = 'pose-estimation evaluate data/frames/{domain}/test'
_VISIBLE = f'{_EVALUATE} --visibility 0.4'
_TRUE_MASKS = f'{_EVALUATE} --masks truth --protocol nocs --backend {{backend}}'


@dataclass(frozen=True)
class Measured:
    """A figure of an aim: its text, and whether the least that was asked for is reached."""

    text: str
    is_reached: bool


Measure = Callable[[Path], Measured | None]


@dataclass(frozen=True)
class Aim:
    """One thing that was asked.

    Attributes:
        what: In full.
        short: For the README.
        least: What was asked for at least.
        aim: What was hoped for.
        command: What measures it.
        measure: Returns the figure from the folder of results, None if there is none.
    """

    what: str
    short: str
    least: str
    aim: str
    command: str
    measure: Measure


def _found(domain: str, least: float) -> Measure:
    def measure(results: Path) -> Measured | None:
        table = read_table(results, f'{domain}/spd_lite/whole-path/found-objects')
        if table is None:
            return None
        share, count = table.value('all', 'found, %'), table.value('all', 'objects')
        return Measured(f'{share:.0f} % of {count:.0f}', share >= least)
    return measure


def _medians(domain: str, degrees: float, centimetres: float) -> Measure:
    def measure(results: Path) -> Measured | None:
        table = read_table(results, f'{domain}/spd_lite/whole-path/found-objects')
        if table is None:
            return None
        rotation = table.value('all', 'median rotation of found, °')
        translation = table.value('all', 'median translation of found, cm')
        return Measured(f'{rotation:.1f}°, {translation:.2f} cm',
                        rotation <= degrees and translation <= centimetres)
    return measure


def _pose_shares(name: str, prefix: str, tight: float, wide: float) -> Measure:
    """Return the mean over categories at 5°2cm and 10°5cm in a table.

    Args:
        name: Of the table.
        prefix: Of the two columns.
        tight: Least share at 5°2cm, percent.
        wide: Least share at 10°5cm, percent.
    """
    def measure(results: Path) -> Measured | None:
        table = read_table(results, name)
        if table is None:
            return None
        shares = [table.value('mean', f'{prefix}{limit}, %') for limit in ('5°2cm', '10°5cm')]
        return Measured(f'{shares[0]:.0f} % / {shares[1]:.0f} %',
                        shares[0] >= tight and shares[1] >= wide)
    return measure


def _confidence(name: str, least: float) -> Measure:
    def measure(results: Path) -> Measured | None:
        table = read_table(results, name)
        if table is None:
            return None
        area = table.value('all', 'AUC')
        return Measured(f'{area:.3f}', area >= least)
    return measure


def _frame_rate(results: Path) -> Measured | None:
    table = read_table(results, 'speed/frame_rate')
    if table is None:
        return None
    rate = float(str(table.facts['frames per second']))
    return Measured(f'{rate:.1f} frames/s', rate >= 3.0)


def _lite_milliseconds(backend: str, most: float) -> Measure:
    def measure(results: Path) -> Measured | None:
        table = read_table(results, 'speed/lite_speed')
        if table is None or backend not in [row['backend'] for row in table.rows]:
            return None
        median = table.value(backend, 'network + alignment: median, ms')
        return Measured(f'{median:.0f} ms', median <= most)
    return measure


def _real(backend: str) -> Measure:
    def measure(results: Path) -> Measured | None:
        table = read_table(results, f'real/{backend}/real_frames')
        if table is None:
            return None
        texts, reached = [], True
        for row in table.rows:
            if row['shown'] not in ('mug', 'bowl'):
                continue
            if row['found'] == '-':
                texts.append(f'{row["shown"]} not found')
                reached = False
                continue
            angle, offset = float(row['up axis off, °']), float(row['centre off centroid, cm'])
            texts.append(f'{row["shown"]} {angle:.1f}°, {offset:.1f} cm')
            reached &= row['found'] == row['shown'] and angle <= 8.0 and offset <= 3.0
        return Measured('; '.join(texts), reached) if texts else None
    return measure


_FIRST_MILESTONE = (
    Aim('visible objects (over 40 %) of simulated test scenes found with the right category',
        'visible objects of unseen simulated scenes found with the right category',
        '80 %', '95 %', f'{_VISIBLE.format(domain="primary")} --out runs/whole',
        _found('primary', 80.0)),
    Aim('of those: median rotation, translation error through the whole path',
        'of those: median rotation, translation error', '6°, 1.2 cm', '3°, 0.5 cm',
        f'{_VISIBLE.format(domain="primary")} --out runs/whole', _medians('primary', 6.0, 1.2)),
    Aim('found in the second, differently made domain', 'found in the second domain', '–', '–',
        f'{_VISIBLE.format(domain="second")} --out runs/second', _found('second', 0.0)),
    Aim("SPD lite, true masks with a detector's errors, 5°2cm / 10°5cm",
        "SPD lite under true masks with a detector's errors: 5°2cm / 10°5cm",
        '70 % / 88 %', '90 % / 97 %',
        f'{_VISIBLE.format(domain="primary")} --masks errors --out runs/errors',
        _pose_shares('primary/spd_lite/mask-errors/pose-recall', 'recall ', 70.0, 88.0)),
    Aim('the same in the second domain', 'the same in the second domain', '55 % / 80 %',
        '80 % / 93 %', f'{_VISIBLE.format(domain="second")} --masks errors --out runs/errors2',
        _pose_shares('second/spd_lite/mask-errors/pose-recall', 'recall ', 55.0, 80.0)),
    Aim('rate with 6 objects, 640x480, pipeline without ROS',
        'frames per second, 640x480, 6 objects, without ROS', '3 frames/s', '10 frames/s',
        'pose-estimation benchmark frame_rate -- --objects 6', _frame_rate),
    Aim("real frames, mug and bowl: +y off the table's normal, centre off the cloud's centroid",
        "recorded frames: +y off the table's normal, centre off the cloud's centroid",
        '8°, 3 cm', '4°, 1.5 cm', 'pose-estimation benchmark real_frames', _real('spd')),
)


def _aims_of(title: str, backend: str) -> tuple[Aim, ...]:
    """Return what was asked of a method that builds on SPD."""
    model = f'{backend}_lite'
    return (
        Aim(f'{title} lite, true masks, nocs-compat: 5°2cm / 10°5cm',
            f'{title} lite under true masks, nocs-compat: 5°2cm / 10°5cm',
            '78 % / 92 %', '93 % / 98 %',
            f'{_TRUE_MASKS.format(domain="primary", backend=backend)} --out runs/{backend}',
            _pose_shares(f'primary/{model}/true-masks/nocs-compat', '', 78.0, 92.0)),
        Aim(f'{title} lite, the same in the second domain',
            f'{title} lite, the same in the second domain', '62 % / 84 %', '85 % / 95 %',
            f'{_TRUE_MASKS.format(domain="second", backend=backend)} --out runs/{backend}2',
            _pose_shares(f'second/{model}/true-masks/nocs-compat', '', 62.0, 84.0)),
        *(Aim(f'{title} lite, {domain} domain, objects {which}: the same',
              f'{title} lite, {domain} domain, objects {which}: the same',
              least, hoped, f'{_TRUE_MASKS.format(domain=domain, backend=backend)} '
              f'--visibility 0.4 {option}--out runs/{backend}-{domain}-{folder}',
              _pose_shares(f'{domain}/{model}/true-masks-{folder}/nocs-compat', '', *wanted))
          for folder, which, option in (
              ('visible', 'over 40 % visible', ''),
              ('standing', 'over 40 % visible that stand', '--standing '))
          for domain, least, hoped, wanted in (
              ('primary', '78 % / 92 %', '93 % / 98 %', (78.0, 92.0)),
              ('second', '62 % / 84 %', '85 % / 95 %', (62.0, 84.0)))),
        Aim(f'{title} lite, AUC of the confidence for an error above 10° or 2 cm',
            f'{title} lite, AUC of the confidence for an error above 10° or 2 cm',
            '0.85', '0.95', f'{_EVALUATE.format(domain="primary")} --masks truth '
            f'--backend {backend} --out runs/{backend}-poses',
            _confidence(f'primary/{model}/true-masks/confidence', 0.85)),
        Aim(f'{title} lite, 6 objects as one batch, 2 cores: network and alignment',
            f'{title} lite, 6 objects as one batch, 2 cores: network and alignment',
            '150 ms', '60 ms', f'pose-estimation benchmark lite_speed -- --backends {backend}',
            _lite_milliseconds(backend, 150.0)),
        Aim(f"{title} lite, real frames, mug and bowl: +y off the table's normal, centre off the "
            "cloud's centroid", f'{title} lite, recorded frames: the same', '8°, 3 cm',
            '4°, 1.5 cm', f'pose-estimation benchmark real_frames -- --backend {backend}',
            _real(backend)),
    )


# By the name that the template gives them.
AIMS: dict[str, tuple[Aim, ...]] = {
    'first': _FIRST_MILESTONE,
    'crnet-acr': (*_aims_of('CR-Net', 'crnet'), *_aims_of('ACR-Pose', 'acr')),
}
