
import numpy as np
import pytest
import torch

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.segmentation.preprocessing import (
    InputSize,
    detector_input,
    stack_channels,
)
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame
from pose_estimation_ros.training.maskrcnn_augmentation import (
    augment_color,
    augment_depth,
    place_occluders,
)
from pose_estimation_ros.training.maskrcnn_data import (
    collate,
    instance_targets,
    random_view,
    training_sample,
    whole_view,
)

SIZE = InputSize(80, 60)


def frame(visibility: float = 1.0) -> SyntheticFrame:
    """A bottle at the left and a mug at the right of a 160x120 picture, at 0.8 m."""
    instances = np.zeros((120, 160), np.int16)
    instances[20:80, 10:40] = 1
    instances[40:80, 90:130] = 2
    rgb = np.full((120, 160, 3), 90, np.uint8)
    rgb[instances == 1] = (200, 30, 30)
    depth = np.where(instances > 0, 0.8, 1.2).astype(np.float32)
    camera = CameraIntrinsics.pinhole(160, 120, 150, 150, 80, 60)
    return SyntheticFrame(
        RGBDFrame(0, 'camera', rgb, depth, camera), depth, instances,
        tuple(Instance(number, category, category, np.eye(4), np.ones(3), seen, {},
                       np.array(box, float), 1.0)
              for number, category, seen, box in ((1, 'bottle', 1.0, (10, 20, 40, 80)),
                                                  (2, 'mug', visibility, (90, 40, 130, 80)))))


def test_targets_of_the_whole_view_are_the_visible_boxes_at_input_size():
    target = instance_targets(whole_view(frame(), SIZE))
    assert target['boxes'].tolist() == [[5, 10, 20, 40], [45, 20, 65, 40]]
    assert target['labels'].tolist() == [1, 6]
    assert target['masks'].sum((1, 2)).tolist() == [15 * 30, 20 * 20]


def test_the_whole_view_is_what_the_detector_gets_at_run_time():
    view = whole_view(frame(), SIZE)
    np.testing.assert_allclose(stack_channels(view.rgb, view.depth, view.intrinsics),
                               detector_input(frame().frame, SIZE), atol=1e-6)


def test_hardly_visible_objects_are_ignored_not_learnt():
    target = instance_targets(whole_view(frame(visibility=0.05), SIZE))
    assert target['labels'].tolist() == [1]
    assert target['ignored_boxes'].tolist() == [[45, 20, 65, 40]]


def test_objects_that_become_tiny_are_ignored():
    target = instance_targets(whole_view(frame(), InputSize(20, 15)))
    assert target['labels'].tolist() == []
    assert len(target['ignored_boxes']) == 2


@pytest.mark.parametrize('seed', range(12))
def test_a_random_view_moves_picture_labels_and_camera_together(seed):
    view = random_view(frame(), SIZE, np.random.default_rng(seed))
    assert view.rgb.shape == (60, 80, 3)
    red = view.rgb[..., 0] > 180
    bottle = view.instances == 1
    red_edge_free = red & (view.rgb[..., 1] < 50)
    assert np.count_nonzero(red_edge_free & ~bottle) <= 0.1 * max(np.count_nonzero(bottle), 1)
    for number, columns in ((1, (10, 40)), (2, (90, 130))):
        _, found = np.nonzero(view.instances == number)
        if found.size == 0 or found.min() == 0 or found.max() == 79:
            continue
        # The object's edges along x, as rays of the camera, are those of the full picture.
        rays = (np.array([found.min() - 0.5, found.max() + 0.5]) - view.intrinsics.cx) / (
            view.intrinsics.fx)
        expected = (np.array([columns[0] - 0.5, columns[1] - 0.5]) - 80) / 150
        mirrored = -expected[::-1]
        error = min(np.abs(rays - expected).max(), np.abs(rays - mirrored).max())
        assert error < 1.5 / view.intrinsics.fx


def test_samples_repeat_with_the_seed():
    first, second = (training_sample(frame(), SIZE, np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1]['boxes'], second[1]['boxes'])


def test_a_tenth_to_a_sixth_of_the_samples_has_no_depth():
    generator = np.random.default_rng(0)
    depth = np.ones((6, 8), np.float32)
    missing = sum(augment_depth(depth, generator) is None for _ in range(1500))
    assert 0.09 < missing / 1500 < 0.15


def test_augmented_depth_stays_positive_and_near():
    generator = np.random.default_rng(1)
    depth = np.full((60, 80), 0.8, np.float32)
    for _ in range(60):
        changed = augment_depth(depth, generator)
        if changed is not None:
            known = changed[np.isfinite(changed)]
            assert (np.abs(known - 0.8) < 0.1).all()


def test_augmented_colour_keeps_shape_and_type_and_changes_the_picture():
    picture = frame()
    generator = np.random.default_rng(2)
    changed = [augment_color(picture.frame.rgb, picture.instance_map, generator)
               for _ in range(20)]
    assert all(c.shape == picture.frame.rgb.shape and c.dtype == np.uint8 for c in changed)
    assert sum(np.abs(c.astype(int) - picture.frame.rgb).mean() > 2 for c in changed) > 12


def test_occluders_lie_before_the_scene_and_hide_the_labels():
    picture = frame()
    rgb, depth, instances = place_occluders(
        picture.frame.rgb, picture.frame.depth, picture.instance_map, np.random.default_rng(0))
    covered = depth != picture.frame.depth
    assert covered.sum() > 64
    assert (depth[covered] < picture.frame.depth[covered]).all()
    assert (instances[covered] == 0).all()
    np.testing.assert_array_equal(instances[~covered], picture.instance_map[~covered])
    assert (rgb[covered] != picture.frame.rgb[covered]).any()


def test_batches_keep_a_list_of_targets():
    samples = [training_sample(frame(), SIZE, np.random.default_rng(k)) for k in range(3)]
    images, targets = collate(samples)
    assert images.shape == (3, 8, 60, 80)
    assert len(targets) == 3
