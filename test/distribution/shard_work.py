"""What the tests let workers do; a module of its own, because workers import it by name."""

import os
from pathlib import Path

from pose_estimation_ros.core.errors import InvalidInputError


def square(number):
    return number * number


def process_id(number):
    return os.getpid()


def square_or_die_once(folder, number):
    """Kill the own process when number 3 is seen for the first time."""
    mark = Path(folder) / 'died'
    if number == 3 and not mark.exists():
        mark.touch()
        os._exit(1)
    return number * number


def square_or_die(number):
    if number == 1:
        os._exit(1)
    return number * number


def refuse_two(number):
    if number == 2:
        raise InvalidInputError('two is not wanted; leave it out')
    return number


def write_file(folder, number):
    (Path(folder) / str(number)).write_text('done')
