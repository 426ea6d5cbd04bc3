"""What an activation leaves behind when it fails."""

import threading
from types import SimpleNamespace

import pytest

from pose_estimation_ros.nodes import session
from pose_estimation_ros.nodes.diagnostics import Monitor
from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS
from pose_estimation_ros.nodes.settings import EstimatorSettings


def test_a_failed_activation_leaves_no_publishers_and_no_threads(client, monkeypatch):
    def fail(*arguments):
        raise RuntimeError('no subscription')

    monkeypatch.setattr(session, 'FrameInput', fail)
    settings = EstimatorSettings.from_values(
        {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS})
    backend = SimpleNamespace(needs=frozenset({'depth'}), categories=('mug',))
    pipeline = SimpleNamespace(reset_tracks=lambda: (), backend=backend, depth_use='needed')
    publishers, threads = len(list(client.node.publishers)), threading.active_count()
    with pytest.raises(RuntimeError, match='no subscription'):
        session.EstimationSession(client.node, settings, pipeline, None, Monitor(), print)
    assert len(list(client.node.publishers)) == publishers
    assert threading.active_count() == threads
