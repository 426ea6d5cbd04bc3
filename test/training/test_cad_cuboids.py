"""The cuboids of published neural meshes, and the same in our frame."""

import json
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.cuboid_mesh import centered_cuboid, cuboid_mesh
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.pascal3d_layout import CadModels
from pose_estimation_ros.training.cad_cuboids import (
    PUBLISHED_CATEGORIES,
    cuboid_of_models,
    published_cuboid,
    upright,
)

RECORDED = json.loads(
    (Path(__file__).parents[1] / 'data' / 'neural_mesh' / 'cuboids.json').read_text())


@pytest.mark.parametrize('category', RECORDED)
def test_the_published_cuboids_are_known(category: str) -> None:
    cuboid = published_cuboid(category)
    np.testing.assert_array_equal(cuboid.lower, RECORDED[category]['lower'])
    np.testing.assert_array_equal(cuboid.upper, RECORDED[category]['upper'])
    assert len(cuboid.vertices) == RECORDED[category]['vertices']
    assert tuple(RECORDED) == PUBLISHED_CATEGORIES


@pytest.mark.parametrize('category', ['aeroplane', 'boat', 'sofa'])
def test_an_upright_cuboid_has_the_same_vertices_on_the_same_faces(category: str) -> None:
    cuboid = published_cuboid(category)
    turned, order = upright(cuboid)

    assert sorted(order) == list(range(len(cuboid.vertices)))
    assert turned.counts == centered_cuboid(turned.extents).counts
    x, y, z = (cuboid.vertices - (cuboid.lower + cuboid.upper) / 2)[order].T
    np.testing.assert_allclose(turned.vertices, np.stack([x, z, -y], axis=1), atol=1e-12)
    # Faces: z lower, z upper, y lower, y upper, x lower, x upper.
    ours = [turned.face_of_vertex[order == number].item()
            for number in (face.first for face in cuboid.faces)]
    assert ours == [2, 3, 1, 0, 4, 5]


def test_a_cuboid_of_models_leaves_out_one_vertex_in_a_hundred(tmp_path: Path) -> None:
    folder = tmp_path / 'CAD' / 'lamp'
    folder.mkdir(parents=True)
    heights = np.arange(100) / 99
    points = [f'{-0.1 if number % 2 else 0.3} {0.2 * (number % 5)} {height}'
              for number, height in enumerate(heights)]
    # Vertices of no triangle would not count.
    faces = [f'3 {number} {number + 1} {number + 2}' for number in range(98)]
    (folder / '01.off').write_text('\n'.join(['OFF', '100 98 0', *points, *faces, '']))
    far = ['0.1 0.4 0.5', '0.1 0.4 0.5', '0.1 0.4 9']
    (folder / '02.off').write_text('\n'.join(['OFF', '3 1 0', *far, '3 0 1 2', '']))

    cuboid = cuboid_of_models(CadModels(tmp_path / 'CAD'), 'lamp')

    # 101 of the 103 vertices are covered: neither the farthest nor one at an end.
    np.testing.assert_allclose(cuboid.extents, [0.4, 0.8, 98 / 99], atol=1e-9)
    np.testing.assert_allclose(cuboid.lower, [-0.1, 0, 0], atol=1e-9)
    assert cuboid.counts == cuboid_mesh(cuboid.lower, cuboid.upper).counts


def test_a_category_without_a_known_cuboid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'lamp' is not known; name one of aeroplane"):
        published_cuboid('lamp')
    with pytest.raises(InvalidInputError, match='has no models'):
        cuboid_of_models(CadModels(tmp_path), 'lamp')
