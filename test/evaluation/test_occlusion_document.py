import json
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.evaluation import occlusion_document
from pose_estimation_ros.evaluation.occlusion import (
    BASELINE,
    CONTESTANTS,
    VARIANTS,
    Graded,
    OcclusionBenchmark,
    OcclusionSettings,
)
from pose_estimation_ros.evaluation.occlusion_metric import GradedErrors, GradedObject
from pose_estimation_ros.synthetic.occlusion import LEVELS

ROOT = Path(__file__).parents[2]
OBJECTS = tuple(GradedObject(f'{number:06d}', 1, category, level)
                for level in LEVELS for number, category in enumerate(CATEGORY_NAMES))


class Measured(OcclusionBenchmark):
    """A benchmark whose methods all turn every object by 20 degrees and half of them by 5."""

    objects = OBJECTS

    def measured(self, contestants, frames, report=None):
        degrees = np.where(np.arange(len(OBJECTS)) % 2, 20.0, 5.0)
        errors = GradedErrors(OBJECTS, np.radians(degrees), np.radians(2 * degrees),
                              np.full(len(OBJECTS), 0.1))
        return [Graded(entry, errors, {entry.name: 'abc'}) for entry in contestants]


@pytest.fixture
def benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(occlusion_document, 'write_pictures', lambda *_: None)
    monkeypatch.setattr(occlusion_document, '_facts', lambda _: {'data': 'made up'})
    return Measured(OcclusionSettings(tmp_path / 'none'), tmp_path / 'runs')


def test_the_document_states_every_method_and_variant_at_every_level(benchmark, tmp_path):
    docs = tmp_path / 'docs'
    docs.mkdir()
    template = (ROOT / 'docs' / 'occlusion_template.md').read_text(encoding='utf-8')
    (docs / 'occlusion_template.md').write_text(template, encoding='utf-8')
    told = []
    occlusion_document.write_occlusion(benchmark, docs, told.append)

    text = (docs / 'occlusion.md').read_text(encoding='utf-8')
    assert '{{' not in text
    assert '24 objects in 112 frames are judged: 6 at L0, 6 at L1, 6 at L2, 6 at L3' in text
    for entry in (*CONTESTANTS, *VARIANTS):
        assert text.count(f'| {entry.title} |') >= len(LEVELS)
    rows = json.loads((docs / 'results' / 'occlusion.json').read_text())['rows']
    assert [(row['level'], row['method']) for row in rows] == [
        (level, entry.title) for level in LEVELS for entry in CONTESTANTS]
    assert rows[0]['error < π/6, %'] == 100.0
    assert rows[0]['error < π/18, %'] == 50.0
    assert rows[0]['plain error < π/6, %'] == 50.0
    categories = json.loads((docs / 'results' / 'occlusion_categories.json').read_text())['rows']
    assert len(categories) == len(LEVELS) * len(CATEGORY_NAMES)
    assert len(told) == 2


def test_the_model_that_is_named_is_that_of_neural_mesh_alone(tmp_path):
    benchmark = OcclusionBenchmark(OcclusionSettings(tmp_path, model='mine', threads=3), tmp_path)
    assert benchmark.method(BASELINE).model == 'mine'
    for entry in CONTESTANTS[1:]:
        assert benchmark.method(entry).model == ''
        assert benchmark.method(entry).threads == 3


def test_variants_are_the_baseline_but_for_what_they_say():
    assert VARIANTS[0] is CONTESTANTS[0] is BASELINE
    settings = [entry.method.neural_mesh for entry in VARIANTS]
    assert len(set(settings)) == len(VARIANTS)
    for entry in settings[1:]:
        different = [name for name in ('proposals', 'scale', 'initial_poses', 'competition',
                                  'min_probability')
                     if getattr(entry, name) != getattr(settings[0], name)]
        assert len(different) == 1
