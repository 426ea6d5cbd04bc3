"""The file of taught grasps: what is wrong in it is named."""

from pathlib import Path

import pytest
import yaml

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.grasping import read_given_grasps

GRASP = {'position': [0.0, 0.02, 0.0], 'orientation': [0.0, 0.0, 0.0, 1.0], 'width': 0.03}


@pytest.mark.parametrize(('changes', 'complaint'), [
    ({'position': [0.0, float('nan'), 0.0]}, 'position is'),
    ({'orientation': [0.0, 0.0, 0.0, 2.0]}, 'orientation is .* give a unit quaternion'),
    ({'orientation': [float('nan'), 0.0, 0.0, 1.0]}, 'orientation is .* give a unit quaternion'),
    ({'width': float('nan')}, 'width is nan'),
])
def test_a_grasp_that_cannot_be_is_refused_by_label_and_number(
        tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    file = tmp_path / 'grasps.yaml'
    file.write_text(yaml.safe_dump({'drill': [GRASP, {**GRASP, **changes}]}))
    with pytest.raises(ConfigurationError, match=f'grasp 1 of drill: {complaint}'):
        read_given_grasps(file)
