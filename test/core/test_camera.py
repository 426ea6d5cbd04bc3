from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_estimation_ros.core.camera import CameraIntrinsics, turned_camera
from pose_estimation_ros.core.errors import InvalidInputError

CAMERA = CameraIntrinsics.pinhole(640, 480, 600.0, 610.0, 321.0, 239.0)
PLUMB_BOB = np.array([0.12, -0.25, 0.001, -0.0005, 0.09])
RATIONAL = np.array([0.5, -0.1, 0.0005, 0.0002, 0.02, 0.6, -0.05, 0.01])
FISHEYE = np.array([0.05, -0.01, 0.003, -0.001])
# Of lenses as they are built into depth cameras, 120 degrees and more across.
WIDE_RATIONAL = np.array([5.459, 3.486, 7.43e-5, -1.58e-5, 0.1808, 5.788, 5.131, 0.9697])
WIDE_FISHEYE = np.array([-0.005, 0.04, -0.037, 0.006])
WIDE_PLUMB_BOB = np.array([-0.36, 0.16, 0.001, -0.0005, -0.035])


@given(st.floats(-0.5, 0.5), st.floats(-0.4, 0.4), st.floats(0.2, 5.0))
def test_back_projection_inverts_projection(x: float, y: float, z: float) -> None:
    camera = CameraIntrinsics(640, 480, CAMERA.K, 'plumb_bob', PLUMB_BOB)
    point = np.array([x * z, y * z, z])

    lifted = camera.back_project(camera.project(point), np.array(z))

    np.testing.assert_allclose(lifted, point, atol=1e-6)


@pytest.mark.parametrize(('model', 'D', 'widest'), [
    ('rational_polynomial', WIDE_RATIONAL, 75.0), ('equidistant', WIDE_FISHEYE, 80.0),
    ('plumb_bob', WIDE_PLUMB_BOB, 50.0)])
def test_directions_far_from_the_axis_of_a_wide_lens_are_recovered(
        model: str, D: np.ndarray, widest: float) -> None:
    camera = CameraIntrinsics(640, 480, CAMERA.K, model, D)
    angle, around = np.meshgrid(np.radians(np.linspace(0, widest, 30)),
                                np.linspace(0, 2 * np.pi, 24))
    points = np.stack([np.tan(angle) * np.cos(around), np.tan(angle) * np.sin(around),
                       np.ones_like(angle)], axis=-1)

    lifted = camera.back_project(camera.project(points), np.ones(angle.shape))

    np.testing.assert_allclose(lifted, points, atol=1e-6)


@pytest.mark.parametrize(('model', 'D', 'focal_length'), [
    ('equidistant', WIDE_FISHEYE, 150.0), ('plumb_bob', WIDE_PLUMB_BOB, 320.0)])
def test_pixels_that_no_direction_is_seen_at_have_none(
        model: str, D: np.ndarray, focal_length: float) -> None:
    K = np.array([[focal_length, 0.0, 319.5], [0.0, focal_length, 239.5], [0.0, 0.0, 1.0]])
    camera = CameraIntrinsics(640, 480, K, model, D)
    pixels = np.stack(np.meshgrid(np.arange(640.0), np.arange(480.0)), axis=-1)

    points = camera.back_project(pixels, np.ones((480, 640)))

    known = np.isfinite(points[..., 0])
    assert not known[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert known[100:380, 180:460].all()
    assert np.linalg.norm(camera.project(points[known]) - pixels[known], axis=1).max() <= 0.5


@pytest.mark.parametrize(('model', 'D'), [('plumb_bob', PLUMB_BOB),
                                          ('rational_polynomial', RATIONAL)])
def test_projection_equals_opencv(model: str, D: np.ndarray) -> None:
    points = np.random.default_rng(0).uniform((-0.4, -0.3, 0.8), (0.4, 0.3, 2.0), (50, 3))
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), CAMERA.K, D)

    projected = CameraIntrinsics(640, 480, CAMERA.K, model, D).project(points)

    np.testing.assert_allclose(projected, expected[:, 0], atol=1e-6)


def test_equidistant_projection_equals_opencv_fisheye() -> None:
    points = np.random.default_rng(0).uniform((-0.8, -0.8, 0.8), (0.8, 0.8, 2.0), (50, 3))
    expected, _ = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), CAMERA.K,
                                            FISHEYE)

    projected = CameraIntrinsics(640, 480, CAMERA.K, 'equidistant', FISHEYE).project(points)

    np.testing.assert_allclose(projected, expected[:, 0], atol=1e-6)


