"""Lifecycle transitions whose slow part runs beside the executor.

rclpy calls the callbacks of transitions in the executor, where loading a model would hold up
every other message, service and timer for seconds. Here the slow part runs in a thread first,
while the executor goes on; the callback of the transition finds it done. Publishers and
subscriptions are still made and destroyed by the executor's thread alone, as Humble needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from rclpy.task import Future

from pose_estimation_ros.nodes.background import in_thread

_NAMES = {Transition.TRANSITION_CONFIGURE: 'configure', Transition.TRANSITION_CLEANUP: 'cleanup',
          Transition.TRANSITION_ACTIVATE: 'activate',
          Transition.TRANSITION_DEACTIVATE: 'deactivate',
          # Those of other states must not end an active session before they are refused.
          Transition.TRANSITION_ACTIVE_SHUTDOWN: 'shutdown'}


class PreparedTransitions:
    """Prepares every transition that is asked for over ROS, one after another."""

    def __init__(self, node: Node, prepare: Callable[[str], Callable[[], object] | None]) -> None:
        """Step between a lifecycle node and its service `change_state`.

        Args:
            node: A lifecycle node, whose lifecycle services are in a reentrant callback group.
            prepare: Called in the executor's thread with the name of a transition, such as
                'configure'; returns work to be done in a thread before it, None = none. The work
                must not raise.
        """
        self._node = node
        self._prepare = prepare
        self._last: Future[None] | None = None
        (service,) = [service for service in node.services
                      if service.srv_name.endswith('/change_state')]
        change = service.callback

        async def change_when_prepared(request: ChangeState.Request,
                                       response: ChangeState.Response) -> Any:
            wanted = request.transition
            # As rclpy has it, a label outweighs the number.
            name = wanted.label or _NAMES.get(wanted.id, '')
            return await self.run(name, lambda: change(request, response), refused=response)

        service.callback = change_when_prepared

    async def run(self, name: str, change: Callable[[], Any], refused: Any) -> Any:
        """Prepare a transition and make it; await it in the executor.

        Args:
            name: Of the transition.
            change: Makes it.
            refused: Returned if that fails, as where the state does not allow it.

        Returns:
            What `change` returns.
        """
        previous, mine = self._last, Future(executor=self._node.executor)
        self._last = mine
        if previous is not None:
            await previous
        try:
            work = self._prepare(name)
            if work is not None:
                await in_thread(self._node, name, work)
            return change()
        except Exception as error:
            # Humble and Jazzy raise where later versions log; and where rclpy resumes what awaits,
            # nobody would hear of it.
            self._node.get_logger().error(f'{name or "transition"}: {error!r}')
            return refused
        finally:
            mine.set_result(None)
