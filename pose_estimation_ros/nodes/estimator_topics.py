"""What an estimator reads and writes, as the graph shows it: under its real, remapped names."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node, NodeNameNonExistentError

# Every node has these; they say nothing of poses.
_OF_EVERY_NODE = ('/rosout', '/parameter_events')
_ABOUT_LIFECYCLE = '/transition_event'


@dataclass(frozen=True)
class EstimatorTopic:
    """A topic of an estimator.

    Attributes:
        name: Full name.
        message_type: Such as 'sensor_msgs/msg/Image'.
        is_input: The estimator subscribes to it.
    """

    name: str
    message_type: str
    is_input: bool


def estimator_topics(node: Node, name: str, namespace: str) -> list[EstimatorTopic]:
    """Return the topics of an estimator, inputs first; empty while it is not in the graph.

    Args:
        node: Any node of the same graph.
        name: Of the estimator.
        namespace: Its namespace, '/' = none.
    """
    if (name, namespace) not in node.get_node_names_and_namespaces():
        return []
    try:
        inputs = node.get_subscriber_names_and_types_by_node(name, namespace)
        outputs = node.get_publisher_names_and_types_by_node(name, namespace)
    except NodeNameNonExistentError:  # It has ended since.
        return []
    return [EstimatorTopic(topic, types[0], is_input)
            for found, is_input in ((inputs, True), (outputs, False))
            for topic, types in found
            if topic not in _OF_EVERY_NODE and not topic.endswith(_ABOUT_LIFECYCLE)]
