"""Fixtures of everything that is tested as a running graph."""

import pytest
from ros_harness import STAND_IN, Client, NodeProcess


@pytest.fixture(scope='module')
def client():
    client = Client()
    yield client
    client.close()


@pytest.fixture(scope='module')
def estimator(client, tmp_path_factory):
    node = NodeProcess('pose_estimator', tmp_path_factory.mktemp('estimator') / 'log', STAND_IN)
    try:
        client.wait_until_active()
        yield node
    finally:
        node.stop()
