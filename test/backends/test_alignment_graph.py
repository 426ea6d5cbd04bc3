"""The alignment as a graph, on the CPU: the file that runs on GPUs, against NumPy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from lite_models import ROOT
from numpy.typing import NDArray

from pose_estimation_ros.backends import lite
from pose_estimation_ros.backends.alignment_graph import (
    GRAPH_FILE,
    AlignmentGraph,
    alignment_beside,
)
from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.correspondences import align_members
from pose_estimation_ros.backends.lite import LiteBackend, ObjectPoints
from pose_estimation_ros.core.alignment import Alignment
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.runtime import InferenceSession, ModelStore

Array = NDArray[np.float32]

SEED = 3
GRAPH = AlignmentGraph('cpu', 1, SEED)
DIAGONAL = 0.2


def correspondences(nocs: NDArray[np.float64], seed: int = 0,
                    noise: float = 0.0) -> tuple[Array, Array]:
    """Return points for NOCS coordinates (B, N, 3), one random pose each, and the coordinates."""
    generator = np.random.default_rng(seed)
    R = np.stack([random_rotation(generator) for _ in nocs])
    points = DIAGONAL * nocs @ np.swapaxes(R, 1, 2) + (0.1, -0.05, 0.7)
    points += noise * generator.standard_normal(points.shape)
    return points.astype(np.float32), nocs.astype(np.float32)


def boxes(count: int, points: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (count, points, 3))


def both(points: Array, nocs: Array, logits: Array | None = None) -> tuple[Alignment, Alignment]:
    """Return what NumPy finds, and the graph."""
    if logits is None:
        logits = np.ones(nocs.shape[:2], np.float32)
    probability = 1.0 / (1.0 + np.exp(-logits))
    return (align_members(points, nocs, probability, SEED), GRAPH.align(points, nocs, logits))


def assert_same_fit(expected: Alignment, found: Alignment) -> None:
    """Check everything but the rotation and the translation, which depends on it."""
    np.testing.assert_array_equal(found.valid, expected.valid)
    np.testing.assert_array_equal(found.inliers, expected.inliers)
    np.testing.assert_allclose(found.inlier_ratio, expected.inlier_ratio, atol=1e-12)
    valid = expected.valid
    np.testing.assert_allclose(found.similarity.scale[valid], expected.similarity.scale[valid],
                               rtol=1e-7)
    np.testing.assert_allclose(found.residual[valid], expected.residual[valid], atol=1e-9)


def assert_same(expected: Alignment, found: Alignment) -> None:
    assert_same_fit(expected, found)
    valid = expected.valid
    np.testing.assert_allclose(found.similarity.R[valid], expected.similarity.R[valid], atol=1e-7)
    np.testing.assert_allclose(found.similarity.t[valid], expected.similarity.t[valid], atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), points=st.integers(20, 300),
       noise=st.sampled_from([0.0, 0.001, 0.01]), outliers=st.sampled_from([0.0, 0.3, 0.6, 0.8]))
def test_equal_samples_give_the_alignment_of_numpy(seed: int, count: int, points: int,
                                                   noise: float, outliers: float) -> None:
    nocs = boxes(count, points, seed)
    observed, nocs = correspondences(nocs, seed, noise)
    generator = np.random.default_rng(seed)
    wrong = generator.random((count, points)) < outliers
    nocs[wrong] = generator.uniform(-0.5, 0.5, (np.count_nonzero(wrong), 3))

    assert_same(*both(observed, nocs))


@pytest.mark.parametrize(('shape', 'noise'), [((1, 1, 0), 0.0), ((1, 1, 0), 0.003),
                                              ((1, 1e-3, 1e-3), 0.0), ((1, 1e-2, 0), 0.0)])
def test_flat_and_thin_objects_have_the_rotation_of_numpy(shape: tuple[float, ...],
                                                          noise: float) -> None:
    assert_same(*both(*correspondences(boxes(3, 200) * shape, noise=noise)))


@pytest.mark.parametrize('noise', [0.0, 0.003])
def test_of_points_on_a_line_all_is_the_same_but_the_spin_about_it(noise: float) -> None:
    points, nocs = correspondences(boxes(3, 200) * (1, 0, 0), noise=noise)

    expected, found = both(points, nocs)

    assert_same_fit(expected, found)
    np.testing.assert_allclose(found.similarity.R[..., 0], expected.similarity.R[..., 0],
                               atol=1e-7)
    np.testing.assert_allclose(np.linalg.det(found.similarity.R), 1.0)


def test_mirrored_points_give_the_best_rotation_without_reflection() -> None:
    points, nocs = correspondences(boxes(3, 200))

    expected, found = both(points, nocs * np.float32([1, 1, -1]))

    assert_same(expected, found)
    np.testing.assert_allclose(np.linalg.det(found.similarity.R), 1.0)


@pytest.mark.parametrize('scale', [0.0, np.nan])
def test_points_that_coincide_or_are_unknown_give_no_alignment(scale: float) -> None:
    points, nocs = correspondences(boxes(2, 50))

    for expected, found in (both(points, nocs * np.float32(scale)),
                            both(points * np.float32(scale), nocs)):
        assert not expected.valid.any()
        assert not found.valid.any()


def test_unrelated_points_and_too_few_inliers_are_refused_alike() -> None:
    generator = np.random.default_rng(1)
    points, nocs = correspondences(boxes(3, 256))
    nocs[:, 20:] = generator.uniform(-0.5, 0.5, nocs[:, 20:].shape)

    expected, found = both(points, nocs)

    assert not expected.valid.all()
    assert_same(expected, found)


def test_background_and_unknown_points_have_no_say() -> None:
    points, nocs = correspondences(boxes(3, 200))
    logits = np.random.default_rng(0).normal(size=(3, 200)).astype(np.float32)
    points[logits < 0] += 1.0
    points[0, :10], nocs[1, 5] = np.nan, np.inf

    expected, found = both(points, nocs, logits)

    assert found.valid.all()
    assert not found.inliers[logits < 0].any()
    assert_same(expected, found)


def test_a_network_that_trusts_too_few_points_is_not_believed() -> None:
    points, nocs = correspondences(boxes(2, 100))
    logits = np.full((2, 100), -1.0, np.float32)
    logits[0, :15], logits[1, :16] = 1.0, 1.0

    expected, found = both(points, nocs, logits)

    assert found.inliers.sum(axis=1).tolist() == [100, 16]
    assert_same(expected, found)


def test_an_object_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    points, nocs = correspondences(boxes(4, 128), noise=0.005)
    logits = np.random.default_rng(0).normal(1.0, 1.0, (4, 128)).astype(np.float32)

    together = GRAPH.align(points, nocs, logits)

    for row in range(4):
        part = slice(row, row + 1)
        alone = GRAPH.align(points[part], nocs[part], logits[part])
        np.testing.assert_allclose(together.similarity.R[part], alone.similarity.R, atol=1e-12)
        np.testing.assert_array_equal(together.inliers[part], alone.inliers)


@pytest.mark.parametrize('name', ['spd_lite', 'crnet_lite'])
def test_a_backend_with_the_graph_gives_the_poses_of_numpy(
        name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelStore([ROOT / 'models']).find(name)
    options = BackendOptions(device='cpu', threads=1)
    usual = LiteBackend(model, options)
    monkeypatch.setattr(lite, 'alignment_beside', lambda network, options, points: AlignmentGraph(
        'cpu', 1, options.seed))
    with_graph = LiteBackend(model, options)
    generator = np.random.default_rng(0)
    # The network is not sure of such boxes, so that second placements are aligned, too.
    points, _ = correspondences(boxes(6, usual.points) * (1.0, 1.5, 0.6), noise=0.002)
    colors = generator.uniform(size=(6, usual.points, 9)).astype(np.float32)
    objects = ObjectPoints(points, colors if usual.takes_color else None)
    labels = ['can', 'bottle', 'mug', 'bowl', 'laptop', 'camera']

    expected, found = (backend.solve(objects, labels, None) for backend in (usual, with_graph))

    assert expected.poses.valid.all()
    assert (expected.probability < 0.5).any()
    for field in ('T_camera_object', 'scale', 'size', 'inlier_ratio', 'residual', 'covariance'):
        np.testing.assert_allclose(getattr(found.poses, field), getattr(expected.poses, field),
                                   atol=1e-6, err_msg=field)
    for field in ('nocs', 'shape', 'membership', 'probability'):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
    usual.close()
    with_graph.close()


@pytest.mark.parametrize(('asked', 'provider', 'where'), [
    ('auto', 'CPUExecutionProvider', None), ('cpu', 'CPUExecutionProvider', None),
    ('auto', 'CUDAExecutionProvider', 'auto'), ('cuda', 'CUDAExecutionProvider', 'cuda'),
    ('tensorrt', 'TensorrtExecutionProvider', 'cuda')])
def test_the_graph_runs_on_gpus_only_and_never_in_tensorrt(
        monkeypatch: pytest.MonkeyPatch, asked: str, provider: str, where: str | None) -> None:
    opened: list[str] = []
    monkeypatch.setattr(InferenceSession, '__init__',
                        lambda self, path, device, threads: opened.append(device))
    monkeypatch.setattr(InferenceSession, 'warm_up', lambda self, shapes: None)
    network = InferenceSession(Path('network.onnx'), asked, 1)
    network.providers = (provider, 'CPUExecutionProvider')

    graph = alignment_beside(network, BackendOptions(device=asked), 8)

    assert (graph is None) == (where is None)
    assert opened == [asked, *([] if where is None else [where])]


def test_where_the_device_does_not_take_the_graph_poses_are_aligned_on_the_cpu(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise ModelError('the network failed: no kernel for Einsum')

    monkeypatch.setattr(AlignmentGraph, 'warm_up', refuse)
    network = InferenceSession(GRAPH_FILE, 'cpu', 1)
    network.providers = ('CUDAExecutionProvider', 'CPUExecutionProvider')

    assert alignment_beside(network, BackendOptions(device='cpu'), 8) is None
    assert 'no kernel for Einsum' in caplog.text
