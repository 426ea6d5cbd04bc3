from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.bop_models import BopModel
from pose_estimation_ros.evaluation.bop_results import (
    BopResult,
    ResultName,
    as_predictions,
    as_results,
    read_results,
    write_results,
)
from pose_estimation_ros.evaluation.predictions import FramePredictions, Prediction

HEADER = 'scene_id,im_id,obj_id,score,R,t,time'
ROTATION = '1 0 0 0 1 0 0 0 1'
NAME = ResultName('spd', 'tless', 'test', 'primesense')


def pose(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return make_transform(random_rotation(generator), generator.normal(0.0, 0.5, 3))


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / 'spd_tless-test.csv'
    path.write_text('\n'.join([header, *lines]) + '\n')
    return path


def test_results_are_read_as_they_were_written(tmp_path: Path):
    results = [BopResult(1, 17, 5, 0.25, pose(0), 0.125),
               BopResult(1, 17, 6, 0.75, pose(1), 0.125),
               BopResult(2, 3, 5, 1.0, pose(2))]
    path = write_results(tmp_path, NAME, results)
    assert path.name == 'spd_tless-test-primesense.csv'
    back = read_results(path)
    for expected, read in zip(results, back, strict=True):
        assert (read.scene_id, read.image_id, read.object_id, read.score) == (
            expected.scene_id, expected.image_id, expected.object_id, expected.score)
        np.testing.assert_allclose(read.T_camera_object, expected.T_camera_object, atol=1e-8)
    assert back[0].seconds == 0.125
    assert np.isnan(back[2].seconds)


def test_the_file_has_millimetres_rows_of_the_rotation_and_minus_one_for_no_time(tmp_path: Path):
    T = make_transform([[0, -1, 0], [1, 0, 0], [0, 0, 1]], (0.1, -0.02, 0.75))
    path = write_results(tmp_path, NAME, [BopResult(1, 17, 5, 0.5, T)])
    assert path.read_text() == f'{HEADER}\n1,17,5,0.5,0 -1 0 1 0 0 0 0 1,100 -20 750,-1\n'


class FiveObjects:
    """What is asked of a data set: its objects, of which the fifth has a name."""

    name = 'tless-test'

    def __init__(self) -> None:
        self.models = {number: BopModel(
            number, Path(f'obj_{number:06d}.ply'), 0.1, np.zeros(3), np.full(3, 0.01 * number),
            np.zeros((0, 4, 4)), ()) for number in range(1, 6)}

    def label(self, obj_id: int) -> str:
        return 'mug' if obj_id == 5 else self.models[obj_id].name


def test_predictions_become_results_and_back():
    frames = [FramePredictions('000001/000017', (
        Prediction('mug', 0.5, pose(0), np.ones(3)),
        Prediction('obj_000002', 0.25, pose(1), np.ones(3))), 0.25)]
    results = as_results(frames, FiveObjects())
    assert [(r.scene_id, r.image_id, r.object_id) for r in results] == [(1, 17, 5), (1, 17, 2)]
    back, = as_predictions(results, FiveObjects())
    assert (back.name, back.seconds) == ('000001/000017', 0.25)
    assert [prediction.label for prediction in back.predictions] == ['mug', 'obj_000002']
    np.testing.assert_allclose(back.predictions[0].size, 0.05)
    np.testing.assert_allclose(back.predictions[0].T_camera_object, pose(0), atol=1e-12)


def test_rotations_of_few_digits_become_orthonormal(tmp_path: Path):
    path = written(tmp_path, '1,17,5,0.5,0.8660 -0.5 0 0.5 0.8660 0 0 0 1,0 0 600,-1')
    frame, = as_predictions(read_results(path), FiveObjects())
    R = frame.predictions[0].T_camera_object[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(R[0, 0], np.cos(np.pi / 6), atol=1e-4)


def test_frames_and_objects_of_another_data_set_are_refused():
    cup = Prediction('cup', 0.5, pose(0), np.ones(3))
    with pytest.raises(InvalidInputError, match="tless-test has no object 'cup'"):
        as_results([FramePredictions('000001/000017', (cup,))], FiveObjects())
    with pytest.raises(InvalidInputError, match="tless-test has no frame 'val/a'"):
        as_results([FramePredictions('val/a', ())], FiveObjects())
    with pytest.raises(InvalidInputError, match='scene 1, image 17 .* object 6; tless-test has'):
        as_predictions([BopResult(1, 17, 6, 0.5, pose(0))], FiveObjects())


def test_blanks_and_empty_lines_do_no_harm(tmp_path: Path):
    path = written(tmp_path, f' 1, 17,5 ,0.5,{ROTATION} , 0 0  600,0.3', '',
                   header='scene_id, im_id, obj_id, score, R, t, time')
    result, = read_results(path)
    np.testing.assert_allclose(result.T_camera_object[:3, 3], (0, 0, 0.6))


@pytest.mark.parametrize(('line', 'fault'), [
    ('1,17,5,0.5,1 0 0 0 1 0 0 0 1,0 0 600', '6 fields'),
    ('1,17,5,0.5,1,0,0,0,1,0,0,0,1,0,0,600,-1', '17 fields.*with spaces'),
    (f'1,17,can,0.5,{ROTATION},0 0 600,-1', "'can'.*ids are whole numbers"),
    (f'1,17,5,0.5,{ROTATION},0 600,-1', 'R has 9 and t 2 numbers'),
    (f'1,17,5,0.5,{ROTATION} 0,0 0 600,-1', 'R has 10 and t 3 numbers'),
    ('1,17,5,0.5,2 0 0 0 2 0 0 0 2,0 0 600,-1', 'no rigid transform'),
    ('1,17,5,0.5,-1 0 0 0 1 0 0 0 1,0 0 600,-1', 'no rigid transform'),
    (f'1,17,5,0.5,{ROTATION},0 0 nan,-1', 'no rigid transform'),
    (f'1,17,5,inf,{ROTATION},0 0 600,-1', 'score is inf'),
    (f'1,17,5,0.5,{ROTATION},0 0 600,-2', 'seconds or -1'),
    (f'1,17,5,0.5,{ROTATION},0 0 600,0.3012', r'0\.3012 s here and 0\.3 s before'),
])
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, line: str, fault: str):
    path = written(tmp_path, f'1,17,5,0.5,{ROTATION},0 0 600,0.3', line)
    with pytest.raises(InvalidInputError, match=f'spd_tless-test.csv, line 3: .*{fault}'):
        read_results(path)


def test_times_of_an_image_may_differ_by_a_millisecond(tmp_path: Path):
    path = written(tmp_path, f'1,17,5,0.5,{ROTATION},0 0 600,0.3',
                   f'1,17,6,0.5,{ROTATION},0 0 600,0.3009', f'1,18,6,0.5,{ROTATION},0 0 600,0.5')
    assert len(read_results(path)) == 3


def test_unequal_times_of_an_image_are_not_written(tmp_path: Path):
    results = [BopResult(1, 17, 5, 0.5, pose(0), 0.1), BopResult(1, 17, 5, 0.5, pose(0), 0.2)]
    with pytest.raises(InvalidInputError, match='the time of the whole image'):
        write_results(tmp_path, NAME, results)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_something_else_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInputError, match='line 1: the header of BOP results'):
        read_results(written(tmp_path, header='a,b'))
    with pytest.raises(InvalidInputError, match='cannot read the BOP results'):
        read_results(tmp_path / 'absent.csv')
    (tmp_path / 'empty.csv').write_text('')
    with pytest.raises(InvalidInputError, match='line 1'):
        read_results(tmp_path / 'empty.csv')


