import numpy as np
import pytest

from pose_estimation_ros.synthetic.lighting import background_color, sample_lighting, shade


def shaded(lighting, count=100, **changes):
    up = np.tile(np.float32([0, 0, 1]), (count, 1))
    values = {
        'albedo': np.full((count, 3), 0.5, np.float32), 'normals': up, 'view_directions': up,
        'points': np.full((count, 3), 0.3, np.float32), 'gloss': np.zeros(count, np.float32),
        'metallic': np.zeros(count, np.float32), 'specular': np.full(count, 0.04, np.float32),
        'visibility': np.ones((count, len(lighting.key_directions)), np.float32)}
    return shade(lighting, **{**values, **changes})


@pytest.mark.parametrize('domain', ['primary', 'second'])
def test_light_is_finite_and_positive_for_any_surface(domain):
    generator = np.random.default_rng(0)
    directions = generator.standard_normal((500, 3)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for seed in range(8):
        lighting = sample_lighting(domain, np.random.default_rng(seed))
        color = shaded(lighting, 500, normals=directions,
                       gloss=np.linspace(0, 1, 500, dtype=np.float32),
                       metallic=np.linspace(1, 0, 500, dtype=np.float32))

        assert color.shape == (500, 3)
        assert color.dtype == np.float32
        assert np.isfinite(color).all()
        assert color.min() >= 0
        assert (background_color(lighting, directions) >= 0).all()


@pytest.mark.parametrize('domain', ['primary', 'second'])
def test_one_or_two_key_lights_shine_from_above(domain):
    for seed in range(20):
        lighting = sample_lighting(domain, np.random.default_rng(seed))

        assert lighting.key_directions.shape in ((1, 3), (2, 3))
        np.testing.assert_allclose(np.linalg.norm(lighting.key_directions, axis=1), 1, atol=1e-5)
        assert (lighting.key_directions[:, 2] > 0.3).all()


def test_shadow_is_darker_than_light_but_not_black():
    lighting = sample_lighting('primary', np.random.default_rng(0))
    lit = shaded(lighting)
    shadow = shaded(lighting, visibility=np.zeros((100, len(lighting.key_directions)), np.float32))

    assert 0.02 < shadow.mean() < 0.95 * lit.mean()


def test_matt_surfaces_reflect_in_proportion_to_their_albedo():
    lighting = sample_lighting('primary', np.random.default_rng(0))
    dark = shaded(lighting, albedo=np.full((100, 3), 0.1, np.float32))

    np.testing.assert_allclose(shaded(lighting), 5 * dark, rtol=1e-4)


def test_glossy_surfaces_mirror_the_lamp():
    lighting = sample_lighting('primary', np.random.default_rng(0))
    towards_lamp = np.tile(lighting.key_directions[0], (100, 1))
    facing = {'normals': towards_lamp, 'view_directions': towards_lamp}

    glossy = shaded(lighting, gloss=np.full(100, 0.9, np.float32), **facing)

    assert glossy.mean() > 1.2 * shaded(lighting, **facing).mean()


def test_normals_on_the_far_side_are_turned_to_the_camera():
    lighting = sample_lighting('primary', np.random.default_rng(0))
    down = np.tile(np.float32([0, 0, -1]), (100, 1))

    np.testing.assert_allclose(shaded(lighting, normals=down), shaded(lighting), rtol=1e-5)
