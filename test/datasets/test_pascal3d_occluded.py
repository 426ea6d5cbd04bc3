import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pascal3d_files import EMPTY, entry, write_occluded, write_pascal3d

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.pascal3d import Pascal3dDataset
from pose_estimation_ros.datasets.pascal3d_occluded import OccludedPascal3dDataset

COVER = np.zeros((32, 48), bool)
COVER[:, 20:28] = True


@pytest.fixture
def roots(tmp_path):
    return tmp_path / 'occluded', write_pascal3d(tmp_path / 'pascal3d')


def test_poses_come_from_pascal3d_and_masks_from_the_occluded_variant(roots):
    root, pascal3d = roots
    whole, _ = write_occluded(root, cover=COVER)
    dataset = OccludedPascal3dDataset(root, 'L1', pascal3d)
    frame = dataset[0]
    assert (len(dataset), dataset.name) == (1, 'OccludedPASCAL3D+-FGL1_BGL1')
    assert frame.name == 'carFGL1_BGL1/n01_2'
    np.testing.assert_array_equal(frame.instance_map, whole & ~COVER)
    (item,) = frame.objects
    assert item.visibility == pytest.approx(0.75)
    original = Pascal3dDataset(pascal3d, 'imagenet_val')[1].objects[0]
    np.testing.assert_array_equal(item.T_camera_object, original.T_camera_object)


def test_all_nine_levels_have_a_name(roots):
    root, pascal3d = roots
    write_occluded(root, level='FGL2_BGL3')
    assert len(OccludedPascal3dDataset(root, 'FGL2_BGL3', pascal3d)) == 1
    with pytest.raises(InvalidInputError, match="no level 'L3'; it has FGL2_BGL3"):
        OccludedPascal3dDataset(root, 'L3', pascal3d)


def test_a_mask_without_a_usable_object_stays_as_a_distractor(roots):
    root, pascal3d = roots
    write_pascal3d(pascal3d, entries=[entry(view=EMPTY)])
    write_occluded(root)
    frame = OccludedPascal3dDataset(root, 'L1', pascal3d)[0]
    assert frame.objects == ()
    assert frame.instance_map.max() == 1


def test_masks_that_cannot_be_used_are_named(roots):
    root, pascal3d = roots
    _, path = write_occluded(root)
    dataset = OccludedPascal3dDataset(root, 'L1', pascal3d)
    np.savez(path, mask=np.zeros((4, 4)), occluder_mask=np.zeros((4, 4)))
    with pytest.raises(InvalidInputError, match=r'n01_2.npz: mask is \(4, 4\)'):
        dataset[0]
    np.savez(path, mask=np.zeros((4, 4)))
    with pytest.raises(InvalidInputError, match='needs the arrays mask and occluder_mask'):
        dataset[0]
    path.write_bytes(b'PK damaged')
    with pytest.raises(InvalidInputError, match='cannot use .*n01_2.npz'):
        dataset[0]
    path.unlink()
    with pytest.raises(InvalidInputError, match='cannot use .*n01_2.npz'):
        dataset[0]
