"""What image_transport's plugins send becomes the image it was."""

import struct

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.nodes.conversions import color_image, depth_image

MILLIMETRES = np.array([[0, 500, 65535], [1, 1234, 10]], np.uint16)


def png(image):
    return cv2.imencode('.png', image)[1].tobytes()


def depth_message(image, encoding, scale=0.0, offset=0.0, compression='; compressedDepth png'):
    return CompressedImage(format=f'{encoding}{compression}',
                           data=struct.pack('<iff', 1, scale, offset) + png(image))


def test_a_compressed_image_is_decoded():
    image = np.full((20, 30, 3), (200, 30, 60), np.uint8)
    _, jpeg = cv2.imencode('.jpg', image[..., ::-1])
    np.testing.assert_array_equal(
        color_image(CompressedImage(data=png(image[..., ::-1]))), image)
    assert np.abs(color_image(CompressedImage(data=jpeg.tobytes())).astype(int) - image).max() < 5


@pytest.mark.parametrize('encoding', ['bayer_rggb8', 'bayer_gbrg16', '16UC1', 'mono16'])
def test_what_was_compressed_without_colours_is_refused_as_the_raw_image_is(encoding):
    data = png(np.zeros((4, 6), np.uint16))
    with pytest.raises(InvalidInputError) as raw:
        color_image(Image(encoding=encoding))
    with pytest.raises(InvalidInputError) as compressed:
        color_image(CompressedImage(format=f'{encoding}; png compressed ', data=data))
    assert str(compressed.value) == str(raw.value)


@pytest.mark.parametrize('words', ['jpeg', 'rgb8; jpeg compressed bgr8', 'png',
                                   'bayer_rggb8; jpeg compressed bgr8'])
def test_any_other_format_is_taken_as_the_file_says(words):
    image = np.full((4, 6, 3), (200, 30, 60), np.uint8)
    message = CompressedImage(format=words, data=png(image[..., ::-1]))
    np.testing.assert_array_equal(color_image(message), image)


@pytest.mark.parametrize('data', [b'', b'\xff\xd8 not a picture'])
def test_a_damaged_compressed_image_is_refused(data):
    with pytest.raises(InvalidInputError, match='cannot be decoded'):
        color_image(CompressedImage(format='jpeg', data=data))


def test_a_jpeg_file_that_is_cut_short_or_claims_gigabytes_is_refused():
    whole = cv2.imencode('.jpg', np.zeros((20, 30, 3), np.uint8))[1].tobytes()
    size = whole.index(struct.pack('>HH', 20, 30))
    vast = whole[:size] + struct.pack('>HH', 65500, 65500) + whole[size + 4:]
    for data in (whole[:-30], vast):
        with pytest.raises(InvalidInputError, match='cannot be decoded'):
            color_image(CompressedImage(format='jpeg', data=data))
    # Padding after the end is no fault.
    assert color_image(CompressedImage(data=whole + bytes(200))).shape == (20, 30, 3)


def test_a_png_file_that_claims_gigabytes_is_refused():
    whole = png(MILLIMETRES)
    length = whole.index(b'IDAT') - 4
    for data in (whole[:length] + b'\x70' + whole[length + 1:], whole[:-12]):
        with pytest.raises(InvalidInputError, match='cannot be decoded'):
            depth_image(CompressedImage(format='16UC1; compressedDepth png',
                                        data=bytes(12) + data))


# The format was shorter in older plugins.
def test_depth_in_a_plain_png_is_decoded():
    message = CompressedImage(format='16UC1; png compressed ', data=png(MILLIMETRES))
    expected = depth_image(depth_message(MILLIMETRES, '16UC1'))
    np.testing.assert_array_equal(depth_image(message), expected)


@pytest.mark.parametrize('compression', ['; compressedDepth png', '; compressedDepth', ''])
def test_compressed_millimetres_are_exact_and_zero_is_unknown(compression):
    read = depth_image(depth_message(MILLIMETRES, '16UC1', compression=compression))
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, [[np.nan, 0.5, 65.535], [0.001, 1.234, 0.01]], rtol=1e-6)


def test_compressed_metres_are_quantised_inverse_depth():
    depth = np.array([[0.3, 0.5, 1.0, 9.0, np.nan]], np.float32)
    # With the plugin's defaults: depth_quantization 100, depth_max 10 m.
    scale = 100.0 * 101.0
    offset = 1.0 - scale / 10.0
    counts = np.where(np.isnan(depth), 0, scale / depth + offset).astype(np.uint16)
    read = depth_image(depth_message(counts, '32FC1', scale, offset))
    # One step of the inverse depth.
    np.testing.assert_allclose(read, depth, atol=9.0 ** 2 / scale)
    np.testing.assert_allclose(read[0, :2], depth[0, :2], atol=1e-4)


@pytest.mark.parametrize(('message', 'complaint'), [
    (CompressedImage(format='16UC1; compressedDepth png', data=bytes(12)), 'cannot be decoded'),
    (CompressedImage(format='16UC1; compressedDepth png', data=b'short'), 'cannot be decoded'),
    (CompressedImage(format='16UC1; compressedDepth png',
                     data=bytes(12) + png(MILLIMETRES)[:40]), 'cannot be decoded'),
    (depth_message(np.zeros((4, 4), np.uint8), '16UC1'), 'not a PNG file of 16 bits'),
    (depth_message(MILLIMETRES, '16UC1', compression='; compressedDepth rvl'),
     r"'16UC1; compressedDepth rvl'; publish .* format to png"),
    (CompressedImage(format='jpeg', data=png(MILLIMETRES)), "has the format 'jpeg'"),
], ids=['empty', 'short', 'truncated', '8 bits', 'rvl', 'jpeg'])
def test_compressed_depth_of_another_kind_is_refused(message, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        depth_image(message)
