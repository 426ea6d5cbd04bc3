import numpy as np
import pytest

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.synthetic.object_source import ProceduralObjects
from pose_estimation_ros.synthetic.occlusion import level_of, occluded_objects, occluded_scenes
from pose_estimation_ros.synthetic.scene_renderer import render_frame


@pytest.mark.parametrize(('covered', 'level'), [
    (0.0, 'L0'), (0.02, 'L0'), (0.1, ''), (0.2, 'L1'), (0.39, 'L1'), (0.5, 'L2'), (0.7, 'L3'),
    (0.81, ''), (1.0, '')])
def test_levels_are_shares_of_what_is_covered(covered, level):
    assert level_of(covered) == level


def test_scenes_hold_standing_objects_that_hide_each_other():
    source = ProceduralObjects('primary', tuple(
        category_named(name) for name in ('can', 'mug')))
    scene = next(occluded_scenes('primary', 'train', source, first=0))
    found = occluded_objects(scene, scene.view)
    assert found
    for body in scene.instances:
        # The world's z is up, the object's y.
        assert body.T_world_object[2, 1] > np.cos(np.radians(5.0))
    seen = render_frame(scene, (320, 240)).instances
    graded = {(entry.category, level_of(1.0 - entry.visibility)) for entry in seen
              if entry.in_image > 0.999}
    assert graded & set(found)
