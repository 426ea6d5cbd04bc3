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


@pytest.fixture
def node(client, tmp_path):
    """Return a way to start an estimator with parameters; it ends with the test."""
    started = []

    def start(remappings=(), python_path=(), **changes):
        parameters = STAND_IN | {name.replace('__', '.'): value
                                 for name, value in changes.items()}
        started.append(NodeProcess('pose_estimator', tmp_path / 'log', parameters, remappings,
                                   python_path))
        return started[-1]

    yield start
    for process in started:
        process.stop()
    client.wait_for(lambda: client.node.count_publishers('/diagnostics') == 0, 'the end of it')
    client.forget()
