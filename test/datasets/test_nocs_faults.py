"""Every fault of NOCS data is named with the file, the value and the cure."""

import os
import pickle
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nocs_scenes import write_dataset

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_pickles import read_pickle
from pose_estimation_ros.datasets.nocs_writer import NocsWriter

FRAME = 'CAMERA/val/00004/0000_'


@pytest.fixture
def root(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_val')
    return tmp_path


def change(path, **values):
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({**content, **values}))


def label(root, **values):
    change(root / f'{FRAME}label.pkl', **values)


def without_label(root):
    (root / f'{FRAME}label.pkl').unlink()


def meta(root, text):
    without_label(root)
    (root / f'{FRAME}meta.txt').write_text(text)


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def all_covered(root):
    path = str(root / f'{FRAME}mask.png')
    mask = cv2.imread(path)
    mask[mask == 255] = 9
    cv2.imwrite(path, mask)


def of(count, value, *shape):
    return np.full((count, *shape), value, dtype=np.float32)


FAULTS = {
    'no color': (lambda root: (root / f'{FRAME}color.png').unlink(),
                 r'cannot read .*0000_color.png: No such file'),
    'no depth': (lambda root: (root / f'{FRAME}depth.png').unlink(), r'cannot read .*_depth.png'),
    'no coordinates': (lambda root: (root / f'{FRAME}coord.png').unlink(), r'.*_coord.png'),
    'no list of objects': (lambda root: (without_label(root), meta_gone(root)),
                           r'cannot read .*_meta.txt'),
    'cut off': (lambda root: cut(root / f'{FRAME}coord.png'),
                r'0000_coord.png \(\d+ bytes\) is cut off .*copy or download it again'),
    'text for an image': (lambda root: (root / f'{FRAME}mask.png').write_text('mask'),
                          r'0000_mask.png \(4 bytes\) is cut off or not a PNG'),
    'no background': (all_covered, r'none of its pixels is 255 \(found \[1, 3, 7, 9\]\).*take'),
    'mask of floats': (lambda root: cv2.imwrite(str(root / f'{FRAME}mask.png'),
                                                np.zeros((120, 160), np.uint16)),
                       r'a mask must have one, three or four 8-bit channels'),
    'depth of 8 bits': (lambda root: cv2.imwrite(str(root / f'{FRAME}depth.png'),
                                                 np.zeros((120, 160), np.uint8)),
                        r'_depth.png holds \(120, 160\) uint8; depth must be'),
    'grey coordinates': (lambda root: cv2.imwrite(str(root / f'{FRAME}coord.png'),
                                                  np.zeros((120, 160), np.uint8)),
                         r'_coord.png holds .* coordinates must be three 8-bit channels'),
    'other size': (lambda root: cv2.imwrite(str(root / f'{FRAME}coord.png'),
                                            np.zeros((60, 80, 3), np.uint8)),
                   r'_coord.png is 80x60 but the colour image beside it is 160x120'),
    'class out of range': (lambda root: meta(root, '1 7 03797390 mug_model\n'),
                           r'_meta.txt: instance 1 has class 7; classes are 1 to 6, 0 = distract'),
    'negative class': (lambda root: meta(root, '1 -1 mug_model\n'), r'has class -1'),
    'class in a label': (lambda root: label(root, class_ids=[6, 0, 5]),
                         r'_label.pkl: bottle_model has class 0; classes are 1 to 6'),
    'words missing': (lambda root: meta(root, '1 6\n'), r"holds the line '1 6'; it must be"),
    'words for numbers': (lambda root: meta(root, 'one mug model\n'), r"the line 'one mug model'"),
    'background as an object': (lambda root: meta(root, '255 6 mug_model\n'),
                                r'names instance 255; a mask can hold 0 to 254'),
    'instance twice': (lambda root: meta(root, '1 6 mug_model\n1 1 bottle_model\n'),
                       r'_meta.txt names an instance twice: \[1, 1\]'),
    'NaN translation': (lambda root: label(root, translations=of(3, np.nan, 3)),
                        r'_label.pkl: translations holds NaN or infinity'),
    'no rotation': (lambda root: label(root, rotations=of(3, 0.3, 3, 3)),
                    r'_label.pkl: rotation of mug_model is .* no rotation'),
    'lengths differ': (lambda root: label(root, scales=of(2, 0.3)),
                       r'_label.pkl: scales must be \(3\), it is \(2,\)'),
    'visibilities missing': (lambda root: label(root, visibility=of(2, 0.5)),
                             r'_label.pkl: visibility must be \(3,\), it is \(2,\)'),
    'instance not in the mask': (lambda root: label(root, instance_ids=[1, 3, 8]),
                                 r'_label.pkl names the instances \[8\], which are not in the'),
    'entry missing': (lambda root: (root / f'{FRAME}label.pkl').write_bytes(
        pickle.dumps({'model_list': ['a']})), r'_label.pkl has no class_ids; it holds model_list'),
    'size of nothing': (lambda root: label(root, box_sizes=of(3, 0.0, 3)),
                        r"0000_\*: size of 'mug' .instance 1. must be positive"),
    'mug unknown': (lambda root: (root / 'obj_models/mug_meta.pkl').write_bytes(pickle.dumps({})),
                    r"mug_meta.pkl does not say how the mug 'mug_model' was re-centred"),
    'no mugs': (lambda root: (root / 'obj_models/mug_meta.pkl').unlink(),
                r'cannot read .*mug_meta.pkl: No such file'),
    'mugs otherwise': (lambda root: (root / 'obj_models/mug_meta.pkl').write_bytes(
        pickle.dumps({'mug_model': [1.0, 2.0]})), r'must hold a shift of 3 numbers and a scale'),
    'NaN in published poses': (
        lambda root: (without_label(root),
                      change(root / 'gts/val/results_val_00004_0000.pkl',
                             gt_RTs=of(3, np.nan, 4, 4))),
        r'results_val_00004_0000.pkl: gt_RTs holds NaN'),
    'mirrored published pose': (
        lambda root: (without_label(root),
                      change(root / 'gts/val/results_val_00004_0000.pkl',
                             gt_RTs=np.tile(np.diag([-1.0, 1, 1, 1]), (3, 1, 1)))),
        r'published rotation of mug_model is .* no rotation'),
    'camera': (lambda root: (root / 'CAMERA/val/00004/camera.json').write_text('{}'),
               r'camera.json does not describe a camera'),
}