@pytest.mark.parametrize(('text', 'parts'), [
    ('cosy-pose_ycbv-test.csv', ('cosy-pose', 'ycbv', 'test', '', '')),
    ('spd_tless-test-primesense.csv', ('spd', 'tless', 'test', 'primesense', '')),
    ('spd_tless-test_642-a_b.csv', ('spd', 'tless', 'test', '', '642-a_b')),
])
def test_the_name_of_a_file_tells_what_it_holds(text: str, parts: tuple[str, ...]):
    name = ResultName.parse(text)
    assert (name.method, name.dataset, name.split, name.kind, name.identifier) == parts
    assert str(name) == text


@pytest.mark.parametrize('text', ['spd.csv', 'spd_tless.csv', 'spd_tless-test.json',
                                  '_tless-test.csv', 'spd_tless-test-a-b.csv'])
def test_other_names_are_refused(text: str):
    with pytest.raises(InvalidInputError, match='METHOD_DATASET-SPLIT'):
        ResultName.parse(text)


def test_a_method_cannot_have_an_underscore():
    with pytest.raises(InvalidInputError, match='METHOD must have no "_"'):
        ResultName('my_method', 'tless', 'test')


WORDS = st.text('abcXYZ019.', min_size=1, max_size=6)


@given(WORDS, WORDS, WORDS, st.one_of(st.just(''), WORDS), st.one_of(st.just(''), WORDS))
def test_names_survive_being_written(method, dataset, split, kind, identifier):
    name = ResultName(method, dataset, split, kind, identifier)
    assert ResultName.parse(str(name)) == name
