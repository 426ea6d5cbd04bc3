"""Two stages in two threads: the newest job enters, results leave in order."""

from __future__ import annotations

import threading
import time
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

    def withdraw(self) -> Job | None:
        """Take the item that waits back, if any."""
        with self._changed:
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def put(self, item: Job) -> None:
        """Put an item; one that waits is replaced."""
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

    At most two jobs are in flight. A job that waits for the first stage can be withdrawn for a
    newer one, which would replace it. A stage that raises ends its job only.
    """

    def __init__(self, first: Callable[[Job], Half], second: Callable[[Half], None],
                 on_error: Callable[[BaseException], None]) -> None:
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
        self._stopping = False
        self._began: dict[str, float] = {}
        self._threads = [threading.Thread(target=self._run_first, name='segment', daemon=True),
                         threading.Thread(target=self._run_second, name='estimate', daemon=True)]
        for thread in self._threads:
            thread.start()

    def withdraw(self) -> Job | None:
        """Take the job that waits for the first stage back; None if there is none."""
        return self._inbox.withdraw()

    def submit(self, job: Job) -> None:
        """Offer a job."""
        self._inbox.put(job)

    def trouble(self, patience: float) -> str | None:
        """Return what is wrong with the threads, None if nothing is.

        Args:
            patience: Time in which a stage should be done with a job, seconds.
        """
        for thread in self._threads:
            if not thread.is_alive() and not self._stopping:
                return (f'the thread {thread.name!r} has died, no frame is processed any more; '
                        'deactivate and activate the node, and report what the log says')
        for stage, seconds in self.at_work().items():
            if seconds > patience:
                return (f'the stage {stage!r} has been at work on one frame for {seconds:.0f} s; '
                        'the model is too slow for this machine, or hangs')
        return None

    def at_work(self) -> dict[str, float]:
        """Return the seconds that each stage has been at work on its present job."""
        now = time.monotonic()
        return {stage: now - began for stage, began in tuple(self._began.items())}

    def stop(self, timeout: float | None = None) -> bool:
        """End both threads when their present jobs are done; whatever waits is dropped.

        Args:
            timeout: Longest wait, seconds; None = as long as it takes.

        Returns:
            Whether both have ended. A stage that hangs cannot be ended from outside.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._stopping = True
        self._inbox.close()
        if not self._threads[1].is_alive():
            # Nobody else would end the first thread's wait for it.
            self._between.close()
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            # What the first stage gave last is still in there, so not before it has ended.
            self._between.close()
        return not any(thread.is_alive() for thread in self._threads)

    def _run_first(self) -> None:
        # A result that waits for the second stage counts as in flight.
        while self._between.wait_until_empty() and (job := self._inbox.take()) is not None:
            self._attempt(lambda job=job: self._between.put(self._first(job)))

    def _run_second(self) -> None:
        while (half := self._between.take()) is not None:
            self._attempt(lambda half=half: self._second(half))

    def _attempt(self, stage: Callable[[], None]) -> None:
        name = threading.current_thread().name
        self._began[name] = time.monotonic()
        try:
            stage()
        except BaseException as error:
            # Any fault ends this job only, even SystemExit: the node must live to tell.
            self._on_error(error)
        finally:
            del self._began[name]
