"""What all tests share."""

import os

from hypothesis import settings

# Messages are as strict about the types of their fields as Humble's always are; read when a
# message type is imported, and inherited by the nodes that tests start.
os.environ.setdefault('ROS_PYTHON_CHECK_FIELDS', '1')

# Timings live in benchmarks: a busy machine must not fail a test of behaviour. Derandomised, so
# that a run in CI repeats on every machine.
settings.register_profile('project', deadline=None, derandomize=True)
settings.load_profile('project')
