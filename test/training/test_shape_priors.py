"""Shape priors: medoids, even subsamples and files."""

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.rendering.mesh import Mesh, concatenate
from pose_estimation_ros.synthetic.object_model import ObjectModel
from pose_estimation_ros.training.shape_priors import (
    category_priors,
    chamfer_medoid,
    load_priors,
    save_priors,
    surface_points,
)


def _cube(half: float) -> Mesh:
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing='ij')).reshape(3, 8).T
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return Mesh((half * corners).astype(np.float32), np.array(faces, dtype=np.int32))


def _sphere_points(radius: float, seed: int, count: int = 128) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return (radius * points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_surface_points_leave_out_what_nothing_can_see() -> None:
    mesh = concatenate([_cube(0.1), _cube(0.05)])
    size = np.full(3, 0.2)
    model = ObjectModel('box', 'can', mesh, np.zeros(24, np.int32), ('body',), size, (np.eye(3),))
    points = surface_points(model, 500, np.random.default_rng(0))
    assert points.shape == (500, 3)
    assert points.dtype == np.float32
    outermost = np.abs(points).max(axis=1) * np.linalg.norm(size)
    np.testing.assert_allclose(outermost, 0.1, atol=1e-6)


def test_the_medoid_is_the_cloud_in_the_middle() -> None:
    clouds = np.stack([_sphere_points(r, i) for i, r in enumerate((0.5, 0.2, 0.3, 0.35, 0.1))])
    assert chamfer_medoid(clouds) == 2


def test_priors_of_synthetic_categories_have_their_proportions() -> None:
    priors = category_priors(instances=4)
    assert priors.shape == (6, 1024, 3)
    assert priors.dtype == np.float32
    size = 2.0 * np.abs(priors).max(axis=1)
    assert (np.linalg.norm(size, axis=1) > 0.9).all()
    assert (np.linalg.norm(size, axis=1) < 1.02).all()
    bottle, bowl, mug = size[0], size[1], size[5]
    assert bottle[1] > 1.5 * bottle[0]
    assert bowl[1] < bowl[0]
    assert mug[0] > mug[2]


def test_saved_priors_are_read_back_and_published_ones_are_accepted(tmp_path: Path) -> None:
    priors = np.random.default_rng(0).uniform(-0.5, 0.5, (6, 10, 3))
    save_priors(tmp_path / 'a' / 'priors.npz', priors.astype(np.float32), 'medoid')
    np.save(tmp_path / 'mean.npy', priors)
    for path in (tmp_path / 'a' / 'priors.npz', tmp_path / 'mean.npy'):
        read = load_priors(path)
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, priors, atol=1e-7)


def test_unusable_prior_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='cannot be read'):
        load_priors(tmp_path / 'none.npz')
    np.savez(tmp_path / 'other.npz', something=np.zeros(3))
    with pytest.raises(ModelError, match='cannot be read'):
        load_priors(tmp_path / 'other.npz')
    np.save(tmp_path / 'millimetres.npy', np.full((6, 10, 3), 80.0))
    with pytest.raises(ModelError, match='not finite NOCS coordinates'):
        load_priors(tmp_path / 'millimetres.npy')
