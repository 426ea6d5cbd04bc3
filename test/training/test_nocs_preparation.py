"""Downloaded NOCS data become models, labels and lists."""

import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_layout import NocsLayout
from pose_estimation_ros.datasets.nocs_models import (
    centred_extent,
    mug_recentring,
    read_model_points,
    read_mug_recentrings,
)
from pose_estimation_ros.training.nocs_preparation import prepare_labels, prepare_models

EXCERPT = Path(__file__).parents[1] / 'data/spd/nocs'
BOX = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
QUADS = ((1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4))


def write_box(path, size, shift=(0, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'v {x} {y} {z}' for x, y, z in BOX * size + shift]
    for a, b, c, d in QUADS:
        lines += [f'f {a} {b} {c}', f'f {a} {c} {d}']
    path.write_text('\n'.join(lines) + '\n')


def test_camera_models_are_flipped_along_z_and_mugs_recentred(tmp_path):
    folder = tmp_path / 'obj_models/train'
    size = np.array([0.6, 0.64, 0.48])
    write_box(folder / '02876657/a_bottle/model.obj', size, (0, 0, 0.01))
    write_box(folder / '03797390/a_mug/model.obj', size)
    write_box(folder / '03797390/b9be7cfe653740eb7633a2dd89cec754/model.obj', size)
    (folder / '02876657/broken').mkdir()
    (folder / '02876657/broken/model.obj').write_text('v 0 0 0\n')
    layout = NocsLayout(tmp_path, 'camera_train')
    problems = prepare_models(layout)
    assert len(problems) == 2
    assert any('b9be7cfe653740eb7633a2dd89cec754 is an improper mesh' in text for text in problems)
    assert any('broken/model.obj' in text for text in problems)

    points = read_model_points(layout.points_file)
    assert set(points) == {'a_bottle', 'a_mug'}
    assert points['a_bottle'].shape == (1024, 3)
    np.testing.assert_allclose([points['a_bottle'].min(0), points['a_bottle'].max(0)],
                               [[-0.3, -0.32, -0.25], [0.3, 0.32, 0.23]], atol=2e-3)
    change = read_mug_recentrings(layout.mug_file)['a_mug']
    # Half the width less half the depth.
    np.testing.assert_allclose(change.shift, [0.3 - 0.24, 0, 0], atol=2e-3)
    assert np.linalg.norm(centred_extent(points['a_mug'])) == pytest.approx(1, abs=1e-6)
    assert pickle.loads(layout.mug_file.read_bytes())['a_mug'][1] == change.scale


def test_scanned_models_are_divided_by_their_diagonal(tmp_path):
    size = np.array([0.10, 0.08, 0.06])
    for name in ('bowl_blue_norm', 'mug_white_norm'):
        path = tmp_path / f'obj_models/real_test/{name}.obj'
        write_box(path, size)
        np.savetxt(path.with_suffix('.txt'), size)
    layout = NocsLayout(tmp_path, 'real_test')
    (tmp_path / 'obj_models/mug_meta.pkl').write_bytes(
        pickle.dumps({'of_another_subset': [np.zeros(3), 0.5]}))
    assert prepare_models(layout) == ()
    bowl = read_model_points(layout.points_file)['bowl_blue_norm']
    np.testing.assert_allclose(centred_extent(bowl), size / np.linalg.norm(size), atol=4e-3)
    assert set(read_mug_recentrings(layout.mug_file)) == {'mug_white_norm', 'of_another_subset'}


@pytest.mark.parametrize(('model', 'x', 'z'), [
    ('3a7439cfaa9af51faf1af397e14a566d', 0.115, 0.0),
    ('5b0c679eb8a2156c4314179664d18101', 0.083, -0.044),
    ('649a51c711dc7f3b32e150233fdd42e9', 0.0, -0.017),
    ('bf2b5e941b43d030138af902bc222a59', 0.0534, 0.0),
    ('ca198dc3f7dc0cacec6338171298c66b', 0.120, 0.0),
    ('f42a9784d165ad2f5e723252788c3d6e', 0.117, -0.026),
])
def test_six_mugs_have_shifts_set_by_hand(model, x, z):
    points = BOX * (0.7, 0.5, 0.5)
    change = mug_recentring(model, points)
    np.testing.assert_array_equal(change.shift, [x, 0.0, z])
    extent = np.array([0.7 + 2 * x, 0.5, 0.5 - 2 * z])
    assert change.scale == pytest.approx(1 / np.linalg.norm(extent))
    np.testing.assert_allclose(change.inverse.points(change.points(points)), points, atol=1e-12)


def test_a_folder_without_meshes_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match='obj_models/val holds no usable mesh .*unpack'):
        prepare_models(NocsLayout(tmp_path, 'camera_val'))


@pytest.mark.parametrize(('subset', 'source'),
                         [('camera_train', 'CAMERA'), ('real_train', 'Real')])
def test_labels_and_lists_are_the_published_ones_and_damage_is_left_out(tmp_path, subset, source):
    shutil.copytree(EXCERPT, tmp_path, dirs_exist_ok=True)
    folder = next((tmp_path / source / 'train').iterdir())
    name = f'train/{folder.name}'
    published = (folder / '0000_label.pkl').read_bytes()
    for path in list(folder.glob('0000_*')):
        shutil.copyfile(path, path.with_name(path.name.replace('0000', '0001', 1)))
    (folder / '0000_label.pkl').unlink()
    (folder / '0001_label.pkl').unlink()
    mask = cv2.imread(str(folder / '0001_mask.png'), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(folder / '0001_mask.png'), np.where(mask == 255, 9, mask))

    problem, = prepare_labels(NocsDataset(tmp_path, subset))
    assert '0001_mask.png has no background' in problem
    assert (tmp_path / source / 'train_list.txt').read_text() == f'{name}/0000\n'
    assert (tmp_path / source / 'train_list_all.txt').read_text() == f'{name}/0000\n{name}/0001\n'
    ours, theirs = pickle.loads((folder / '0000_label.pkl').read_bytes()), pickle.loads(published)
    for key in theirs:
        if key == 'model_list':
            assert ours[key] == theirs[key]
        else:
            np.testing.assert_allclose(ours[key], theirs[key], atol=2e-7)
    models = read_model_points(tmp_path / f'obj_models/{subset}.pkl')
    np.testing.assert_allclose(ours['size'], [centred_extent(models[model])
                                              for model in ours['model_list']], rtol=1e-6)


def test_frames_none_of_which_can_be_used_are_refused_with_the_reason(tmp_path):
    shutil.copytree(EXCERPT, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / 'Real/train/scene_1'
    (folder / '0000_label.pkl').unlink()
    mask = cv2.imread(str(folder / '0000_mask.png'), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(folder / '0000_mask.png'), np.where(mask == 255, 9, mask))
    (tmp_path / 'Real/train_list.txt').unlink()
    with pytest.raises(InvalidInputError, match=r'none of the 1 frames in .* no background'):
        prepare_labels(NocsDataset(tmp_path, 'real_train'))
    assert not (tmp_path / 'Real/train_list.txt').exists()
