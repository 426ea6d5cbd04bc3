"""`pose-estimation dataset prepare`: downloaded NOCS data become ready."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')

from pose_estimation_ros.cli.dataset_prepare import Subset
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets import nocs_layout
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset

EXCERPT = Path(__file__).parents[1] / 'data/spd/nocs'
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
QUADS = ('1 2 4 3', '5 7 8 6', '1 5 6 2', '3 4 8 7', '1 3 7 5', '2 6 8 4')


def run(*arguments):
    return CliRunner().invoke(app, ['dataset', 'prepare', *map(str, arguments), '--processes',
                                    '1'], catch_exceptions=False)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """A folder as downloaded: a scene without labels, meshes of which one is damaged."""
    shutil.copytree(EXCERPT, tmp_path, dirs_exist_ok=True)
    (tmp_path / 'obj_models/real_train.pkl').unlink()
    for path in (tmp_path / 'obj_models/real_train').glob('*.txt'):
        lines = [f'v {x} {y} {z}' for x, y, z in CORNERS * (0.2, 0.1, 0.15)]
        path.with_suffix('.obj').write_text('\n'.join(
            [*lines, *(f'f {quad}' for quad in QUADS)]) + '\n')
    (tmp_path / 'obj_models/real_train/real_can_norm.obj').write_text('v 0 0 0\n')
    (tmp_path / 'Real/train/scene_1/0000_label.pkl').unlink()
    return tmp_path


def test_models_labels_and_lists_are_made_and_damage_is_told(download):
    answer = run(download, '--subset', 'real_train')
    assert answer.exit_code == 0
    told, = [line for line in answer.stdout.splitlines() if line.startswith('left out: ')]
    assert 'real_can_norm.obj holds 1 vertices and 0 triangles' in told
    assert f'1 frames are ready, listed in {download}/Real/train_list.txt' in answer.stdout
    frame = NocsDataset(download, 'real_train', 'spd')[0]
    assert [item.label for item in frame.objects] == ['bowl', 'laptop', 'mug', 'bottle']


def test_what_is_there_is_kept(download):
    run(download, '--subset', 'real_train')
    made = [download / 'obj_models/real_train.pkl', download / 'Real/train/scene_1/0000_label.pkl']
    times = [path.stat().st_mtime_ns for path in made]
    assert 'left out' not in run(download, '--subset', 'real_train').stdout
    assert [path.stat().st_mtime_ns for path in made] == times


def test_test_frames_whose_truth_nobody_published_are_told(download):
    (download / 'Real/train').rename(download / 'Real/test')
    (download / 'obj_models/real_train').rename(download / 'obj_models/real_test')
    answer = run(download, '--subset', 'real_test')
    assert ('1 of them, such as test/scene_1/0000, have no published poses '
            f'({download}/gts/real_test/results_real_test_scene_1_0000.pkl)') in answer.stdout


def test_a_folder_that_is_no_download_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=f'{tmp_path} is no data set of a known layout'):
        run(tmp_path, '--subset', 'camera_val')
    (tmp_path / 'CAMERA/val').mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="no split 'real_test'; choose one of camera_val"):
        run(tmp_path, '--subset', 'real_test')
    with pytest.raises(InvalidInputError, match='obj_models/val holds no usable mesh .* unpack'):
        run(tmp_path, '--subset', 'camera_val')


def test_every_subset_can_be_chosen():
    assert tuple(subset.value for subset in Subset) == get_args(nocs_layout.Subset)
