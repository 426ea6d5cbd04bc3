"""Folders of shards: made by a cluster as by one process, and only what is missing."""

from functools import partial

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.crops import read_crop_shard, write_crop_shards
from pose_estimation_ros.synthetic.shard_files import Workers, list_shards, write_shards


def numbered(number):
    return {'number': np.array(number)}


def faulty(number):
    if number == 2:
        raise ConfigurationError('two does not work; leave it out')
    return numbered(number)


def test_what_was_finished_before_a_fault_is_kept(tmp_path):
    with pytest.raises(ConfigurationError, match='two does not work'):
        write_shards(tmp_path, 4, {'kind': 'numbers'}, faulty)
    assert [path.name for path in list_shards(tmp_path)] == ['shard_00000.npz', 'shard_00001.npz']
    seen = []
    write_shards(tmp_path, 4, {'kind': 'numbers'}, numbered,
                 Workers(report=lambda done, total: seen.append((done, total))))
    assert seen == [(2, 4), (3, 4), (4, 4)]
    assert [int(np.load(path)['number']) for path in list_shards(tmp_path)] == [0, 1, 2, 3]
    assert not list(tmp_path.glob('*.partial'))


def test_what_a_killed_process_left_is_removed_once_its_shard_is_there(tmp_path):
    stale = tmp_path / 'shard_00000.npz.machine.17.partial'
    others = tmp_path / 'shard_00007.npz.machine.17.partial'
    stale.write_bytes(b'half')
    others.write_bytes(b'half')
    write_shards(tmp_path, 1, {'kind': 'numbers'}, numbered)
    assert not stale.exists()
    assert others.exists()


def test_a_cluster_makes_the_same_shards_as_one_process(tmp_path):
    distributed = pytest.importorskip('distributed', reason='Dask, an option, is not installed')
    pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')
    write = partial(write_crop_shards, count=4, domain='primary', split='val', point_count=64,
                    shard_size=2)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                  host='127.0.0.1') as running:
        paths = write(tmp_path / 'there', workers=Workers(cluster=running.scheduler_address))
    for path, here in zip(paths, write(tmp_path / 'here'), strict=True):
        np.testing.assert_array_equal(read_crop_shard(path).points, read_crop_shard(here).points)
