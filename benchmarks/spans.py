"""Spans of time that stages of a running pipeline take: for tables of stages, and for traces."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch


@dataclass(frozen=True)
class Stage:
    """A function whose calls are a stage.

    Attributes:
        name: Of the stage.
        owner: Class or module that the function is looked up in when it is called.
        function: Its name there.
    """

    name: str
    owner: Any
    function: str


@dataclass(frozen=True)
class Span:
    """One call.

    Attributes:
        name: Of the stage.
        parents: Names of the stages that it is a part of, outermost first.
        thread: Name of the thread.
        start: `time.perf_counter()`, seconds.
        end: Likewise.
    """

    name: str
    parents: tuple[str, ...]
    thread: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@contextmanager
def recorded(stages: Sequence[Stage]) -> Iterator[list[Span]]:
    """Record every call of the stages; a stage inside itself counts once."""
    spans: list[Span] = []
    active = threading.local()

    def recording(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def recorded_call(*arguments: Any, **options: Any) -> Any:
            parents: tuple[str, ...] = getattr(active, 'names', ())
            if name in parents:
                return function(*arguments, **options)
            active.names = (*parents, name)
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spans.append(Span(name, parents, threading.current_thread().name, start,
                                  time.perf_counter()))
                active.names = parents
        return recorded_call

    with ExitStack() as replaced:
        for stage in stages:
            function = getattr(stage.owner, stage.function)
            replaced.enter_context(patch.object(stage.owner, stage.function,
                                                recording(stage.name, function)))
        yield spans


def write_trace(spans: Sequence[Span], path: Path) -> None:
    """Write spans as a trace that chrome://tracing and https://ui.perfetto.dev show."""
    began = min(span.start for span in spans)
    threads = {name: number for number, name in enumerate(
        dict.fromkeys(span.thread for span in spans), 1)}
    events = [{'name': 'thread_name', 'ph': 'M', 'pid': 1, 'tid': number,
               'args': {'name': name}} for name, number in threads.items()]
    events += [{'name': span.name, 'ph': 'X', 'pid': 1, 'tid': threads[span.thread],
                'ts': round(1e6 * (span.start - began), 1), 'dur': round(1e6 * span.seconds, 1)}
               for span in sorted(spans, key=lambda span: span.start)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({'traceEvents': events, 'displayTimeUnit': 'ms'}) + '\n',
                    encoding='utf-8')
