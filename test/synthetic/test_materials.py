import pickle

import numpy as np
import pytest

from pose_estimation_ros.synthetic.colors import luminance
from pose_estimation_ros.synthetic.materials import sample_material, sample_object_materials

ROLES = ('body', 'inside', 'handle', 'rim', 'cap', 'label', 'lid', 'base', 'screen', 'keyboard',
         'lens', 'grip', 'flash', 'glass', 'metal', 'table', 'floor', 'wall', 'clutter')
SIZE = np.array([0.1, 0.12, 0.08])


def surface(count=400, seed=0):
    generator = np.random.default_rng(seed)
    normals = generator.standard_normal((count, 3))
    points = generator.uniform(-0.5, 0.5, (count, 3)) * SIZE
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)


@pytest.mark.parametrize('domain', ['primary', 'second'])
@pytest.mark.parametrize('role', ROLES)
def test_every_role_has_albedo_between_black_and_white(role, domain):
    points, normals = surface()

    for seed in range(6):
        material = sample_material(role, domain, np.random.default_rng(seed))
        albedo = material.albedo(points, normals, SIZE)

        assert albedo.shape == (400, 3)
        assert albedo.dtype == np.float32
        assert np.isfinite(albedo).all()
        assert albedo.min() > 0.0
        assert albedo.max() <= 1.0
        assert 0.0 <= material.gloss <= 1.0
        assert 0.0 <= material.metallic <= 1.0


def test_the_same_seed_gives_the_same_material_also_after_pickling():
    points, normals = surface()
    first = sample_material('body', 'primary', np.random.default_rng(11))
    second = pickle.loads(pickle.dumps(sample_material('body', 'primary',
                                                       np.random.default_rng(11))))

    np.testing.assert_array_equal(first.albedo(points, normals, SIZE),
                                  second.albedo(points, normals, SIZE))


def test_albedo_of_a_point_does_not_depend_on_the_other_points():
    points, normals = surface(40_000)
    for seed in range(10):
        material = sample_material('table', 'primary', np.random.default_rng(seed))
        whole = material.albedo(points, normals, SIZE)
        part = material.albedo(points[20_000:20_100], normals[20_000:20_100], SIZE)
        np.testing.assert_allclose(whole[20_000:20_100], part, atol=1e-5)


def test_bodies_reach_from_very_dark_to_white_and_from_grey_to_saturated():
    points, normals = surface(50)
    generator = np.random.default_rng(0)
    means = np.stack([sample_material('body', 'primary', generator).albedo(
        points, normals, SIZE).mean(axis=0) for _ in range(150)])
    brightness = luminance(means)
    saturation = 1 - means.min(axis=1) / means.max(axis=1)

    assert (brightness < 0.03).mean() > 0.04
    assert (brightness > 0.5).mean() > 0.1
    assert (saturation > 0.8).mean() > 0.1
    assert (saturation < 0.2).mean() > 0.2


def test_rooms_are_calmer_than_objects():
    points, normals = surface(50)
    generator = np.random.default_rng(0)
    saturation = {}
    for role in ('body', 'table'):
        means = np.stack([sample_material(role, 'primary', generator).albedo(
            points, normals, SIZE).mean(axis=0) for _ in range(80)])
        saturation[role] = np.mean(1 - means.min(axis=1) / means.max(axis=1))

    assert saturation['table'] < saturation['body']


def test_handles_mostly_share_the_glaze_of_the_body():
    generator = np.random.default_rng(0)
    shared = [len({id(material.pattern) for material in sample_object_materials(
        ('body', 'handle'), 'primary', generator)}) == 1 for _ in range(60)]

    assert 0.6 < np.mean(shared) < 0.98


def test_a_label_reads_from_left_to_right_seen_from_outside():
    material = next(material for material in (
        sample_material('label', 'primary', np.random.default_rng(seed)) for seed in range(50))
        if 'around' in material.pattern.func.__name__)
    picture = material.pattern.args[0]
    picture[:] = np.linspace(0.05, 0.95, picture.shape[1], dtype=np.float32)[None, :, None]
    low, high = material.pattern.args[1:3]
    height = ((low + high) / 2 - 0.5) * SIZE[1]

    # Seen from +x with +y up, the right-hand side is -z.
    points = np.array([[0.05, height, 0.01], [0.05, height, -0.01]])
    left, right = material.albedo(points, np.array([[1.0, 0, 0], [1.0, 0, 0]]), SIZE)[:, 0]

    assert right > left
