"""`pose-estimation dataset candidates`: what a detector finds becomes training data."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')
pytest.importorskip('torch', reason='PyTorch is for training, a node does not need it')

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.synthetic.frame_cache import write_frame_shards
from pose_estimation_ros.training.classifier_samples import read_candidates


def run(frames, out, *more):
    return CliRunner().invoke(app, ['dataset', 'candidates', '--frames', str(frames), '--out',
                                    str(out), '--processes', '1', *more], catch_exceptions=False)


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp('frames')
    write_frame_shards(folder, 2, 'primary', 'val', resolution=(320, 240), shard_size=1)
    return folder


def test_each_shard_of_frames_becomes_one_of_candidates(frames, tmp_path):
    answer = run(frames, tmp_path / 'out')
    assert answer.exit_code == 0
    assert '2/2' in answer.output
    found = read_candidates(tmp_path / 'out')
    assert len(found) > 0
    assert set(found.target) <= set(range(len(CATEGORIES) + 1))
    assert found.points.shape[0] == found.scores.shape[0] == len(found)
    first = tmp_path / 'out' / 'shard_00000.npz'
    written = first.stat().st_mtime_ns
    assert run(frames, tmp_path / 'out').exit_code == 0
    assert first.stat().st_mtime_ns == written


def test_frames_in_which_nothing_is_found_give_an_empty_shard(frames, tmp_path, monkeypatch):
    monkeypatch.setattr('pose_estimation_ros.segmentation.mask_rcnn.MaskRCNNSegmenter.candidates',
                        lambda *_: [])
    run(frames, tmp_path)
    found = read_candidates(tmp_path)
    assert len(found) == 0
    assert found.points.shape[2] == found.colors.shape[2] == found.up.shape[1] == 3
    assert (found.points.dtype, found.colors.dtype) == (np.float32, np.uint8)


def test_wrong_frames_and_models_are_named(frames, tmp_path):
    with pytest.raises(ConfigurationError, match='holds no frames; make some with'):
        run(tmp_path, tmp_path / 'out')
    with pytest.raises(ModelError, match='unknown model'):
        run(frames, tmp_path / 'out', '--detector', 'none')
    with pytest.raises(ModelError, match='is made for pose, not for segmentation'):
        run(frames, tmp_path / 'out', '--detector', 'spd_lite')
    crops = tmp_path / 'crops'
    crops.mkdir()
    (crops / 'shard_00000.npz').touch()
    with pytest.raises(ConfigurationError, match='crops/description.json does not say what'):
        run(crops, tmp_path / 'out')
    (crops / 'description.json').write_text('{"kind": "crops"}')
    with pytest.raises(ConfigurationError, match='holds crops, but frames are needed'):
        run(crops, tmp_path / 'out')
    others = tmp_path / 'others'
    others.mkdir()
    (others / 'shard_00000.npz').touch()
    (others / 'description.json').write_text(json.dumps(
        {'kind': 'frames', 'categories': [CATEGORIES[0].as_plain()]}))
    with pytest.raises(ConfigurationError, match='others shows bottle, but the classifier is for'):
        run(others, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
