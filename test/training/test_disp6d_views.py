"""Objects in known rotations: drawn, cut out of frames, and what is to be decoded of them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')

from disp6d_views import store_turned, turned_objects

from pose_estimation_ros.backends.disp6d_translation import turned_to_ray
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.synthetic.frame_cache import read_frames, write_frame_shards
from pose_estimation_ros.synthetic.object_model import make_object
from pose_estimation_ros.synthetic.random_parts import random_part
from pose_estimation_ros.training.disp6d_view_making import (
    drawn,
    write_turned_from_frames,
    write_turned_parts,
)
from pose_estimation_ros.training.disp6d_views import TARGET_VIEW, TargetRenderer, TurnedShards


def test_targets_give_the_shape_back() -> None:
    size = np.array([0.12, 0.06, 0.04])
    # A third of a turn: the long side goes away from the camera.
    R = axis_rotation((0.0, 1.0, 0.0), [0.0, np.pi / 2])
    front, side = TargetRenderer([box(size)]).targets([0, 0], R)
    unit = size / np.linalg.norm(size)
    for target, depth in ((front, unit[2]), (side, unit[0])):
        value = target.depth.astype(np.float32) / 255
        points = TARGET_VIEW.points(value)
        assert points[:, 2].min() == pytest.approx(-depth / 2, abs=2e-3)
        np.testing.assert_array_equal(target.depth < 255, target.shade > 0)
    points = TARGET_VIEW.points(front.depth.astype(np.float32) / 255)
    face = points[points[:, 2] < -0.49 * unit[2]]
    np.testing.assert_allclose(np.ptp(face[:, :2], axis=0), unit[:2], atol=0.02)
    np.testing.assert_allclose(face[:, :2].mean(axis=0), 0, atol=0.004)


def test_no_turn_of_a_long_thing_leaves_its_target() -> None:
    R = axis_rotation((0.1, 1.0, 0.0), np.linspace(0, np.pi, 12))
    for target in TargetRenderer([box((0.3, 0.01, 0.01))]).targets([0] * 12, R):
        border = np.concatenate([target.shade[[0, -1]].ravel(), target.shade[:, [0, -1]].ravel()])
        assert target.shade.any() and not border.any()


def test_drawn_pictures_fill_their_frame_and_have_the_same_outline_as_their_targets() -> None:
    generator = np.random.default_rng(0)
    R = axis_rotation((1.0, 0.0, 0.0), [0.0, 0.5])
    for (rgb, mask, bounds), rotation in zip(drawn(box((0.1, 0.05, 0.02)), R, generator), R,
                                             strict=True):
        assert rgb.shape == (192, 192, 3) and mask.shape == (192, 192)
        extent = bounds[2:] - bounds[:2]
        assert extent.max() == pytest.approx(0.66 * 192, abs=2)
        np.testing.assert_allclose(bounds[:2] + bounds[2:], 192, atol=3)
        assert extent[0] / extent[1] == pytest.approx(
            0.1 / (0.05 * rotation[1, 1] + 0.02 * abs(rotation[1, 2])), rel=0.15)
        assert (rgb[mask == 0] == 0).all() and (rgb[mask == 1].max(axis=1) > 0).mean() > 0.9


def test_paint_and_light_differ_from_picture_to_picture() -> None:
    pictures = [item.rgb for item in turned_objects()]
    colors = np.array([picture[picture.any(axis=2)].mean(axis=0) for picture in pictures])
    assert colors.std(axis=0).min() > 5


def test_stored_objects_are_read_as_they_were_written(tmp_path: Path) -> None:
    shards = TurnedShards(store_turned(tmp_path / 'turned'))
    assert len(shards) == 6 and len(set(shards.name)) == 2
    for number, written in enumerate(turned_objects()):
        read = shards[number]
        np.testing.assert_array_equal(read.mask, written.mask)
        np.testing.assert_array_equal(read.target.depth, written.target.depth)
        np.testing.assert_array_equal(read.target.shade, written.target.shade)
        np.testing.assert_array_equal(read.R, written.R)
        assert read.name == written.name
        assert np.abs(read.rgb.astype(int) - written.rgb).mean() < 3


def test_objects_are_cut_out_of_frames_as_they_are_seen(tmp_path: Path) -> None:
    frames = write_frame_shards(tmp_path / 'frames', 2, 'primary', 'val', (160, 120),
                                shard_size=2)
    shards = TurnedShards(
        write_turned_from_frames(tmp_path / 'turned', tmp_path / 'frames')[0].parent)
    truth = [(frame, instance) for frame in read_frames(frames[0])
             for instance in frame.instances]
    assert 0 < len(shards) <= len(truth)
    for number in range(len(shards)):
        item = shards[number]
        frame, instance = next((frame, instance) for frame, instance in truth
                               if instance.name == item.name and np.allclose(item.R, turned_to_ray(
                                   instance.T_camera_object[:3, 3]).T
                                   @ instance.T_camera_object[:3, :3]))
        assert item.mask.sum() == (frame.instance_map == instance.id).sum()
        rows, columns = np.nonzero(item.mask)
        np.testing.assert_allclose(item.box, [columns.min(), rows.min(), columns.max() + 1,
                                              rows.max() + 1])
    assert shards.description['categories'][0] == 'bottle'


def test_frames_of_other_meshes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match='holds no frame shards'):
        write_turned_from_frames(tmp_path / 'turned', tmp_path / 'frames')


def test_parts_are_many_and_never_in_two_splits() -> None:
    parts = [random_part(split, number) for split in ('train', 'val') for number in range(8)]
    extents = [np.ptp(part.bounds, axis=0) for part in parts]
    assert len({tuple(extent) for extent in extents}) == len(parts)
    for part, extent in zip(parts, extents, strict=True):
        assert 0.005 < extent.max() < 0.5 and np.isfinite(part.vertices).all()
        np.testing.assert_allclose(part.bounds.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(random_part('train', 5).vertices, parts[5].vertices)
    # Every fourth is a thing of the scenes.
    np.testing.assert_array_equal(parts[0].vertices,
                                  make_object('distractor', 0, 'primary').mesh.vertices)


def test_the_command_draws_parts(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ['dataset', 'turned', str(tmp_path / 'parts'), '--count',
                                      '16', '--views', '1', '--split', 'val', '--processes', '1'])
    assert answer.exception is None
    shards = TurnedShards(tmp_path / 'parts')
    assert len(shards) == 16 and shards.name[3] == 'val_3'
    assert shards.description['categories'] == []
    with pytest.raises(ConfigurationError, match='views'):
        write_turned_parts(tmp_path / 'parts', 16, 2, 'val')


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    folder = store_turned(tmp_path / 'turned')
    next(folder.glob('shard_*')).unlink()
    with pytest.raises(ConfigurationError, match='pose-estimation dataset turned'):
        TurnedShards(folder)
