"""Samples that are made while the training runs."""

import functools
import time
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.training.batch_plan import Draw
from pose_estimation_ros.training.synthetic_stream import SyntheticStream


def make_shard(number: int) -> dict[str, np.ndarray]:
    return {'value': 10 * number + np.arange(4)}


def fail(number: int) -> dict[str, np.ndarray]:
    raise ValueError(f'no objects for shard {number}')


@pytest.fixture
def open_stream(tmp_path: Path):
    """Return a function that opens a stream over the same folder."""
    opened = []

    def open_one(make=make_shard, makers: int = 1) -> SyntheticStream:
        opened.append(SyntheticStream(tmp_path, make, shard_size=4, window=2, reuse=2.0,
                                      makers=makers))
        return opened[-1]

    yield open_one
    for stream in opened:
        stream.close()


def values(stream: SyntheticStream, first: int) -> list[int]:
    draw = Draw(0, first, 3, (5, 0))
    joined = np.concatenate([np.load(path)['value'] for path in stream.paths(draw)])
    return joined[stream.items(draw)].tolist()


def test_the_window_moves_on_as_samples_are_drawn(open_stream, tmp_path: Path):
    stream = open_stream()
    stream.advance(0, 16)
    # The first samples wait for one shard only.
    assert set(values(stream, 0)) <= {0, 1, 2, 3}
    early = values(stream, 5) + values(stream, 7)
    assert set(early) <= {0, 1, 2, 3, 10, 11, 12, 13}
    assert max(early) >= 10
    # Four samples drawn twice each: the window begins at shard 2.
    late = values(stream, 16)
    assert set(late) <= {20, 21, 22, 23, 30, 31, 32, 33}
    stream.advance(16, 16)
    assert not (tmp_path / 'shard_000001.npz').exists()
    assert (tmp_path / 'shard_000002.npz').exists()


def test_a_resumed_run_draws_the_same_samples(open_stream, tmp_path: Path):
    first = open_stream()
    first.advance(0, 8)
    expected = values(first, 8)
    first.close()
    for path in tmp_path.glob('*.npz'):
        path.unlink()
    again = open_stream(makers=2)
    again.advance(8, 8)
    assert values(again, 8) == expected


def test_a_fault_of_the_makers_reaches_who_waits(open_stream):
    stream = open_stream(fail)
    stream.advance(0, 0)
    with pytest.raises(ConfigurationError, match=r'ValueError: no objects for shard \d'):
        values(stream, 0)


def test_a_draw_waits_for_a_slow_maker(open_stream, tmp_path: Path):
    slow = functools.partial(_slowly, tmp_path / 'started')
    stream = open_stream(slow)
    stream.advance(0, 0)
    assert set(values(stream, 0)) <= {0, 1, 2, 3}
    assert (tmp_path / 'started').exists()


def _slowly(sign: Path, number: int) -> dict[str, np.ndarray]:
    sign.touch()
    time.sleep(0.1)
    return make_shard(number)
