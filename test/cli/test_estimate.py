"""`pose-estimation estimate` on image files, around stages that find a can in every picture."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from pose_estimation_ros.cli.json_output import json_text, without_nan
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY
from pose_estimation_ros.pipeline import Pipeline, PipelineOptions
from pose_estimation_ros.rendering.primitives import box

K = [[60.0, 0.0, 31.5], [0.0, 61.0, 23.5], [0.0, 0.0, 1.0]]
NUMBERS = ('--fx', 60, '--fy', 61, '--cx', 31.5, '--cy', 23.5)
MILLIMETRES = np.full((48, 64), 500, np.uint16)


class OneCan:
    """A segmenter and a backend that see a can at the depth in the middle of the picture."""

    name = 'one_can'
    needs = frozenset({'depth', 'detections'})
    categories = ('can',)
    providers = ('none',)
    needs_depth = False

    def detect(self, frame):
        return [Detection('can', 0.9, np.array([4, 4, 8, 8]), np.ones((4, 4), bool), (4, 4))]

    def estimate(self, frame, detections):
        position = [0.0, 0.0, float(frame.depth[24, 32])]
        return [ObjectPose('can', 0.8, make_transform(np.eye(3), position),
                           np.array([0.1, 0.2, 0.1]), Y_AXIS_SYMMETRY, 'one_can',
                           covariance=np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))]

    def describe(self):
        return {'model': 'none'}

    def close(self):
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[PipelineOptions]:
    """Put the stand-in in the place of the models; what was asked for is noted."""
    options: list[PipelineOptions] = []

    def create(wanted: PipelineOptions) -> Pipeline:
        options.append(wanted)
        return Pipeline(OneCan(), OneCan(), None)

    monkeypatch.setattr('pose_estimation_ros.pipeline.create_pipeline', create)
    return options


@pytest.fixture
def files(tmp_path: Path, asked: list[PipelineOptions]) -> Path:
    cv2.imwrite(str(tmp_path / 'rgb.png'), np.full((48, 64, 3), 50, np.uint8))
    cv2.imwrite(str(tmp_path / 'depth.png'), MILLIMETRES)
    (tmp_path / 'camera.json').write_text(json.dumps({'K': K}))
    return tmp_path


def estimate(folder: Path, *arguments: object, depth: str = 'depth.png') -> Result:
    words = ['estimate', '--color', folder / 'rgb.png', '--depth', folder / depth, *arguments]
    return CliRunner().invoke(app, [str(word) for word in words])


def depth_of(answer: Result) -> float:
    assert answer.exit_code == 0, answer.exception
    return json.loads(answer.stdout)['objects'][0]['position'][2]


def test_poses_are_printed_as_json(files: Path) -> None:
    content = json.loads(estimate(files, '--camera', files / 'camera.json').stdout)
    assert content['objects'] == [{
        'label': 'can', 'score': 0.8, 'position': [0.0, 0.0, 0.5],
        'orientation_xyzw': [0.0, 0.0, 0.0, 1.0], 'size': [0.1, 0.2, 0.1],
        'box_center': [0.0, 0.0, 0.5],
        'T_camera_object': [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.5],
                            [0.0, 0.0, 0.0, 1.0]],
        'covariance': np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).tolist(),
        'inlier_ratio': None, 'residual': None, 'agreement': None}]
    assert content['camera'] == {'width': 64, 'height': 48, 'K': K}
    assert 'metres' in content['convention']
    assert set(content['seconds']) >= {'segmentation', 'pose'}
    assert content['pipeline']['backend'] == 'one_can'


def test_of_a_cad_model_the_box_is_that_of_its_mesh_wherever_its_origin_is(
        files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = box([0.1, 0.2, 0.06])
    vertices = mesh.vertices + np.float32([0.05, 0.0, 0.0])
    T = make_transform(axis_rotation([0, 0, 1], np.pi / 2), np.array([0.0, 0.0, 0.5]))
    monkeypatch.setattr(OneCan, 'estimate', lambda *_: [ObjectPose(
        'can', 0.8, T, np.array([0.2, 0.2, 0.06]), NO_SYMMETRY, 'one_can', points=vertices,
        faces=mesh.faces)])
    entry, = json.loads(estimate(files, *NUMBERS).stdout)['objects']
    np.testing.assert_allclose(entry['size'], [0.1, 0.2, 0.06], atol=1e-6)
    np.testing.assert_allclose(entry['box_center'], [0.0, 0.05, 0.5], atol=1e-6)
    np.testing.assert_allclose(entry['position'], [0.0, 0.0, 0.5])


def test_json_and_overlay_are_written_into_new_folders(files: Path) -> None:
    output, overlay = files / 'new' / 'poses.json', files / 'new' / 'overlay.png'
    answer = estimate(files, *NUMBERS, '--output', output, '--overlay', overlay)
    assert answer.exit_code == 0
    assert answer.stdout == ''
    assert len(json.loads(output.read_text())['objects']) == 1
    assert np.ptp(cv2.imread(str(overlay))) > 100
    assert sorted(path.name for path in output.parent.iterdir()) == ['overlay.png', 'poses.json']


def test_the_options_reach_the_stages(files: Path, asked: list[PipelineOptions]) -> None:
    estimate(files, *NUMBERS, '--backend', 'spd', '--model', 'mine', '--segmentation-model',
             'detector', '--device', 'cpu')
    (options,) = asked
    assert (options.backend_options.model, options.backend_options.device) == ('mine', 'cpu')
    assert options.segmenter_options.model == 'detector'
    assert options.tracker is None


def test_depth_may_be_counts_of_another_unit_or_metres(files: Path) -> None:
    assert depth_of(estimate(files, *NUMBERS)) == pytest.approx(0.5)
    assert depth_of(estimate(files, *NUMBERS, '--depth-unit', 0.002)) == pytest.approx(1.0)
    metres = np.full((48, 64), 0.75, np.float32)
    cv2.imwrite(str(files / 'depth.tiff'), metres)
    np.save(files / 'metres.npy', metres.astype(np.float64))
    np.save(files / 'counts.npy', MILLIMETRES)
    assert depth_of(estimate(files, *NUMBERS, depth='depth.tiff')) == pytest.approx(0.75)
    assert depth_of(estimate(files, *NUMBERS, depth='metres.npy')) == pytest.approx(0.75)
    assert depth_of(estimate(files, *NUMBERS, depth='counts.npy')) == pytest.approx(0.5)


MESSAGE = """header:
  frame_id: camera_color_optical_frame