def test_undistortion_map_equals_opencv() -> None:
    camera = CameraIntrinsics(640, 480, CAMERA.K, 'plumb_bob', PLUMB_BOB)
    expected = cv2.initUndistortRectifyMap(CAMERA.K, PLUMB_BOB, np.eye(3), CAMERA.K, (640, 480),
                                           cv2.CV_32FC1)

    ours = camera.undistortion_map()

    np.testing.assert_allclose(ours[0], expected[0], atol=1e-3)
    np.testing.assert_allclose(ours[1], expected[1], atol=1e-3)
    assert not camera.undistort().is_distorted


@given(st.integers(0, 300), st.integers(0, 200))
def test_a_crop_sees_the_same_point_at_the_shifted_pixel(x: int, y: int) -> None:
    point = np.array([0.05, -0.02, 0.8])

    shifted = CAMERA.crop(x, y, 200, 150).project(point)

    np.testing.assert_allclose(shifted, CAMERA.project(point) - (x, y), atol=1e-9)


def test_resizing_keeps_the_image_borders() -> None:
    half = CAMERA.resize(320, 240)
    left_border = CAMERA.back_project(np.array([-0.5, -0.5]), np.array(1.0))

    np.testing.assert_allclose(half.project(left_border), (-0.5, -0.5), atol=1e-9)


def test_roi_and_binning_follow_rep_104() -> None:
    delivered = CAMERA.apply_binning_and_roi((2, 2), (100, 60, 400, 300))

    assert (delivered.width, delivered.height) == (200, 150)
    assert delivered.fx == pytest.approx(300.0)
    assert delivered.cx == pytest.approx((321.0 - 100 + 0.5) / 2 - 0.5)


def test_binning_of_a_size_that_it_does_not_divide_drops_the_last_pixels() -> None:
    camera = CameraIntrinsics.pinhole(641, 481, 600.0, 610.0, 321.0, 239.0)

    delivered = camera.apply_binning_and_roi((2, 4))

    assert (delivered.width, delivered.height) == (320, 120)
    assert (delivered.fx, delivered.fy) == pytest.approx((300.0, 152.5), abs=1e-12)
    # The first delivered pixel is the mean of the first 2 x 4 ones.
    middle = camera.back_project(np.array([0.5, 1.5]), np.array(1.0))
    np.testing.assert_allclose(delivered.project(middle), (0.0, 0.0), atol=1e-9)


def test_zero_binning_and_roi_mean_the_full_image() -> None:
    assert CAMERA.apply_binning_and_roi() is CAMERA


def test_an_uncalibrated_camera_is_refused_with_the_value_and_the_cure() -> None:
    with pytest.raises(InvalidInputError, match='fx=0.*calibrate'):
        CameraIntrinsics(640, 480, np.zeros((3, 3)))


def test_an_unknown_distortion_model_is_named() -> None:
    with pytest.raises(InvalidInputError, match="'fancy'.*plumb_bob"):
        CameraIntrinsics(640, 480, CAMERA.K, 'fancy', PLUMB_BOB)


@pytest.mark.parametrize('D', [np.zeros(0), np.zeros(5)])
def test_the_name_of_a_distortion_that_is_none_does_not_matter(D: np.ndarray) -> None:
    camera = CameraIntrinsics(640, 480, CAMERA.K, 'fancy', D)
    point = np.array([0.1, -0.2, 1.0])

    np.testing.assert_allclose(camera.project(point), CAMERA.project(point))


@pytest.mark.parametrize(('model', 'D', 'named'), [
    ('rational_polynomial', [*RATIONAL, 0.0, 0.002, 0.0, 0.0], r'D\[9\] = 0\.002'),
    ('rational_polynomial', [*RATIONAL, *[0.0] * 4, 0.01, -0.02], r'D\[12\] = 0\.01, D\[13\]'),
    ('equidistant', [*FISHEYE, 0.5], r'D\[4\] = 0\.5'),
])
def test_coefficients_that_we_would_ignore_are_refused_by_name(
        model: str, D: list[float], named: str) -> None:
    with pytest.raises(InvalidInputError, match=f'{named}.*rectify the image'):
        CameraIntrinsics(640, 480, CAMERA.K, model, np.array(D))


