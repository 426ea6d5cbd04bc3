"""Procedural objects: canonical frame, sizes, closed surfaces, what makes a category."""

from functools import cache

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.object_model import DOMAINS, ObjectModel, make_object
from pose_estimation_ros.synthetic.splits import OBJECT_CATEGORIES

# Metres: shortest and longest extent along x, y and z of the six categories.
SIZES = {
    'bottle': ((0.02, 0.09, 0.02), (0.25, 0.42, 0.25)),
    'bowl': ((0.085, 0.028, 0.07), (0.30, 0.15, 0.30)),
    'camera': ((0.02, 0.04, 0.075), (0.26, 0.21, 0.185)),
    'can': ((0.044, 0.018, 0.044), (0.115, 0.245, 0.115)),
    'laptop': ((0.14, 0.08, 0.245), (0.65, 0.39, 0.405)),
    'mug': ((0.06, 0.04, 0.048), (0.26, 0.18, 0.14)),
}
EVERY_KIND = [(category, domain) for category in OBJECT_CATEGORIES for domain in DOMAINS]


@cache
def objects(category: str, domain: str, count: int = 30) -> tuple[ObjectModel, ...]:
    return tuple(make_object(category, seed, domain) for seed in range(count))


def part_vertices(model: ObjectModel, *names: str) -> np.ndarray:
    """Vertices of the faces of the named parts; shape (N, 3)."""
    wanted = np.isin(model.face_parts, [model.part_names.index(name) for name in names])
    return model.mesh.vertices[np.unique(model.mesh.faces[wanted])]


def has_part(model: ObjectModel, name: str) -> bool:
    return bool(np.any(model.face_parts == model.part_names.index(name)))


@pytest.mark.parametrize(('category', 'domain'), EVERY_KIND)
def test_the_same_arguments_give_the_same_object(category, domain):
    first, again = make_object(category, 7, domain), make_object(category, 7, domain)
    np.testing.assert_array_equal(first.mesh.vertices, again.mesh.vertices)
    np.testing.assert_array_equal(first.mesh.faces, again.mesh.faces)
    np.testing.assert_array_equal(first.face_parts, again.face_parts)
    assert first.name == again.name


@pytest.mark.parametrize('category', OBJECT_CATEGORIES)
def test_seeds_and_domains_give_different_objects(category):
    sizes = [make_object(category, seed, domain).size for domain in DOMAINS for seed in range(20)]
    assert len(np.unique(np.round(sizes, 6), axis=0)) == 40


@pytest.mark.parametrize(('category', 'domain'), EVERY_KIND)
def test_the_tight_box_is_centred_and_nocs_stays_within_half(category, domain):
    for model in objects(category, domain):
        low, high = model.mesh.vertices.min(axis=0), model.mesh.vertices.max(axis=0)
        np.testing.assert_allclose(low, -high, atol=1e-6)
        np.testing.assert_allclose(high - low, model.size, atol=1e-6)
        nocs = model.mesh.vertices / np.linalg.norm(model.size)
        assert np.abs(nocs).max() <= 0.5


@pytest.mark.parametrize(('category', 'domain'), EVERY_KIND)
def test_every_surface_is_closed_and_faces_outward(category, domain):
    for model in objects(category, domain)[:12]:
        vertices, faces = model.mesh.vertices.astype(np.float64), model.mesh.faces
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        directed = edges[:, 0].astype(np.int64) * len(vertices) + edges[:, 1]
        opposite = edges[:, 1].astype(np.int64) * len(vertices) + edges[:, 0]
        assert len(np.unique(directed)) == len(directed), model.name
        np.testing.assert_array_equal(np.sort(directed), np.sort(opposite), err_msg=model.name)
        links = coo_matrix((np.ones(len(edges)), edges.T), shape=(len(vertices),) * 2)
        count, component = connected_components(links, directed=False)
        corners = vertices[faces]
        volumes = np.einsum(
            'ij,ij->i', corners[:, 0], np.cross(corners[:, 1], corners[:, 2])
        ) / 6
        total = np.bincount(component[faces[:, 0]], volumes, minlength=count)
        assert total.min() > 0, model.name