height: 48
width: 64
distortion_model: rational_polynomial
d: [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
k: [60.0, 0.0, 31.5, 0.0, 61.0, 23.5, 0.0, 0.0, 1.0]
---
"""
CALIBRATOR = """image_width: 64
image_height: 48
camera_matrix: {rows: 3, cols: 3, data: [60.0, 0.0, 31.5, 0.0, 61.0, 23.5, 0.0, 0.0, 1.0]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.0, 0.0, 0.0, 0.0, 0.0]}
"""


@pytest.mark.parametrize('text', [MESSAGE, CALIBRATOR], ids=['message', 'calibrator'])
def test_the_camera_may_come_from_ros(files: Path, text: str) -> None:
    (files / 'camera.yaml').write_text(text)
    answer = estimate(files, '--camera', files / 'camera.yaml')
    assert json.loads(answer.stdout)['camera'] == {'width': 64, 'height': 48, 'K': K}


def test_a_distorted_image_is_undistorted_first(files: Path) -> None:
    (files / 'camera.yaml').write_text(CALIBRATOR.replace('data: [0.0, 0.0', 'data: [0.2, 0.0'))
    seconds = json.loads(estimate(files, '--camera', files / 'camera.yaml').stdout)['seconds']
    assert seconds['undistort'] > 0


@pytest.mark.parametrize(('text', 'complaint'), [
    ('nothing: here', 'does not describe a camera .*camera_info'),
    ('[1, 2', r'cannot read .*camera\.yaml'),
    ('', 'does not describe a camera'),
    (MESSAGE.replace('width: 64', 'width: 640'), 'is 64x48 but camera_info says 640x48'),
    (MESSAGE.replace('k: [60.0', 'k: [0.0'), 'camera is not calibrated'),
])
def test_a_camera_file_that_cannot_be_used_is_refused(
        files: Path, text: str, complaint: str) -> None:
    (files / 'camera.yaml').write_text(text)
    answer = estimate(files, '--camera', files / 'camera.yaml')
    assert isinstance(answer.exception, InvalidInputError)
    with pytest.raises(InvalidInputError, match=complaint):
        raise answer.exception


@pytest.mark.parametrize(('arguments', 'complaint'), [
    ((), '--fx, --fy, --cx, --cy are missing; give --camera FILE'),
    (NUMBERS[:4], '--cx, --cy are missing'),
    (('--camera', 'camera.json', *NUMBERS), 'both given; leave one of them out'),
    ((*NUMBERS, '--overlay', 'overlay.gif'), r'overlay\.gif is neither \.png nor \.jpg'),
])
def test_options_that_do_not_go_together_are_refused(
        files: Path, arguments: tuple[object, ...], complaint: str) -> None:
    answer = estimate(files, *arguments)
    assert isinstance(answer.exception, ConfigurationError)
    with pytest.raises(ConfigurationError, match=complaint):
        raise answer.exception


def test_an_output_that_cannot_be_written_is_named(files: Path) -> None:
    answer = estimate(files, *NUMBERS, '--output', files / 'rgb.png' / 'poses.json')
    assert isinstance(answer.exception, ConfigurationError)
    assert 'poses.json cannot be written: File exists' in str(answer.exception)


def _eight_bits(files: Path) -> None:
    cv2.imwrite(str(files / 'depth.png'), np.full((48, 64), 50, np.uint8))


def _other_size(files: Path) -> None:
    cv2.imwrite(str(files / 'depth.png'), MILLIMETRES[:, :60])


def _metres_as_counts(files: Path) -> None:
    cv2.imwrite(str(files / 'depth.png'), np.full((48, 64), 3, np.uint16))


def _empty(files: Path) -> None:
    cv2.imwrite(str(files / 'depth.png'), np.zeros((48, 64), np.uint16))


@pytest.mark.parametrize(('spoil', 'complaint'), [
    (lambda files: (files / 'rgb.png').unlink(), 'rgb.png is missing'),
    (lambda files: (files / 'depth.png').write_bytes(b'no image'), 'not an image'),
    (_eight_bits, 'depth must be a 16-bit image of one channel, or floats in metres'),
    (_other_size, 'depth is 60x48 but colour is 64x48'),
    (_metres_as_counts, 'the unit does not fit'),
    (_empty, 'all zero or NaN'),
], ids=['missing', 'damaged', '8 bits', 'size', 'unit', 'empty'])
def test_images_that_cannot_be_used_are_refused(
        files: Path, spoil: object, complaint: str) -> None:
    spoil(files)
    answer = estimate(files, *NUMBERS)
    assert isinstance(answer.exception, InvalidInputError)
    assert complaint in str(answer.exception)


def test_a_backend_that_needs_depth_says_so(files: Path) -> None:
    words = ['estimate', '--color', files / 'rgb.png', *NUMBERS]
    answer = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(answer.exception, InvalidInputError)
    assert 'no depth image but one is needed' in str(answer.exception)


def test_a_damaged_array_of_depth_is_refused(files: Path) -> None:
    (files / 'depth.npy').write_bytes(b'no array')
    answer = estimate(files, *NUMBERS, depth='depth.npy')
    assert isinstance(answer.exception, InvalidInputError)
    assert 'not a .npy array' in str(answer.exception)


def test_json_has_null_where_a_number_is_unknown() -> None:
    nan = float('nan')
    assert without_nan({'a': [1.0, nan], 'b': {'c': nan}, 'd': 'nan'}) == {
        'a': [1.0, None], 'b': {'c': None}, 'd': 'nan'}


def test_json_has_vectors_on_one_line() -> None:
    value = {'K': [[1.5, 0.0], [-2e-07, float('nan')]], 'names': ['[1,', '2]'], 'none': []}
    text = json_text(value)
    assert '[1.5, 0.0],' in text
    assert '[-2e-07, null]' in text
    assert json.loads(text) == without_nan(value)
