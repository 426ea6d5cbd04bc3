"""The parameters of another node, whenever they change and whenever it is started again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rcl_interfaces.msg import ParameterEvent
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import qos_profile_parameter_events
from rclpy.task import Future

_EVENTS = '/parameter_events'
# A server that does not know its client yet, or is killed, never answers.
_PATIENCE_SECONDS = 5.0


class ParameterWatch:
    """Asks a node for its parameters when it comes, comes back, or says that one has changed."""

    def __init__(self, node: Node, watched: str, names: Sequence[str],
                 on_values: Callable[[Mapping[str, Any]], None]) -> None:
        """Listen for changes.

        Args:
            node: Asks; its executor calls `on_values`.
            watched: Full name of the node whose parameters are wanted.
            names: Of the parameters.
            on_values: Gets the values by name each time they were asked for; None = not set.
        """
        self._node = node
        self._watched = watched
        self._names = list(names)
        self._on_values = on_values
        self._senders: set[bytes] = set()
        self._is_stale = False
        self._client: Client[GetParameters.Request, GetParameters.Response] = node.create_client(
            GetParameters, f'{watched}/get_parameters')
        self._answer: Future[GetParameters.Response] | None = None
        self._asked_at = 0.0
        node.create_subscription(ParameterEvent, _EVENTS, self._on_event,
                                 qos_profile_parameter_events)

    def look(self) -> None:
        """Ask if there is something new; to be called now and then."""
        # A node that is started again may have said everything before anybody heard it, and one
        # that was killed stays in the graph for a while: only its publisher tells it is another.
        senders = {bytes(info.endpoint_gid)
                   for info in self._node.get_publishers_info_by_topic(_EVENTS)
                   if f'{info.node_namespace.rstrip("/")}/{info.node_name}' == self._watched}
        self._is_stale |= bool(senders - self._senders)
        self._senders = senders
        if self._answer is not None and time.monotonic() - self._asked_at > _PATIENCE_SECONDS:
            self._client.remove_pending_request(self._answer)
            self._answer, self._is_stale = None, True
        if self._is_stale and self._answer is None and self._client.service_is_ready():
            self._is_stale, self._asked_at = False, time.monotonic()
            self._answer = self._client.call_async(GetParameters.Request(names=self._names))
            self._answer.add_done_callback(self._on_answer)

    def _on_event(self, event: ParameterEvent) -> None:
        if event.node == self._watched:
            self._is_stale = True
            self.look()

    def _on_answer(self, answer: Future[GetParameters.Response]) -> None:
        self._answer = None
        response = answer.result()
        if response is not None:
            self._on_values({name: parameter_value_to_python(value) for name, value
                             in zip(self._names, response.values, strict=False)})