@pytest.mark.parametrize(('category', 'domain'), EVERY_KIND)
def test_meshes_stay_small_enough_to_render_fast(category, domain):
    for model in objects(category, domain):
        assert 12 <= len(model.mesh.faces) <= 8000, model.name
        assert len(model.face_parts) == len(model.mesh.faces)
        assert model.face_parts.min() >= 0 and model.face_parts.max() < len(model.part_names)


@pytest.mark.parametrize('domain', DOMAINS)
@pytest.mark.parametrize('category', CATEGORY_NAMES)
def test_sizes_are_those_of_real_things(category, domain):
    low, high = SIZES[category]
    sizes = np.array([model.size for model in objects(category, domain)])
    assert np.all(sizes >= low), sizes.min(axis=0)
    assert np.all(sizes <= high), sizes.max(axis=0)
    # Breadth: the volume of the box varies by more than a factor of 2 between quartiles' ends.
    volumes = np.prod(sizes, axis=1)
    assert np.quantile(volumes, 0.95) > 2 * np.quantile(volumes, 0.05)


@pytest.mark.parametrize('domain', DOMAINS)
def test_cans_are_round_about_their_axis(domain):
    for model in objects('can', domain):
        wall = part_vertices(model, 'body', 'label')
        turned = np.stack([wall[:, 2], wall[:, 1], -wall[:, 0]], axis=1)
        distance, _ = cKDTree(wall).query(turned)
        assert distance.max() < 1e-5, model.name
        assert model.size[0] == pytest.approx(model.size[2], rel=0.03), model.name


@pytest.mark.parametrize(('category', 'least_share'), [('bowl', 0.7), ('bottle', 0.6)])
@pytest.mark.parametrize('domain', DOMAINS)
def test_most_bowls_and_bottles_are_round(category, least_share, domain):
    def roundness(model: ObjectModel) -> float:
        extents = np.ptp(part_vertices(model, 'body', 'label'), axis=0)
        return float(extents[2] / extents[0])

    ratios = np.array([roundness(model) for model in objects(category, domain)])
    assert np.mean(np.abs(ratios - 1) < 0.02) >= least_share


@pytest.mark.parametrize('domain', DOMAINS)
def test_a_mug_handle_is_what_reaches_furthest_towards_plus_x(domain):
    for model in objects('mug', domain):
        handle = part_vertices(model, 'handle')
        body = part_vertices(model, 'body', 'label', 'rim')
        assert handle[:, 0].max() > body[:, 0].max() + 0.008, model.name
        assert abs(np.median(handle[:, 2])) < 1e-6, model.name
        # It starts within the wall, so it does not float.
        assert handle[:, 0].min() < body[:, 0].max(), model.name


@pytest.mark.parametrize('domain', DOMAINS)
def test_mug_handles_do_not_show_inside(domain):
    for model in objects('mug', domain):
        rim = part_vertices(model, 'rim')
        axis = 0.5 * (rim[:, 0].min() + rim[:, 0].max())
        inside = part_vertices(model, 'inside')
        facing = inside[(np.abs(inside[:, 2]) < 1e-6) & (inside[:, 0] > axis)]
        facing = facing[np.argsort(facing[:, 1])]
        handle = part_vertices(model, 'handle')
        within = (handle[:, 1] > facing[0, 1]) & (handle[:, 1] < facing[-1, 1])
        wall = np.interp(handle[within, 1], facing[:, 1], facing[:, 0]) - axis
        distance = np.hypot(handle[within, 0] - axis, handle[within, 2])
        assert np.all(distance > wall - 0.002), model.name


@pytest.mark.parametrize('domain', DOMAINS)
@pytest.mark.parametrize('category', ['mug', 'bowl'])
def test_open_vessels_have_a_wall_of_real_thickness(category, domain):
    for model in objects(category, domain):
        outer = part_vertices(model, 'body', 'label')
        inner = part_vertices(model, 'inside')
        floor = inner[:, 1].min() - outer[:, 1].min()
        assert 0.001 < floor < 0.05, model.name
        rim = part_vertices(model, 'rim')
        across = np.sort(np.abs(rim[np.abs(rim[:, 0] - np.median(rim[:, 0])) < 0.004, 2]))
        assert 0.0008 < np.ptp(across) < 0.02, model.name


