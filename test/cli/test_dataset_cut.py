"""`pose-estimation dataset cut`: coloured crops out of stored frames."""

import pytest
from typer.testing import CliRunner

pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.synthetic.crop_samples import read_crop_shard
from pose_estimation_ros.synthetic.frame_cache import write_frame_shards


def run(folder, frames, *more):
    return CliRunner().invoke(app, ['dataset', 'cut', str(folder), '--frames', str(frames),
                                    '--processes', '1', *more], catch_exceptions=False)


def test_each_shard_of_frames_becomes_one_of_crops_and_is_gone_on_with(tmp_path):
    frames, out = tmp_path / 'frames', tmp_path / 'crops'
    write_frame_shards(frames, 2, 'primary', 'val', (240, 180), shard_size=1)
    answer = run(out, frames, '--points', '64')
    assert answer.exit_code == 0
    assert '2/2' in answer.output
    first = out / 'shard_00000.npz'
    crops = read_crop_shard(first)
    assert crops.points.shape[1:] == (64, 3)
    assert crops.colored.all()
    written = first.stat().st_mtime_ns
    assert run(out, frames, '--points', '64').exit_code == 0
    assert first.stat().st_mtime_ns == written


def test_a_folder_without_frames_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match='holds no frame shards; make some with'):
        run(tmp_path / 'crops', tmp_path)
