"""Progress bars of commands, on the terminal's error stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pose_estimation_ros.distribution import Report


@contextmanager
def progress_bar(unit: str) -> Iterator[Report]:
    """Show a bar with the remaining time while the context is open.

    Args:
        unit: What is counted, such as 'shard'.

    Yields:
        A function to call with the finished and the total number. What was finished before its
        first call is not counted into the rate.
    """
    from tqdm import tqdm

    with tqdm(unit=f' {unit}', dynamic_ncols=True) as bar:

        def report(done: int, total: int) -> None:
            if bar.total is None:
                bar.initial = bar.n = bar.last_print_n = done
                bar.total = total
                bar.refresh()
            bar.update(done - bar.n)

        yield report
