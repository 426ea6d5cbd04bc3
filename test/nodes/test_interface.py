"""The topics and services that the documents list are those of the running node."""

import pytest

from pose_estimation_ros.nodes.estimator_topics import estimator_topics
from pose_estimation_ros.nodes.interface import ESTIMATOR_TOPICS, NODE_TOPICS, Direction

# Every lifecycle node has these, and every node those of its parameters.
_COMMON_SERVICES = ('rcl_interfaces/', 'lifecycle_msgs/', 'type_description_interfaces/')


def declared(*directions):
    """Return {name in the graph: declaration} of the estimator without a namespace."""
    return {'/' + topic.name.replace('~', 'pose_estimator').lstrip('/'): topic
            for topic in ESTIMATOR_TOPICS if topic.direction in directions}


@pytest.mark.parametrize('direction', [Direction.IN, Direction.OUT])
def test_every_topic_of_the_running_estimator_is_declared_with_its_type(client, estimator,
                                                                        direction):
    known = declared(direction)
    always = {name for name, topic in known.items() if not topic.only_if}

    def found():
        topics = estimator_topics(client.node, 'pose_estimator', '/')
        return {topic.name: topic.message_type for topic in topics
                if topic.is_input == (direction is Direction.IN)}

    client.wait_for(lambda: always <= set(found()), f'the topics {sorted(always)}')
    labels = [name.partition('<')[0] for name in known if '<' in name]
    undeclared = {name for name in found() if name not in known
                  and not name.startswith(tuple(labels) or '?')}
    assert not undeclared, 'declare them in nodes/interface.py, then run `make pages`'
    assert {name: known[name].type for name in always} == {
        name: found()[name] for name in always}


def test_every_service_of_the_running_estimator_is_declared_with_its_type(client, estimator):
    services = {name: types[0] for name, types in
                client.node.get_service_names_and_types_by_node('pose_estimator', '/')
                if not types[0].startswith(_COMMON_SERVICES)}
    assert services == {name: topic.type for name, topic in declared(Direction.SERVICE).items()}


@pytest.mark.parametrize('node', NODE_TOPICS)
def test_names_are_given_once_and_meanings_are_sentences(node):
    topics = NODE_TOPICS[node]
    assert len({(topic.direction, topic.name) for topic in topics}) == len(topics)
    assert all(topic.meaning.endswith('.') for topic in topics)
