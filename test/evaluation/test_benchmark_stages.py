"""The stages that benchmarks time are functions that the package still has."""

import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'benchmarks'))

from whole_path import stages

from pose_estimation_ros.backends.lite import LiteBackend


def test_every_stage_is_there():
    pipeline = SimpleNamespace(backend=LiteBackend.__new__(LiteBackend))
    missing = [f'{stage.owner.__name__}.{stage.function}' for stage in stages(pipeline)
               if not callable(getattr(stage.owner, stage.function, None))]
    assert missing == []
