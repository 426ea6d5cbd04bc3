"""Neural meshes survive their file, and those that contradict themselves are refused."""

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.backends.neural_mesh_archive import (
    CategoryMesh,
    read_category_meshes,
    write_category_meshes,
)
from pose_estimation_ros.core.cuboid_mesh import centered_cuboid
from pose_estimation_ros.core.errors import InvalidInputError, ModelError


def _mesh(extents: tuple[float, float, float], clutter: int = 1) -> CategoryMesh:
    """Return a mesh of about 30 vertices that also knows longer objects."""
    cuboid = centered_cuboid(extents, vertices=30)
    generator = np.random.default_rng(len(cuboid.vertices))
    return CategoryMesh(
        np.stack([extents, np.multiply(extents, (1, 1.5, 1))]), cuboid.counts,
        generator.standard_normal((len(cuboid.vertices), 4)).astype(np.float32),
        generator.standard_normal((clutter, 4)).astype(np.float32))


def test_meshes_survive_their_file(tmp_path: Path) -> None:
    meshes = {'mug': _mesh((0.12, 0.1, 0.09)), 'can': _mesh((0.07, 0.12, 0.07), clutter=3)}
    write_category_meshes(tmp_path / 'meshes.npz', meshes)
    read = read_category_meshes(tmp_path / 'meshes.npz')

    assert list(read) == ['mug', 'can']
    for name, mesh in meshes.items():
        assert read[name].counts == mesh.counts
        for array in ('aspects', 'features', 'clutter'):
            np.testing.assert_array_equal(getattr(read[name], array), getattr(mesh, array))
    assert [path.name for path in tmp_path.iterdir()] == ['meshes.npz']


def test_a_cuboid_is_centred_and_has_the_same_vertices_whatever_its_extents() -> None:
    mesh = _mesh((0.12, 0.1, 0.09))
    mean, longer = mesh.cuboid(), mesh.cuboid(aspect=1)
    np.testing.assert_allclose(mean.upper, [0.06, 0.05, 0.045])
    np.testing.assert_allclose(mean.lower, -mean.upper)
    np.testing.assert_allclose(mesh.extents, [0.12, 0.1, 0.09])
    np.testing.assert_allclose(longer.vertices, mean.vertices * [1, 1.5, 1])


@pytest.mark.parametrize(('part', 'value', 'fault'), [
    ('features', np.zeros((7, 4), np.float32), 'has 42 vertices, but there are features of 7'),
    ('clutter', np.zeros((1, 5), np.float32), r'not \(2, 3\)'),
    ('clutter', np.zeros((0, 4), np.float32), r'clutter \(M, D\), not'),
    ('clutter', np.full((1, 4), np.nan, np.float32), 'no finite numbers'),
    ('aspects', np.array([[0.1, 0.0, 0.1]]), 'positive extents'),
    ('counts', (1, 3, 3), 'at least two vertices')])
def test_a_mesh_that_contradicts_itself_is_refused(part: str, value: object, fault: str) -> None:
    mesh = _mesh((0.1, 0.1, 0.07))
    parts = {name: getattr(mesh, name) for name in ('aspects', 'counts', 'features', 'clutter')}
    with pytest.raises(InvalidInputError, match=fault):
        CategoryMesh(**{**parts, part: value})


def test_a_file_without_meshes_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'text.npz').write_text('no archive')
    np.savez(tmp_path / 'other.npz', points=np.zeros(3))
    np.save(tmp_path / 'array.npy', np.zeros(3))
    (tmp_path / 'array.npy').rename(tmp_path / 'array.npz')
    for name in ('text.npz', 'other.npz', 'array.npz', 'missing.npz'):
        with pytest.raises(ModelError, match=f'{name} holds no neural meshes'):
            read_category_meshes(tmp_path / name)


def test_a_file_with_a_changed_byte_is_refused_or_reads_the_same(tmp_path: Path) -> None:
    mesh, path = _mesh((0.1, 0.1, 0.07)), tmp_path / 'meshes.npz'
    write_category_meshes(path, {'mug': mesh})
    whole = path.read_bytes()
    refused = 0
    for place in range(40, len(whole), 23):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5a]) + whole[place + 1:])
        try:
            read = read_category_meshes(path)
        except ModelError:
            refused += 1
        else:
            np.testing.assert_array_equal(read['mug'].features, mesh.features)
    assert refused > 0.5 * len(range(40, len(whole), 23))
