import numpy as np
import pytest

from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.backends.neural_mesh_search_space import (
    search_space,
    solver_settings,
    view_rotations,
)
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime import ModelManifest


def manifest(**search):
    return ModelManifest('small', 'pose', 'neural_mesh', 'lite', {}, ('can', 'mug'),
                         parameters={'search': search} if search else {})


def test_objects_with_an_axis_are_seen_from_one_side():
    entries = {'azimuths': 12, 'elevations': [0.2, 1.0, 5], 'thetas': [-0.2, 0.2, 3]}
    assert view_rotations(manifest(**entries), 'mug').shape == (12 * 5 * 3, 3, 3)
    rotations = view_rotations(manifest(**entries), 'can')
    assert rotations.shape == (5 * 3, 3, 3)
    # The camera, in the object's frame, is over its +z half, as high as was asked.
    eyes = -rotations[:, 2]
    np.testing.assert_allclose(eyes[:, 0], 0.0, atol=1e-12)
    np.testing.assert_allclose(np.unique(np.round(np.arcsin(eyes[:, 1]), 9)),
                               np.linspace(0.2, 1.0, 5))


def test_a_manifest_and_the_options_set_the_solver():
    settings = solver_settings(
        manifest(distances=[0.5, 2.0, 3], peaks=4, initial_poses=2, background=0.45,
                 least_visible=0.2), NeuralMeshOptions(competition='off'))
    np.testing.assert_allclose(settings.search.distances, [0.5, 1.0, 2.0])
    assert (settings.search.peaks, settings.search.initial_poses) == (4, 2)
    assert (settings.search.background, settings.least_visible) == (0.45, 0.2)
    assert not settings.competes
    usual = solver_settings(manifest(), NeuralMeshOptions(initial_poses=5))
    assert usual.search.initial_poses == 5
    assert usual.competes
    assert usual.search.distances[0] == pytest.approx(search_space(manifest()).distances[0])


@pytest.mark.parametrize(('entries', 'said'), [
    ({'azimuth': 3}, 'has the unknown entries azimuth; known are azimuths, background'),
    ({'azimuths': 0}, 'azimuths must be a number'),
    ({'distances': [0.0, 1.0, 3]}, 'distances .metres. a lowest, a highest and a number'),
    ({'elevations': [0.2, 1.0]}, 'elevations, thetas'),
    ({'peaks': 'many'}, 'peaks, .* of parameters.search must be numbers'),
])
def test_entries_that_cannot_be_used_are_told(entries, said):
    with pytest.raises(ModelError, match=said):
        solver_settings(manifest(**entries), NeuralMeshOptions())


def test_the_entry_must_be_a_mapping():
    broken = ModelManifest('small', 'pose', 'neural_mesh', 'lite', {}, (),
                           parameters={'search': 'everywhere'})
    with pytest.raises(ModelError, match='must be a mapping'):
        search_space(broken)
