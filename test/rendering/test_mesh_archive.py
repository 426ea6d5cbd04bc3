import numpy as np
import pytest

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.rendering.mesh_archive import read_mesh_archive, write_mesh_archive
from pose_estimation_ros.rendering.primitives import box


def test_meshes_come_back_by_name_and_in_order(tmp_path):
    meshes = {'obj_000005': box([0.1, 0.2, 0.3]), 'obj_000001': box([0.05] * 3)}
    path = tmp_path / 'meshes.npz'

    write_mesh_archive(path, meshes)
    found = read_mesh_archive(path)

    assert list(found) == ['obj_000005', 'obj_000001']
    for name, mesh in meshes.items():
        np.testing.assert_array_equal(found[name].vertices, mesh.vertices)
        np.testing.assert_array_equal(found[name].faces, mesh.faces)
    assert [entry.name for entry in tmp_path.iterdir()] == ['meshes.npz']


def test_another_or_damaged_file_is_refused(tmp_path):
    other, cut = tmp_path / 'other.npz', tmp_path / 'cut.npz'
    np.savez(other, priors=np.zeros(3))
    write_mesh_archive(cut, {'can': box([0.1] * 3)})
    cut.write_bytes(cut.read_bytes()[:-40])
    for path in (other, cut):
        with pytest.raises(ModelError, match='is no archive of meshes'):
            read_mesh_archive(path)
