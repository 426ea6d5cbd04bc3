from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.nocs_results import write_result
from pose_estimation_ros.evaluation.nocs_tables import nocs_tables
from pose_estimation_ros.evaluation.published_results import (
    from_published,
    read_published_results,
    write_published_results,
)
from test.evaluation.nocs_fixture import fixture_frames, published_results

RESULTS = published_results()


def test_published_files_are_read_as_truth_and_predictions(tmp_path: Path) -> None:
    write_result(tmp_path / 'results_val_00001_0002.pkl', RESULTS[0])

    (truth,), (predictions,) = read_published_results(tmp_path)

    assert truth.name == predictions.name == 'results_val_00001_0002'
    assert [entry.label for entry in truth.objects] == ['laptop', 'bottle', 'laptop', 'camera',
                                                        'bottle', 'bottle']
    first = RESULTS[0]
    scale = np.cbrt(np.linalg.det(first.truth.sRT[0, :3, :3]))
    np.testing.assert_allclose(truth.objects[0].size, scale * first.truth.sizes[0])
    np.testing.assert_allclose(scale * truth.objects[0].T_camera_object[:3, :3],
                               first.truth.sRT[0, :3, :3])
    np.testing.assert_array_equal(predictions.predictions[0].box, first.boxes[0][[1, 0, 3, 2]])
    assert predictions.predictions[0].score == first.scores[0]


def test_frames_written_for_others_give_the_same_tables_when_read_back(tmp_path: Path) -> None:
    truth, predictions = (list(frames) for frames in zip(*fixture_frames(), strict=True))

    write_published_results(tmp_path, truth, predictions)
    again = read_published_results(tmp_path)

    before, after = (nocs_tables(*frames).reports[0].rows for frames in ((truth, predictions),
                                                                         again))
    assert [row[0] for row in before] == [row[0] for row in after]
    np.testing.assert_allclose([row[1:] for row in before], [row[1:] for row in after], atol=1e-9)


def test_only_the_handle_of_a_mug_can_hide() -> None:
    hidden = replace(RESULTS[0], truth=replace(RESULTS[0].truth, handle_visible=np.zeros(6, bool)))

    truth, _ = from_published('a', hidden)

    assert all(entry.handle_visible for entry in truth.objects)


@pytest.mark.parametrize(('change', 'message'), [
    ({'class_ids': np.array([7, 1, 1, 1])}, 'holds class 7; classes are 1 to 6'),
    ({'sRT': np.zeros((4, 4, 4))}, 'matrix 0 is no rotation with a scale'),
    ({'truth': replace(RESULTS[0].truth, class_ids=None)}, 'no gt_class_ids'),
])
def test_files_that_cannot_be_evaluated_are_refused_by_name(change: dict[str, object],
                                                            message: str) -> None:
    with pytest.raises(InvalidInputError, match=f'results_x.*{message}'):
        from_published('results_x', replace(RESULTS[0], **change))


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=f'{tmp_path} holds no results'):
        read_published_results(tmp_path)


def test_a_category_without_a_class_id_cannot_be_written(tmp_path: Path) -> None:
    truth, predictions = fixture_frames()[0]
    strange = replace(truth, objects=(replace(truth.objects[0], label='drill'),))

    with pytest.raises(InvalidInputError, match="'drill' has no class id"):
        write_published_results(tmp_path, [strange], [predictions])

    assert list(tmp_path.iterdir()) == []
