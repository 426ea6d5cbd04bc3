"""MRC-Net's labels and losses: the recorded published values, and their plain definitions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
from pose_estimation_ros.core.site_translation import TranslationGrid
from pose_estimation_ros.core.so3_grid import so3_grid
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.training.mrc_labels import (
    ObjectTables,
    RotationLabels,
    cell_labels,
    depth_labels,
    spread_vertices,
)
from pose_estimation_ros.training.mrc_losses import (
    coordinate_loss,
    depth_distance,
    one_of_many_loss,
    position_distance,
    rotation_bin_loss,
    rotation_distance,
    smooth_distance,
    translation_of,
)
from pose_estimation_ros.training.mrc_objects import CadObject

EXCERPT = Path(__file__).parents[1] / 'data' / 'mrc' / 'labels_and_losses.npz'
WHOLE = (Path(__file__).parents[2].parent
         / 'shared/specs/fixtures/rgb/mrcnet_geometry_fixture.npz')
HALF_TURN = Symmetry(discrete=(tuple(np.diag([-1.0, -1.0, 1.0]).ravel()),))
SPIN = Symmetry(axis=(0.0, 0.0, 1.0))


def known(vertices, symmetry):
    return CadObject('thing', Mesh(vertices, np.zeros((0, 3))), symmetry)


def recorded(path):
    if path == WHOLE and not path.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(params=[EXCERPT, WHOLE], ids=['excerpt', 'whole'])
def published(request):
    return recorded(request.param)


@pytest.mark.parametrize(('name', 'symmetry', 'tolerance'), [
    ('none', NO_SYMMETRY, 1e-5), ('disc2', HALF_TURN, 1e-5),
    # The published turns about an axis leave out 0.
    ('cont', SPIN, 1e-3)])
def test_rotation_labels_equal_the_published_ones(published, name, symmetry, tolerance):
    vertices = published['mesh_V'].numpy()
    tables = ObjectTables([known(vertices, symmetry)], len(vertices))
    labels = RotationLabels(tables, so3_grid(4))(published['label_R'], torch.zeros(3).long())
    step = labels.shape[1] // published[f'label_{name}'].shape[1]
    difference = labels[:, ::step] - published[f'label_{name}']
    assert difference.abs().max() < tolerance
    assert float(tables.diameters[0]) == pytest.approx(float(published['mesh_diam']), rel=1e-6)


def test_labels_of_cells_and_depth_bins_equal_the_published_ones(published):
    grid = TranslationGrid(256, 64, 1000, 0.05, 1.7)
    tau = torch.from_numpy(grid.encode(published['xy_t'], published['site_roiK']))
    cells = cell_labels(tau[:8, :2], torch.from_numpy(grid.cell_centers()))
    step = cells.shape[1] // published['xy_label_f32'].shape[1]
    assert (cells[:, ::step] - published['xy_label_f32']).abs().max() < 1e-5
    depths = depth_labels(published['site_tau'][:8, 2].double(),
                          torch.from_numpy(grid.depth_centers()))
    # They were recorded from single precision.
    assert (depths - published['depth_label_f32']).abs().max() < 5e-5


def test_classification_losses_equal_the_published_ones(published):
    # Recorded without the weights of the terms, per sample.
    grid = torch.from_numpy(so3_grid(4)).float()
    tables = ObjectTables([known(published['mesh_V'].numpy(), NO_SYMMETRY)], 200)
    labels = RotationLabels(tables, grid.numpy())(published['label_R'], torch.zeros(3).long())
    found = [float(rotation_bin_loss(published['loss_logits_R'][i:i + 1], labels[i:i + 1]))
             for i in range(3)]
    np.testing.assert_allclose(found, published['loss_focal_R_none_red'], rtol=1e-5)
    found = [float(one_of_many_loss(published['dec_z_logits'][i:i + 1],
                                    published['depth_label_f32'][i:i + 1])) for i in range(8)]
    np.testing.assert_allclose(found, published['loss_focal_z'], rtol=1e-5)


def test_smooth_distance_equals_the_published_one(published):
    found = smooth_distance(published['sl1_err'])
    np.testing.assert_allclose(found, published['sl1'], rtol=1e-5)


def test_a_loss_at_zero_error_has_a_finite_gradient():
    error = torch.zeros(2, 3, requires_grad=True)
    smooth_distance(error).sum().backward()
    assert torch.equal(error.grad, torch.zeros(2, 3))


def random_rotations(count, seed=0):
    generator = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([random_rotation(generator)
                                      for _ in range(count)])).float()


def lopsided_vertices(count=500, seed=1):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 3)) * [0.02, 0.03, 0.05] + [0.01, 0.0, 0.0]


def test_labels_of_equivalent_rotations_are_equal():
    tables = ObjectTables([known(lopsided_vertices(), HALF_TURN)])
    R = random_rotations(5)
    equivalent = R @ torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    make = RotationLabels(tables, so3_grid(2))
    index = torch.zeros(5).long()
    torch.testing.assert_close(make(R, index), make(equivalent, index), atol=1e-5, rtol=0)


def test_labels_of_a_mixed_batch_are_those_of_each_object_alone():
    objects = [known(lopsided_vertices(seed=1), NO_SYMMETRY),
               known(lopsided_vertices(seed=2), HALF_TURN)]
    R, index = random_rotations(6), torch.tensor([0, 1, 1, 0, 0, 1])
    mixed = RotationLabels(ObjectTables(objects), so3_grid(2))(R, index)
    for number, item in enumerate(objects):
        rows = index == number
        alone = RotationLabels(ObjectTables([item]), so3_grid(2))(
            R[rows], torch.zeros(3).long())
        torch.testing.assert_close(mixed[rows], alone)


def test_few_vertices_give_nearly_the_labels_of_all():
    item = known(lopsided_vertices(5000), NO_SYMMETRY)
    R, index = random_rotations(8), torch.zeros(8).long()
    few, many = (RotationLabels(ObjectTables([item], count), so3_grid(2))(R, index)
                 for count in (128, 5000))
    assert (few - many).abs().max() < 0.015
    assert many.max() > 0.1


def test_a_hard_label_marks_the_closest_bin_of_the_truth_and_of_its_equivalent():
    grid = so3_grid(2)
    R = torch.from_numpy(axis_rotation([1.0, 0.0, 0.0], np.array([0.02]))
                         @ grid[77][None]).float()
    index = torch.zeros(1).long()
    vertices = lopsided_vertices()
    one = RotationLabels(ObjectTables([known(vertices, NO_SYMMETRY)]), grid, kind='hard')
    assert torch.nonzero(one(R, index)).tolist() == [[0, 77]]
    two = RotationLabels(ObjectTables([known(vertices, HALF_TURN)]), grid, kind='hard')
    assert float(two(R, index).sum()) == 2.0
    assert float(two(R, index)[0, 77]) == 1.0


def test_hard_labels_of_cells_and_depth_bins_mark_the_closest():
    grid = TranslationGrid(64, 8, 10, 0.0, 1e-3)
    cells = cell_labels(torch.tensor([[0.3, -0.2]]), torch.from_numpy(
        grid.cell_centers()).float(), 'hard')
    assert torch.nonzero(cells).tolist() == [[0, 2 * 8 + 6]]
    depths = depth_labels(torch.tensor([4.4e-4]), torch.from_numpy(
        grid.depth_centers()).float(), 'hard')
    assert torch.nonzero(depths).tolist() == [[0, 4]]


def test_the_closest_equivalent_is_found_among_discrete_turns_and_spins():
    spinning = known(lopsided_vertices(), SPIN)
    turning = known(lopsided_vertices(), HALF_TURN)
    tables = ObjectTables([spinning, turning])
    true = random_rotations(2)
    spin = torch.from_numpy(axis_rotation([0.0, 0.0, 1.0], 2.0)).float()
    half = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    near = torch.stack([true[0] @ spin, true[1] @ half])
    found = tables.closest(true, near, torch.tensor([0, 1]))
    # Half a step of the turns is 0.01 rad.
    assert (found - near).abs().max() < 0.011
    assert torch.equal(found[1], near[1])


def test_spread_vertices_keep_the_density():
    dense, sparse = np.random.default_rng(0).random((2, 1000, 3))
    vertices = np.concatenate([dense, sparse[:250] + [2.0, 0.0, 0.0]])
    chosen = spread_vertices(vertices, 100)
    assert len(np.unique(chosen, axis=0)) == 100
    assert (chosen[:, 0] > 1.5).sum() == pytest.approx(20, abs=2)


def test_regression_losses_are_distances_in_millimetres():
    K = torch.tensor([[[400.0, 0.0, 70.0], [0.0, 500.0, 60.0], [0.0, 0.0, 1.0]]])
    grid = TranslationGrid(128, 16, 100, 0.0, 5e-3)
    true = torch.tensor([[0.05, -0.02, 0.8]])
    tau = torch.from_numpy(grid.encode(true, K)).float()
    torch.testing.assert_close(translation_of(tau, K, 128), true)
    aside = torch.from_numpy(grid.encode(true + torch.tensor([0.004, 0.003, 0.0]), K)).float()
    found = position_distance(aside, tau, K, true[:, 2], 128)
    assert float(found) == pytest.approx(5.0, rel=1e-3)
    farther = torch.from_numpy(grid.encode(1.01 * true, K)).float()
    length = 10.0 * float(torch.linalg.vector_norm(true))
    assert float(depth_distance(farther, tau, K, 128)) == pytest.approx(length, rel=1e-3)
    points = torch.tensor([[[0.1, 0.0, 0.0], [0.0, 0.0, 0.3]]])
    turned = torch.from_numpy(axis_rotation([0.0, 0.0, 1.0], np.array([0.1]))).float()
    chord = 2 * np.sin(0.05) * 100.0
    assert float(rotation_distance(turned, torch.eye(3)[None], points)) == pytest.approx(
        (chord + 0.5) / 2, rel=1e-4)


def test_coordinates_count_where_the_object_is_seen_alone():
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(2, 3, 4, 4, generator=generator)
    shown = torch.zeros(2, 1, 4, 4)
    shown[0, 0, 1, 2] = 1.0
    wrong = true + 5.0
    wrong[0, :, 1, 2] = true[0, :, 1, 2] + torch.tensor([0.0, 0.3, 0.6])
    # Smooth L1 with its bend at 0.1: |x| - 0.05.
    assert float(coordinate_loss(wrong, true, shown)) == pytest.approx((0.25 + 0.55) / 3, rel=1e-5)
    assert float(coordinate_loss(wrong, true, 0 * shown)) == 0.0
