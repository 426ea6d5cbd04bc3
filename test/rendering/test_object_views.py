"""Pictures of single objects: turned ones equal those of a turned camera."""

import numpy as np
import pytest

pytest.importorskip('open3d', reason='objects are drawn with Open3D, which is optional')

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.rendering.object_views import ObjectCamera, turned_boxes, turned_crop
from pose_estimation_ros.rendering.primitives import box

CROP = 64


@pytest.fixture(scope='module')
def camera() -> ObjectCamera:
    mesh = box([0.1, 0.06, 0.04]).transformed(np.array(
        [[1, 0, 0, 0.3], [0, 1, 0, -0.1], [0, 0, 1, 0.2], [0, 0, 0, 1.0]]))
    colors = np.random.default_rng(0).integers(60, 255, mesh.vertices.shape).astype(np.uint8)
    return ObjectCamera(mesh, colors, distance=0.5, threads=1)


def test_the_camera_looks_at_the_middle_of_the_box(camera: ObjectCamera) -> None:
    np.testing.assert_allclose(camera.center, [0.3, -0.1, 0.2], atol=1e-6)
    picture = camera.picture(np.eye(3), CROP)
    covered = picture.rgb.any(axis=2)
    rows, columns = np.nonzero(covered)
    side = len(covered)
    np.testing.assert_allclose([rows.mean(), columns.mean()], 0.5 * (side - 1), atol=0.5)
    # The nearer face decides: 0.5 - 0.02 m away.
    np.testing.assert_allclose(np.ptp(columns) + 1, picture.focal * 0.1 / 0.48, atol=1.5)
    np.testing.assert_allclose(np.ptp(rows) + 1, picture.focal * 0.06 / 0.48, atol=1.5)


@pytest.mark.parametrize('turn', [0.0, 0.7, 2.5])
def test_a_turned_crop_is_that_of_a_turned_camera(camera: ObjectCamera, turn: float) -> None:
    R = axis_rotation([1.0, 2.0, -1.0], 0.8)
    still = camera.picture(R, CROP)
    turned = camera.picture(axis_rotation([0.0, 0.0, -1.0], turn) @ R, CROP)
    (of_still,), (of_turned,) = (turned_boxes(still.outline, np.array([turn])),
                                 turned_boxes(turned.outline, np.array([0.0])))
    np.testing.assert_allclose(of_still, of_turned, atol=1e-9)
    first = turned_crop(still, turn, of_still, 1.2, CROP).astype(float)
    second = turned_crop(turned, 0.0, of_turned, 1.2, CROP).astype(float)
    difference = np.abs(first - second).max(axis=2)
    # Resampling differs at edges only.
    assert np.mean(difference > 30) < 0.04
    assert difference.mean() < 3


def test_the_object_fills_the_square_but_for_its_margin(camera: ObjectCamera) -> None:
    picture = camera.picture(axis_rotation([0.3, 1.0, 0.2], 1.1), CROP)
    (box_of_view,) = turned_boxes(picture.outline, np.array([0.4]))
    covered = turned_crop(picture, 0.4, box_of_view, 1.25, CROP).any(axis=2)
    extents = [np.ptp(indices) + 1 for indices in np.nonzero(covered)]
    np.testing.assert_allclose(max(extents), CROP / 1.25, atol=2.0)


def test_a_camera_within_the_object_is_refused() -> None:
    with pytest.raises(InvalidInputError, match='take it farther away'):
        ObjectCamera(box([0.1, 0.1, 0.1]), None, distance=0.05)


def test_colours_of_another_mesh_are_refused() -> None:
    with pytest.raises(InvalidInputError, match='as many colours'):
        ObjectCamera(box([0.1, 0.1, 0.1]), np.zeros((3, 3), np.uint8), distance=1.0)
