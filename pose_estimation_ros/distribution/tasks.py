"""One function over many shards: here, in local processes, or on a Dask cluster.

A shard is whatever can be made or judged without looking at the others: a scene, a file, a slice
of a data set. What a shard has finished stays finished, whatever happens to the next one.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pose_estimation_ros.core.errors import ConfigurationError, PoseEstimationError

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar('Item')
Result = TypeVar('Result')
Report = Callable[[int, int], None]

# A shard whose worker died may have been innocent: the system kills what is largest.
_TRIES = 3
_CONNECT_SECONDS = 20


class LostShardError(PoseEstimationError):
    """The process that worked on a shard died, again and again."""


def no_report(done: int, total: int) -> None:
    """Report progress to nobody."""


def map_shards(function: Callable[[Item], Result], items: Sequence[Item], cluster: str = '',
               processes: int = 1, report: Report = no_report) -> list[Result]:
    """Return `function(item)` of all items, in their order.

    Processes are started afresh, so a script that calls this needs the usual
    `if __name__ == '__main__'`. The machines of a cluster must have this package installed and
    see the same files under the same paths.

    Args:
        function: A module's function or a `functools.partial` of one. It should write what is
            large to a file and return its name.
        items: One per shard; small, they are sent to the workers.
        cluster: Address of a Dask scheduler, such as 'tcp://10.0.0.5:8786'; '' = this machine.
        processes: How many shards are worked on at the same time on this machine; 1 = in this
            process. A cluster works on as many as it has workers.
        report: Called with the finished and the total number of shards after each.

    Raises:
        ConfigurationError: If the cluster cannot be reached, or Dask is not installed.
        LostShardError: If the workers of some shards died repeatedly; all others are finished.
        Exception: What `function` raised; shards that had not begun are given up.
    """
    if cluster:
        return _on_cluster(function, items, cluster, report)
    if processes > 1:
        return _in_processes(function, items, processes, report)
    results = []
    for item in items:
        results.append(function(item))
        report(len(results), len(items))
    return results


def _in_processes(function: Callable[[Item], Result], items: Sequence[Item], processes: int,
                  report: Report) -> list[Result]:
    results: dict[int, Result] = {}
    waiting = list(range(len(items)))
    for attempt in range(_TRIES):
        # What breaks a pool takes its neighbours down, so the last try is one shard to a pool.
        size = len(waiting) if attempt < _TRIES - 1 else 1
        for start in range(0, len(waiting), max(size, 1)):
            chosen = waiting[start:start + size]
            _run_pool(function, items, chosen, min(processes, len(chosen)), results, report)
        waiting = [index for index in waiting if index not in results]
        if not waiting:
            break
    _check_none_lost(waiting, items)
    return [results[index] for index in range(len(items))]


def _run_pool(function: Callable[[Item], Result], items: Sequence[Item], chosen: Sequence[int],
              processes: int, results: dict[int, Result], report: Report) -> None:
    """Add the results of the chosen items; those that a dead process took along are missing."""
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(processes, context) as pool:
        jobs = {pool.submit(_run_alone, function, items[index]): index for index in chosen}
        for job in as_completed(jobs):
            try:
                results[jobs[job]] = job.result()
            except BrokenProcessPool:
                continue
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            report(len(results), len(items))


def _on_cluster(function: Callable[[Item], Result], items: Sequence[Item], address: str,
                report: Report) -> list[Result]:
    with _connected(address) as client:
        from distributed import as_completed as completed
        from distributed.scheduler import KilledWorker

        # Impure: two calls with equal arguments are two pieces of work, files may have changed.
        # Mapped at once, the function travels once and not with every shard.
        futures = client.map(partial(_run_alone, function), items, pure=False)
        jobs = {future: index for index, future in enumerate(futures)}
        results: dict[int, Result] = {}
        try:
            for job in completed(list(jobs)):
                try:
                    results[jobs[job]] = job.result()
                except KilledWorker:
                    continue
                report(len(results), len(items))
        except BaseException:
            client.cancel(list(jobs))
            raise
    _check_none_lost([index for index in range(len(items)) if index not in results], items)
    return [results[index] for index in range(len(items))]


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigurationError(f'a cluster ({address}) needs Dask, which is not installed; '
                                 "pip install 'dask[distributed]'") from error
    # A client that found no scheduler before is ended when it is collected; while another one is
    # made, that waits for a lock which the new one holds, for ever.
    gc.collect()
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f'no Dask scheduler answers at {address!r} ({error}); start one with `dask '
            'scheduler`, workers with `dask worker <address>`, and give the address it prints'
        ) from error
    with client, client.as_current():
        yield client


def _run_alone(function: Callable[[Item], Result], item: Item) -> Result:
    """Run beside other workers: parallel libraries inside would only fight for the cores."""
    # The command line imports this module, and is to start before OpenCV is loaded.
    import cv2

    cv2.setNumThreads(1)
    return function(item)


def _check_none_lost(lost: Sequence[int], items: Sequence[Item]) -> None:
    if lost:
        names = ', '.join(str(items[index]) for index in lost[:8])
        more = ', ...' if len(lost) > 8 else ''
        raise LostShardError(
            f'the processes of {len(lost)} of {len(items)} shards died {_TRIES} times ({names}'
            f'{more}); all others are finished. Give each worker more memory (fewer processes) '
            'and run the same command again')