def meta_gone(root):
    (root / f'{FRAME}meta.txt').unlink()


@pytest.mark.parametrize('fault', FAULTS)
def test_a_fault_is_named(root, fault):
    damage, reason = FAULTS[fault]
    damage(root)
    with pytest.raises(InvalidInputError, match=reason):
        NocsDataset(root, 'camera_val')[0]


def test_missing_models_say_which_command_makes_them(root):
    (root / 'obj_models/camera_val.pkl').unlink()
    with pytest.raises(InvalidInputError, match=r'camera_val.pkl is missing; make it .* dataset '
                                                r'prepare .* --subset camera_val'):
        NocsDataset(root, 'camera_val', 'spd')[0]


@pytest.mark.parametrize('convention', ['nocs', 'spd'])
def test_a_missing_model_is_named_where_its_size_is_needed(root, convention):
    content = pickle.loads((root / f'{FRAME}label.pkl').read_bytes())
    del content['box_sizes']
    (root / f'{FRAME}label.pkl').write_bytes(pickle.dumps(content))
    models = root / 'obj_models/camera_val.pkl'
    kept = pickle.loads(models.read_bytes())
    del kept['laptop_model']
    models.write_bytes(pickle.dumps(kept))
    with pytest.raises(InvalidInputError, match="camera_val.pkl lacks the model 'laptop_model' "
                                                '.2 others are there.; make the file again'):
        NocsDataset(root, 'camera_val', convention)[0]