@pytest.mark.parametrize('domain', DOMAINS)
def test_camera_lenses_point_towards_plus_x(domain):
    for model in objects('camera', domain):
        glass = part_vertices(model, 'glass')
        body = part_vertices(model, 'body')
        assert glass[:, 0].max() > np.median(body[:, 0]), model.name
        if has_part(model, 'screen'):
            assert part_vertices(model, 'screen')[:, 0].max() < 0, model.name


def test_camera_grips_are_on_the_left_of_who_looks_into_the_lens():
    graspable = [model for model in objects('camera', 'second') if '_prism_' in model.name]
    offsets = []
    for model in graspable:
        grip = part_vertices(model, 'grip')
        forward = grip[grip[:, 0] > np.quantile(grip[:, 0], 0.5)]
        offsets.append(forward[:, 2].mean())
    lens = [part_vertices(model, 'glass')[:, 2].mean() for model in graspable]
    assert len(graspable) > 4
    assert np.mean(offsets) > np.mean(lens)


@pytest.mark.parametrize('domain', DOMAINS)
def test_laptop_screens_stand_at_minus_x_and_open_by_60_to_150_degrees(domain):
    angles = []
    for model in objects('laptop', domain):
        screen = part_vertices(model, 'screen')
        keyboard = part_vertices(model, 'keyboard')
        assert screen[:, 0].mean() < keyboard[:, 0].mean(), model.name
        assert screen[:, 1].mean() > keyboard[:, 1].mean(), model.name
        rise = screen[np.argmax(screen[:, 1])] - screen[np.argmin(screen[:, 1])]
        angles.append(np.degrees(np.arctan2(rise[1], rise[0])))
        assert model.size[2] > 0.245, model.name
    assert min(angles) > 57 and max(angles) < 153
    assert np.ptp(angles) > 40


@pytest.mark.parametrize('domain', DOMAINS)
@pytest.mark.parametrize('category', OBJECT_CATEGORIES)
def test_resting_rotations_are_rotations_and_the_first_is_upright(category, domain):
    for model in objects(category, domain):
        for rotation in model.resting_rotations:
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
            assert np.linalg.det(rotation) == pytest.approx(1)
        np.testing.assert_allclose(model.resting_rotations[0] @ (0, 1, 0), (0, 0, 1), atol=1e-12)


@pytest.mark.parametrize('domain', DOMAINS)
def test_bottles_lie_on_their_side_and_laptops_do_not(domain):
    for model in objects('bottle', domain):
        lying = [rotation @ (0, 1, 0) for rotation in model.resting_rotations[1:]]
        assert len(lying) >= 2, model.name
        assert all(abs(axis[2]) < 0.77 for axis in lying), model.name
    assert all(len(model.resting_rotations) == 1 for model in objects('laptop', domain))


@pytest.mark.parametrize('domain', DOMAINS)
@pytest.mark.parametrize('category', ['bowl', 'mug', 'can'])
def test_vessels_also_rest_upside_down(category, domain):
    for model in objects(category, domain):
        heights = [(rotation @ (0, 1, 0))[2] for rotation in model.resting_rotations]
        assert min(heights) < -0.85, model.name


def test_an_object_lying_on_its_side_stays_put():
    # What touches the table surrounds the middle of the whole, seen from above.
    for model in objects('can', 'primary')[:10]:
        for rotation in model.resting_rotations:
            placed = model.mesh.vertices @ rotation.T
            touching = placed[placed[:, 2] < placed[:, 2].min() + 0.002]
            low, high = touching[:, :2].min(axis=0), touching[:, :2].max(axis=0)
            centre = placed[:, :2].mean(axis=0)
            assert np.all(centre > low - 0.002) and np.all(centre < high + 0.002), model.name


def test_an_unknown_category_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"'teapot'.*bottle.*distractor"):
        make_object('teapot', 0, 'primary')


def test_an_unknown_domain_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"'third'.*primary, second"):
        make_object('mug', 0, 'third')
