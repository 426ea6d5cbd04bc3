"""What real cameras send, to a running node: encodings, binning, ROI, distortion."""

import cv2
import numpy as np
import pytest
from ros_harness import (
    HEIGHT,
    RED,
    STAND_IN,
    WIDTH,
    Client,
    Frame,
    K,
    NodeProcess,
    center,
    position,
)
from sensor_msgs.msg import CompressedImage, RegionOfInterest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.nodes.conversions import image_message

PATCH = (60, 40, 100, 80)
ALPHA = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)


def found(client, frame):
    """Return the place of the one object of a frame."""
    client.forget()
    _, message = client.result_of(frame)
    (detection,) = message.detections
    return position(detection.bbox.center)


@pytest.mark.parametrize(('encoding', 'image_of'), [
    ('rgb8', lambda rgb: rgb),
    ('bgr8', lambda rgb: rgb[..., ::-1]),
    ('rgba8', lambda rgb: np.concatenate([rgb, ALPHA], axis=2)),
    ('bgra8', lambda rgb: np.concatenate([rgb[..., ::-1], ALPHA], axis=2)),
])
@pytest.mark.parametrize('depth_encoding', ['16UC1', '32FC1'])
def test_every_pair_of_encodings_gives_the_same_pose(
        client: Client, estimator, encoding, image_of, depth_encoding):
    frame = Frame([(PATCH, RED)], 0.5)
    frame.color_message = lambda header: image_message(image_of(frame.rgb), encoding, header)
    if depth_encoding == '32FC1':
        metres = (frame.depth / 1000.0).astype(np.float32)
        metres[0, :2] = np.nan, np.inf
        frame.depth_message = lambda header: image_message(metres, '32FC1', header)
    np.testing.assert_allclose(found(client, frame), center(PATCH, 0.5), atol=1e-5)


def test_depth_that_no_camera_measures_moves_no_pose(client: Client, estimator):
    frame = Frame([(PATCH, RED)], 0.5)
    metres = (frame.depth / 1000.0).astype(np.float32)
    metres[59:61, 79:81] = [[1e9, 1e-30], [-1.0, 3e38]]  # In the middle of the patch.
    frame.depth_message = lambda header: image_message(metres, '32FC1', header)
    np.testing.assert_allclose(found(client, frame), center(PATCH, 0.5), atol=1e-5)


def test_gray_images_are_taken_though_nothing_coloured_is_in_them(client: Client, estimator):
    frame = Frame([(PATCH, RED)])
    frame.color_message = lambda header: image_message(
        np.ascontiguousarray(frame.rgb[..., 0]), 'mono8', header)
    client.forget()
    _, message = client.result_of(frame)
    assert message.detections == []
    client.wait_for(lambda: 'in the last' in client.sentences().get('processing', ''), 'a result')


def test_binned_images_of_a_region_are_read_with_the_camera_of_what_is_delivered(
        client: Client, estimator):
    frame = Frame([(PATCH, RED)], 0.5)
    plain = frame.info_message

    def info_message(header):
        """Return the info of a sensor of 640x480 of which half, binned, is delivered."""
        info = plain(header)
        info.width, info.height, info.binning_x, info.binning_y = 640, 480, 2, 2
        info.roi = RegionOfInterest(x_offset=100, y_offset=60, width=320, height=240)
        # Full pixel 2 u + 0.5 + offset is the middle of binned pixel u.
        info.k[0] = info.k[4] = 2 * K[0, 0]
        info.k[2], info.k[5] = 2 * K[0, 2] + 100.5, 2 * K[1, 2] + 60.5
        return info

    frame.info_message = info_message
    np.testing.assert_allclose(found(client, frame), center(PATCH, 0.5), atol=1e-5)


@pytest.mark.parametrize(('model', 'coefficients'), [
    ('plumb_bob', [-0.25, 0.08, 0.002, -0.001, 0.01]),
    ('rational_polynomial', [0.4, -0.3, 0.001, -0.0005, 0.05, 0.5, -0.2, 0.04]),
    ('equidistant', [0.05, -0.02, 0.003, -0.0004]),
])
def test_the_bend_of_the_lens_is_taken_out(client: Client, estimator, model, coefficients):
    camera = CameraIntrinsics(WIDTH, HEIGHT, K, model, np.array(coefficients))
    patch = (100, 20, 140, 60)
    ideal = Frame([(patch, RED)], 0.5)
    bent = Frame([(patch, RED)], 0.5)
    # Where each bent pixel comes from in the ideal image.
    pixels = np.stack(np.meshgrid(np.arange(float(WIDTH)), np.arange(float(HEIGHT))), axis=-1)
    source = camera.back_project(pixels, np.ones((HEIGHT, WIDTH)))[..., :2] * K[0, 0] + K[:2, 2]
    bent.rgb = cv2.remap(ideal.rgb, source.astype(np.float32), None, cv2.INTER_NEAREST,
                         borderMode=cv2.BORDER_REPLICATE)
    plain = bent.info_message

    def info_message(header):
        info = plain(header)
        info.distortion_model, info.d = model, coefficients
        return info

    bent.info_message = info_message
    # Half a pixel at half a metre is 1.8 mm.
    np.testing.assert_allclose(found(client, bent), center(patch, 0.5), atol=2.5e-3)


def test_an_image_that_is_only_sent_compressed_is_told_with_the_parameter(client: Client,
                                                                          tmp_path):
    images = {name: client.node.create_publisher(CompressedImage, f'other/{name}', 5)
              for name in ('color/compressed', 'depth/compressedDepth')}
    process = NodeProcess('pose_estimator', tmp_path / 'log', STAND_IN, [
        f'{image}/image_raw{suffix}:=other/{image}{suffix}'
        for image, transport in (('color', '/compressed'), ('depth', '/compressedDepth'))
        for suffix in ('', transport)])
    try:
        client.wait_for_sentence('input', 'but /other/color/compressed is published: set the '
                                          'parameter color.transport to compressed')
        client.wait_for(lambda: 'set the parameter depth.transport to compressedDepth'
                        in process.log, 'the same of depth in the log')
    finally:
        process.stop()
        for publisher in images.values():
            client.node.destroy_publisher(publisher)
