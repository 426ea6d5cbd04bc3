"""Shards over processes and over a cluster: order, faults and deaths."""

import os
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import shard_work

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.distribution import LostShardError, map_shards


@pytest.fixture(scope='module')
def cluster():
    """Return the address of a scheduler with two worker processes on this machine."""
    distributed = pytest.importorskip('distributed', reason='Dask, an option, is not installed')
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                  host='127.0.0.1') as running:
        yield running.scheduler_address


@pytest.fixture(params=['here', 'processes', 'cluster'])
def place(request):
    """Return the arguments of `map_shards` that say where to work."""
    if request.param == 'cluster':
        return {'cluster': request.getfixturevalue('cluster')}
    return {'processes': {'here': 1, 'processes': 2}[request.param]}


def test_results_come_in_the_order_of_the_items_and_progress_ends_at_the_total(place):
    seen = []
    results = map_shards(shard_work.square, [3, 1, 2, 2], **place,
                         report=lambda done, total: seen.append((done, total)))
    assert results == [9, 1, 4, 4]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_no_items_are_no_work(place):
    assert map_shards(shard_work.square, [], **place) == []


def test_a_fault_in_a_shard_is_raised_as_it_was(place):
    with pytest.raises(InvalidInputError, match='two is not wanted'):
        map_shards(shard_work.refuse_two, [0, 1, 2, 3], **place)


def test_one_process_works_in_this_one_and_others_do_not(cluster):
    assert map_shards(shard_work.process_id, [0]) == [os.getpid()]
    for place in ({'processes': 2}, {'cluster': cluster}):
        assert os.getpid() not in map_shards(shard_work.process_id, [0, 1], **place)


@pytest.mark.parametrize('where', ['processes', 'cluster'])
def test_a_worker_that_dies_loses_only_its_shard_which_is_done_again(where, tmp_path, request):
    place = ({'processes': 2} if where == 'processes'
             else {'cluster': request.getfixturevalue('cluster')})
    function = partial(shard_work.square_or_die_once, str(tmp_path))
    assert map_shards(function, list(range(6)), **place) == [0, 1, 4, 9, 16, 25]
    assert (tmp_path / 'died').exists()


def test_a_shard_that_always_kills_its_process_is_named_and_the_others_are_finished():
    done = []
    with pytest.raises(LostShardError, match=r'1 of 3 shards died 3 times \(1\)'):
        map_shards(shard_work.square_or_die, [0, 1, 2], processes=2,
                   report=lambda count, total: done.append(count))
    assert done == [1, 2]


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    pytest.importorskip('distributed', reason='Dask, an option, is not installed')
    monkeypatch.setattr('pose_estimation_ros.distribution.tasks._CONNECT_SECONDS', 0.5)
    with pytest.raises(ConfigurationError, match=r"no Dask scheduler answers at 'tcp://127"):
        map_shards(shard_work.square, [1], cluster='tcp://127.0.0.1:9')


def test_an_address_that_is_none_is_named():
    pytest.importorskip('distributed', reason='Dask, an option, is not installed')
    with pytest.raises(ConfigurationError, match='no Dask scheduler answers'):
        map_shards(shard_work.square, [1], cluster='nonsense://here')


def test_without_dask_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'distributed', None)
    with pytest.raises(ConfigurationError, match=r'pip install .dask\[distributed\]'):
        map_shards(shard_work.square, [1], cluster='tcp://127.0.0.1:9')


def test_a_worker_writes_where_it_is_told(cluster, tmp_path):
    map_shards(partial(shard_work.write_file, str(tmp_path)), [1, 2, 3], cluster=cluster)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['1', '2', '3']
