"""The ablation: variants differ in what they say, get the same budget, and are measured once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.evaluation.ablation import AblationSettings, measure_all, read_result
from pose_estimation_ros.evaluation.ablation_variants import BASELINE, CLAIMS, VARIANTS
from pose_estimation_ros.synthetic.crop_samples import pack_crops
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training.shape_priors import save_priors
from test.training.tiny_tasks import random_crops

NAMED = {entry.name: entry for entry in VARIANTS}
TWO = (NAMED[BASELINE], NAMED['adversarial'])
RESULTS = ('spd_0.json', 'spd_1.json', 'adversarial_0.json', 'adversarial_1.json')


def write_crops(folder: Path, domain: str, count: int, seed: int) -> str:
    crops = random_crops(count, seed=seed)
    crops = replace(crops, visibility=np.where(np.arange(count) % 4, 1.0, 0.3).astype(np.float32))
    write_shards(folder, 1, {'kind': 'crops', 'domain': domain}, lambda _: pack_crops(crops))
    return str(folder)


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    save_priors(folder / 'priors.npz', np.random.default_rng(0).uniform(
        -0.3, 0.3, (6, 32, 3)).astype(np.float32), 'random', CATEGORIES)
    return AblationSettings(
        (write_crops(folder / 'train', 'primary', 24, 0),),
        (write_crops(folder / 'test', 'primary', 8, 1), write_crops(folder / 'far', 'second', 12,
                                                                    2)),
        folder / 'priors.npz', steps=2, batch=4, points=24, test_points=24, stages=1, width=16,
        precision='float32')


@pytest.fixture(scope='module')
def runs(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp('runs')
    measure_all(settings, folder, TWO)
    return folder


def test_every_variant_and_seed_is_measured_on_the_same_visible_instances(settings, runs):
    for variant in TWO:
        for seed in range(2):
            errors = read_result(runs, variant, seed).errors
            assert {name: len(found.rotation) for name, found in errors.items()} == {
                'primary': 6, 'second': 9}
            rotation = errors['second'].rotation
            assert ((rotation >= 0) & (rotation <= 180) | np.isinf(rotation)).all()


def test_modules_cost_parameters_and_seeds_give_other_networks(runs):
    small, large = (read_result(runs, variant, 0) for variant in TWO)
    assert large.parameters > small.parameters > 1000
    assert small.seconds > 0
    other = read_result(runs, TWO[0], 1)
    assert not np.array_equal(small.errors['second'].rotation, other.errors['second'].rotation)


def test_what_is_measured_is_not_measured_again(settings, runs):
    before = {name: (runs / name).stat().st_mtime_ns for name in RESULTS}
    measure_all(settings, runs, TWO)
    assert {name: (runs / name).stat().st_mtime_ns for name in RESULTS} == before


def test_what_is_missing_is_measured_again_alike(settings, runs, tmp_path):
    for path in runs.glob('*.json'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / 'spd_1.json').unlink()
    measure_all(settings, tmp_path, TWO)
    again, first = (read_result(folder, TWO[0], 1) for folder in (tmp_path, runs))
    np.testing.assert_allclose(again.errors['primary'].rotation,
                               first.errors['primary'].rotation, atol=1e-3)


def test_a_folder_of_other_settings_is_refused(settings, runs):
    with pytest.raises(ConfigurationError, match=r'with steps = 2, not 3; give another folder'):
        measure_all(replace(settings, steps=3), runs, TWO)


def test_what_is_not_measured_is_named(runs):
    with pytest.raises(ConfigurationError, match="seed 0 of 'mlp' is not measured"):
        read_result(runs, NAMED['mlp'], 0)


def test_an_object_without_a_pose_is_stored_as_one(runs, tmp_path):
    stored = json.loads((runs / 'spd_0.json').read_text())
    stored['errors']['primary']['rotation'][0] = None
    (tmp_path / 'spd_0.json').write_text(json.dumps(stored))
    errors = read_result(tmp_path, TWO[0], 0).errors['primary']
    assert np.isinf(errors.rotation[0])
    assert not errors.within(180, 1000)[0]


def test_claims_are_of_variants_and_differ_in_one_thing_from_what_they_beat():
    assert len(NAMED) == len(VARIANTS)
    switches = ('instance_relation', 'category_relation', 'steps', 'pose_invariant', 'relational',
                'adversarial')
    for claim in CLAIMS:
        better, worse = NAMED[claim.better], NAMED[claim.worse]
        changed = [name for name in switches if getattr(better, name) != getattr(worse, name)]
        whole = claim.better in {'steps2', 'adversarial'} and claim.worse == BASELINE
        kinds = changed == ['instance_relation', 'category_relation']
        assert whole or kinds or len(changed) == 1