@pytest.mark.parametrize('size', [12, 14])
def test_zeros_past_the_known_coefficients_change_nothing(size: int) -> None:
    padded = np.zeros(size)
    padded[:8] = RATIONAL
    point = np.array([0.1, -0.2, 1.0])

    ours = CameraIntrinsics(640, 480, CAMERA.K, 'rational_polynomial', padded).project(point)

    expected = CameraIntrinsics(640, 480, CAMERA.K, 'rational_polynomial', RATIONAL)
    np.testing.assert_allclose(ours, expected.project(point))


def test_coefficients_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InvalidInputError, match='nan.*must be finite'):
        CameraIntrinsics(640, 480, CAMERA.K, 'plumb_bob', np.array([0.1, np.nan]))


@pytest.mark.parametrize('camera', [
    CAMERA,
    CameraIntrinsics.pinhole(1280, 720, 380.0, 380.0, 640.0, 360.0),  # 119 degrees across.
    CameraIntrinsics.pinhole(640, 480, 42_000.0, 42_000.0, 320.0, 240.0),  # A 400 mm lens.
    CameraIntrinsics.pinhole(200, 200, 1400.0, 1400.0, -700.0, 500.0),  # Corner of a 1920x1080.
])
def test_cameras_with_unusual_lenses_and_cut_images_are_plausible(
        camera: CameraIntrinsics) -> None:
    camera.check_plausible()


@pytest.mark.parametrize(('changes', 'told'), [
    ({'fx': 1e300}, r'fx=1e\+300, fy=600 for 640x480 pixels, but .* has 12.8 to 64000; publish'),
    ({'fy': 1e-300}, 'fx=600, fy=1e-300 for'), ({'fx': 1.0, 'fy': 1.0}, 'fx=1, fy=1 for'),
    ({'cx': 1e9}, r'cx=1e\+09, cy=239 for 640x480 pixels, far outside the image; publish'),
    ({'cy': -7000.0}, 'cx=321, cy=-7000 for')])
def test_a_camera_that_cannot_be_is_told_with_the_cure(changes: dict[str, float],
                                                       told: str) -> None:
    values = {'fx': 600.0, 'fy': 600.0, 'cx': 321.0, 'cy': 239.0} | changes
    with pytest.raises(InvalidInputError, match=f'camera is not calibrated: .*{told}.*calibrate'):
        CameraIntrinsics.pinhole(640, 480, **values).check_plausible()


@pytest.mark.parametrize(('model', 'D'), [('plumb_bob', PLUMB_BOB), ('plumb_bob', np.zeros(0)),
                                          ('rational_polynomial', RATIONAL),
                                          ('equidistant', FISHEYE)])
@pytest.mark.parametrize('quarters', [0, 1, 2, 3])
def test_a_turned_camera_sees_points_where_the_turned_image_shows_them(
        model: str, D: np.ndarray, quarters: int) -> None:
    camera = CameraIntrinsics(640, 480, CAMERA.K, model, D)
    points = np.random.default_rng(0).uniform((-0.4, -0.3, 0.8), (0.4, 0.3, 2.0), (50, 3))
    turned = camera.turned(quarters)

    seen = turned.project(points @ turned_camera(quarters)[:3, :3].T)

    # NumPy turns images counter-clockwise: ask it where every pixel goes.
    v, u = np.mgrid[:480, :640]
    where = np.rot90(np.stack([u, v], axis=2), -quarters)
    assert where.shape[:2] == (turned.height, turned.width)
    rows, columns = np.mgrid[:turned.height, :turned.width]
    to_turned = np.empty((480, 640, 2))
    to_turned[where[..., 1], where[..., 0]] = np.stack([columns, rows], axis=2)
    origin, right, down = to_turned[0, 0], to_turned[0, 1], to_turned[1, 0]
    shown = origin + camera.project(points) @ np.stack([right - origin, down - origin])
    np.testing.assert_allclose(seen, shown, atol=1e-9)


def test_four_quarters_are_a_whole_turn() -> None:
    camera = CameraIntrinsics(640, 480, CAMERA.K, 'plumb_bob', PLUMB_BOB)
    np.testing.assert_allclose(camera.turned(4).turned(-4).K, camera.K)
    around = camera
    for _ in range(4):
        around = around.turned(1)
    np.testing.assert_allclose(around.K, camera.K)
    np.testing.assert_allclose(around.D, camera.D)
    np.testing.assert_allclose(turned_camera(3) @ turned_camera(1), np.eye(4), atol=1e-12)
