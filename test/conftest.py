"""What all tests share."""

from hypothesis import settings

# Timings live in benchmarks: a busy machine must not fail a test of behaviour. Derandomised, so
# that a run in CI repeats on every machine.
settings.register_profile('project', deadline=None, derandomize=True)
settings.load_profile('project')
