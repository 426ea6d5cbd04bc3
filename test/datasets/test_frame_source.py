import json

import cv2
import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets import open_frames

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
COUNTS = np.arange(48, dtype=np.uint16).reshape(6, 8) * 100
K = [[500.0, 0.0, 3.5], [0.0, 501.0, 2.5], [0.0, 0.0, 1.0]]


def write_images(color, depth, counts=COUNTS):
    for path in (color, depth):
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(color), RGB[..., ::-1])
    cv2.imwrite(str(depth), counts)


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_single(folder, **camera):
    write_images(folder / 'rgb.png', folder / 'depth.png')
    write_json(folder / 'camera.json', {'K': K} | camera)


def check(frame, unit=0.001):
    np.testing.assert_array_equal(frame.rgb, RGB)
    expected = np.where(COUNTS == 0, np.nan, COUNTS * unit)
    np.testing.assert_allclose(frame.depth, expected, rtol=1e-6)


def test_one_frame_is_a_folder_with_three_files(tmp_path):
    write_single(tmp_path, D=[0.1, 0.0, 0.0, 0.0, 0.0])
    source = open_frames(tmp_path)
    frame = source.load(0)
    assert len(source) == 1
    check(frame)
    np.testing.assert_array_equal(frame.intrinsics.K, K)
    assert frame.intrinsics.is_distorted


def test_folders_of_frames_come_in_the_order_of_their_names(tmp_path):
    for name in ('b', 'a'):
        write_single(tmp_path / name, depth_unit_m=0.0001)
    source = open_frames(tmp_path)
    assert [source.name(i) for i in range(len(source))] == ['a', 'b']
    check(source.load(1), unit=0.0001)
    assert source.load(1).stamp_ns == 1_000_000_000


def test_a_sequence_has_folders_of_images_and_one_camera(tmp_path):
    for k in range(3):
        write_images(tmp_path / 'rgb' / f'{k:04d}.png', tmp_path / 'depth' / f'{k:04d}.png')
    write_json(tmp_path / 'camera.json', {'fx': 500, 'fy': 501, 'cx': 3.5, 'cy': 2.5})
    source = open_frames(tmp_path)
    assert len(source) == 3
    check(source.load(2))
    np.testing.assert_array_equal(source.load(2).intrinsics.K, K)


def test_nocs_real_frames_have_the_published_camera(tmp_path):
    write_images(tmp_path / 'scene_1' / '0003_color.png', tmp_path / 'scene_1' / '0003_depth.png')
    source = open_frames(tmp_path)
    assert source.name(0) == 'scene_1/0003'
    check(source.load(0))
    assert source.load(0).intrinsics.fx == 591.0125


def test_nocs_camera_frames_keep_depth_in_two_channels(tmp_path):
    split = np.zeros((6, 8, 3), np.uint8)
    split[..., 1], split[..., 2] = COUNTS // 256, COUNTS % 256
    write_images(tmp_path / '0000_color.png', tmp_path / '0000_depth.png', split)
    frame = open_frames(tmp_path).load(0)
    check(frame)
    assert frame.intrinsics.fx == 577.5


def test_a_camera_file_beside_nocs_frames_wins(tmp_path):
    write_images(tmp_path / '0000_color.png', tmp_path / '0000_depth.png')
    write_json(tmp_path / 'camera.json', {'K': K})
    assert open_frames(tmp_path).load(0).intrinsics.fx == 500.0


def test_bop_scenes_have_a_camera_and_a_depth_scale_per_image(tmp_path):
    scene = tmp_path / 'test' / '000002'
    for image in (3, 11):
        write_images(scene / 'rgb' / f'{image:06d}.png', scene / 'depth' / f'{image:06d}.png')
    camera = {'cam_K': np.ravel(K).tolist(), 'depth_scale': 0.1}
    write_json(scene / 'scene_camera.json', {'11': camera, '3': camera, '99': camera})
    source = open_frames(tmp_path / 'test')
    assert [source.name(i) for i in range(2)] == ['000002/000003', '000002/000011']
    assert len(source) == 2
    check(source.load(1), unit=0.0001)


def test_a_folder_without_frames_is_refused_with_the_known_layouts(tmp_path):
    with pytest.raises(InvalidInputError, match='known layouts are'):
        open_frames(tmp_path)
    with pytest.raises(InvalidInputError, match='does not exist; give a bag'):
        open_frames(tmp_path / 'nothing')
    for name, reason in (('old.bag', 'bag of ROS 1.*rosbags-convert'),
                         ('film.mp4', 'neither a bag of rosbag2')):
        (tmp_path / name).touch()
        with pytest.raises(InvalidInputError, match=reason):
            open_frames(tmp_path / name)


@pytest.mark.parametrize(('damage', 'reason'), [
    (lambda folder: (folder / 'depth.png').unlink(), 'missing or not an image'),
    (lambda folder: (folder / 'rgb.png').write_bytes(b'text'), 'missing or not an image'),
    (lambda folder: cv2.imwrite(str(folder / 'depth.png'), RGB[..., 0]), 'must be a 16-bit'),
    (lambda folder: cv2.imwrite(str(folder / 'depth.png'), COUNTS[:3]), 'aligned to colour'),
])
def test_a_damaged_frame_is_named(tmp_path, damage, reason):
    write_single(tmp_path)
    damage(tmp_path)
    with pytest.raises(InvalidInputError, match=reason):
        open_frames(tmp_path).load(0)


@pytest.mark.parametrize(('content', 'reason'), [
    ('{}', 'does not describe a camera'), ('{"K": [1, 2]}', 'does not describe a camera'),
    ('[1]', 'must hold a JSON object'), ('{', 'cannot read'),
])
def test_a_damaged_camera_file_is_named(tmp_path, content, reason):
    write_single(tmp_path)
    (tmp_path / 'camera.json').write_text(content)
    with pytest.raises(InvalidInputError, match=reason):
        open_frames(tmp_path)
