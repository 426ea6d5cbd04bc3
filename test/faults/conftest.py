import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from ros_fixtures import client, estimator, node

__all__ = ['client', 'estimator', 'node']


@pytest.fixture(autouse=True)
def no_wrong_pose_is_published(request):
    """Judge every pose that came during a fault, whatever else the test looks at."""
    if 'client' not in request.fixturenames:
        yield
        return
    witness = request.getfixturevalue('client').witness
    yield
    wrong = witness.wrong_poses()
    witness.seen.clear()
    assert wrong == []
