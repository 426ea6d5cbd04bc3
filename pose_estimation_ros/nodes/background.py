"""Slow work in a thread, awaited by callbacks while the executor goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from rclpy.node import Node
from rclpy.task import Future

Result = TypeVar('Result')


def in_thread(node: Node, name: str, work: Callable[[], Result]) -> Future[Result]:
    """Begin work in a thread and return what an executor's callback can await.

    Args:
        node: Whose executor awaits it.
        name: Of the thread.
        work: What it does; what it raises is raised where it is awaited.
    """
    done: Future[Result] = Future(executor=node.executor)

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)
        finally:
            if node.executor is not None:
                node.executor.wake()

    threading.Thread(target=run, name=name, daemon=True).start()
    return done