def test_a_folder_of_another_layout_is_named_with_the_layout_that_is_needed(tmp_path):
    with pytest.raises(InvalidInputError, match='Real/test holds no NOCS frames; .*'
                                                'Real/test/<folder>/0000_color.png'):
        len(NocsDataset(tmp_path, 'real_test'))
    (tmp_path / 'CAMERA').mkdir()
    (tmp_path / 'CAMERA/val_list.txt').write_text('00000/0000\n')
    with pytest.raises(InvalidInputError, match="val_list.txt holds '00000/0000'; each line must"):
        len(NocsDataset(tmp_path, 'camera_val'))


def test_unknown_choices_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="unknown NOCS subset 'test'; choose one of"):
        len(NocsDataset(tmp_path, 'test'))
    with pytest.raises(ConfigurationError, match="unknown convention 'mug'"):
        NocsDataset(tmp_path, 'real_test', convention='mug')
    with pytest.raises(ConfigurationError, match="unknown depth 'both'"):
        NocsDataset(tmp_path, 'real_test', depth='both')


def test_coordinates_and_depth_that_do_not_fit_are_named(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_train')
    folder = tmp_path / 'CAMERA/train/00004'
    (folder / '0000_label.pkl').unlink()
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / '0000_coord.png'), noise)
    depth = np.random.default_rng(1).integers(1, 9, (120, 160)).astype(np.uint16) * 4000
    cv2.imwrite(str(folder / '0000_depth.png'), depth)
    with pytest.raises(InvalidInputError, match=r'0000_\*: coordinates and depth of .* not fit'):
        NocsDataset(tmp_path, 'camera_train')[0]


class Harmful:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize('wrap', [
    lambda harmful: harmful,
    lambda harmful: {'class_ids': harmful},
    lambda harmful: {'class_ids': np.array([harmful], dtype=object)},
])
def test_a_pickle_cannot_run_code(tmp_path, wrap):
    path = tmp_path / 'label.pkl'
    path.write_bytes(pickle.dumps(wrap(Harmful(tmp_path / 'harm'))))
    with pytest.raises(InvalidInputError, match='is not a pickle of plain arrays .*mkdir'):
        read_pickle(path)
    assert not (tmp_path / 'harm').exists()


@pytest.mark.parametrize(('content', 'reason'), [
    (b'', 'is not a pickle of plain arrays'), (b'text', 'is not a pickle of plain arrays'),
    (pickle.dumps([1, 2]), 'must hold a dictionary, not list'),
    (pickle.dumps({'a': np.arange(100.0)})[:-60], 'is not a pickle of plain arrays'),
])
def test_a_damaged_pickle_is_named(tmp_path, content, reason):
    (tmp_path / 'x.pkl').write_bytes(content)
    with pytest.raises(InvalidInputError, match=f'x.pkl {reason}'):
        read_pickle(tmp_path / 'x.pkl')


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_of_every_protocol_can_be_read(tmp_path, protocol):
    content = {'a': np.arange(6.0).reshape(2, 3), 'b': ['x', 1, None], 'c': np.float32(2.5),
               'd': np.array([True]), 'e': np.array(['mug'])}
    (tmp_path / 'x.pkl').write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_pickle(tmp_path / 'x.pkl')
    assert (read['b'], read['c'], read['d'], read['e']) == (['x', 1, None], 2.5, [True], ['mug'])
    np.testing.assert_array_equal(read['a'], content['a'])


def test_arrays_that_python_2_wrote_can_be_read(tmp_path):
    # As Python 2 writes {'a': numpy.array([1., -2.])}: its strings of bytes are not text.
    (tmp_path / 'x.pkl').write_bytes(
        b"(dp0\nS'a'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\n"
        b"tp4\nS'b'\np5\ntp6\nRp7\n(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'f8'\np10\nI0\nI1\ntp11\n"
        b"Rp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\n"
        b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xc0'\np15\n"
        b"tp16\nbs.")
    np.testing.assert_array_equal(read_pickle(tmp_path / 'x.pkl')['a'], [1.0, -2.0])
