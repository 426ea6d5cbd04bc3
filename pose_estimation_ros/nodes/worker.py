"""Two stages in two threads: the newest job enters, results leave in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Job = TypeVar('Job')
Half = TypeVar('Half')


class _Slot(Generic[Job]):
    """Room for one item that is handed from thread to thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Job | None = None
        self._closed = False

    def replace(self, item: Job) -> Job | None:
        """Put an item; return the one that was waiting and is dropped for it, if any."""
        with self._changed:
            dropped, self._item = self._item, item
            self._changed.notify_all()
            return dropped

    def put(self, item: Job) -> None:
        """Put an item into the empty slot."""
        with self._changed:
            self._item = item
            self._changed.notify_all()

    def wait_until_empty(self) -> bool:
        """Wait until the item was taken; False once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is None or self._closed)
            return not self._closed

    def take(self) -> Job | None:
        """Wait for an item and take it; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            if self._closed:
                return None
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class TwoStageWorker(Generic[Job, Half]):
    """Runs `first` on the newest job beside `second` on the one before.

    At most two jobs are in flight. A job that waits for the first stage is dropped when a newer
    one comes. A stage that raises ends its job only.
    """

    def __init__(self, first: Callable[[Job], Half], second: Callable[[Half], None],
                 on_error: Callable[[Exception], None]) -> None:
        """Start both threads.

        Args:
            first: The first stage, called in one thread.
            second: The second stage, called in another thread, in the order of the first.
            on_error: Told about whatever a stage raises; called in that stage's thread.
        """
        self._first = first
        self._second = second
        self._on_error = on_error
        self._inbox: _Slot[Job] = _Slot()
        self._between: _Slot[Half] = _Slot()
        self._threads = [threading.Thread(target=self._run_first, name='segment', daemon=True),
                         threading.Thread(target=self._run_second, name='estimate', daemon=True)]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> Job | None:
        """Offer a job; return the older one that was dropped for it, if any."""
        return self._inbox.replace(job)

    def stop(self) -> None:
        """End both threads when their present jobs are done; whatever waits is dropped."""
        self._inbox.close()
        self._threads[0].join()
        self._between.close()
        self._threads[1].join()

    def _run_first(self) -> None:
        # A result that waits for the second stage counts as in flight.
        while self._between.wait_until_empty() and (job := self._inbox.take()) is not None:
            self._attempt(lambda job=job: self._between.put(self._first(job)))

    def _run_second(self) -> None:
        while (half := self._between.take()) is not None:
            self._attempt(lambda half=half: self._second(half))

    def _attempt(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except Exception as error:
            # Any fault ends this job only: the node must live to tell.
            self._on_error(error)
