"""The ablation of MRC-Net: variants get the same budget, and are measured on the same views."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.evaluation import step_time
from pose_estimation_ros.evaluation.mrc_ablation import (
    MRCAblationSettings,
    measure_all,
    read_result,
)
from pose_estimation_ros.evaluation.mrc_ablation_variants import (
    BASELINE,
    CLAIMS,
    VARIANTS,
    Training,
    trainings,
)
from pose_estimation_ros.training.checkpoints import read_checkpoint, trained_weights
from pose_estimation_ros.training.mrc_recipes import VARIANTS as RECIPES
from test.support.mrc_views import store_views

NAMED = {entry.name: entry for entry in VARIANTS}
SOME = (NAMED[BASELINE], NAMED['turned'], NAMED['classification'])
RESULTS = tuple(f'{name}_{seed}.json' for name in (BASELINE, 'classification')
                for seed in range(2))
FIGURES = ('angle', 'surface', 'projection')


@pytest.fixture(scope='module', autouse=True)
def _short_clock():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_time, 'TIMED_STEPS', 1)
        patch.setattr(step_time, 'FIRST_STEPS', 1)
        yield


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    return MRCAblationSettings(
        (str(store_views(folder / 'train', count=8)),),
        str(store_views(folder / 'test', count=9, seed=1)), steps=2, batch=4, views=5, crop=32,
        width=8, precision='float32')


@pytest.fixture(scope='module')
def runs(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp('runs')
    measure_all(settings, folder, SOME)
    return folder


def test_every_variant_and_seed_is_measured_on_the_same_views(runs):
    for variant in SOME:
        for seed in range(2):
            result = read_result(runs, variant, seed)
            # Every second one of nine.
            assert [len(getattr(result.errors, name)) for name in FIGURES] == [5, 5, 5]
            assert ((result.errors.angle >= 0) & (result.errors.angle <= np.pi + 1e-4)).all()
            assert (result.crop, result.objects, result.training_views) == (32, 2, 8)
            assert result.seconds > 0


def test_turned_copies_are_measured_with_the_same_weights(runs):
    assert {path.name for path in runs.glob('*_?.json')} == set(RESULTS)
    once, turned = (read_result(runs, NAMED[name], 0) for name in (BASELINE, 'turned'))
    assert turned.parameters == once.parameters
    assert not np.array_equal(turned.errors.angle, once.errors.angle)


def test_what_a_variant_leaves_out_costs_no_parameters(runs):
    whole, classified = (read_result(runs, NAMED[name], 0)
                         for name in (BASELINE, 'classification'))
    assert whole.parameters > classified.parameters > 1000
    assert whole.bins == classified.bins == RECIPES[BASELINE].network.rotations


def test_seeds_give_other_networks(runs):
    first, second = (read_result(runs, NAMED[BASELINE], seed).errors for seed in range(2))
    assert not np.array_equal(first.projection, second.projection)


def test_what_is_missing_is_measured_again_alike_and_nothing_else(settings, runs, tmp_path):
    for path in runs.glob('*.json'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / 'classification_1.json').unlink()
    kept = {name: (tmp_path / name).stat().st_mtime_ns for name in RESULTS[:-1]}
    measure_all(settings, tmp_path, SOME)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in RESULTS[:-1]} == kept
    again, first = (read_result(folder, NAMED['classification'], 1) for folder in (tmp_path, runs))
    np.testing.assert_allclose(again.errors.angle, first.errors.angle, atol=1e-2)


def test_a_training_that_was_interrupted_goes_on(settings, runs, tmp_path):
    variant, longer = NAMED['classification'], replace(settings, steps=3, seeds=1)
    # The weights after two of the steps, and no result.
    checkpoint = tmp_path / 'cut' / 'classification_0' / 'last.pt'
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes((runs / 'classification_0' / 'last.pt').read_bytes())
    measure_all(longer, tmp_path / 'cut', [variant])
    history = read_checkpoint(checkpoint)['notes']['history']
    assert [entry['step'] for entry in history] == [0, 2]
    assert len(read_result(tmp_path / 'cut', variant, 0).errors.angle) == 5


def test_all_variants_begin_with_what_a_checkpoint_has_learnt_where_all_are_alike(
        settings, runs, tmp_path):
    start = runs / f'{BASELINE}_0' / 'last.pt'
    begun = replace(settings, start_from=start, steps=1, seeds=1, rate=1e-12)
    measure_all(begun, tmp_path, [NAMED[name] for name in (BASELINE, 'parallel', 'nside1')])

    learnt = trained_weights(read_checkpoint(start))
    taken = {}
    for name in (BASELINE, 'parallel', 'nside1'):
        own = trained_weights(read_checkpoint(tmp_path / f'{name}_0' / 'last.pt'))
        taken[name] = {key for key, value in own.items() if value.is_floating_point()
                       and key in learnt and value.shape == learnt[key].shape
                       and torch.allclose(value, learnt[key], atol=1e-4)}
    # The rates of a step are next to nothing, so what differs was not taken.
    assert {'decoder.last.weights', 'classifier.depth.last.weight',
            'classifier.rotation.hidden.weight',
            'regressor.from_8.norm.weight'} <= taken[BASELINE]
    own = {key for key in taken[BASELINE] if not key.startswith('regressor.correlations')}
    assert taken['parallel'] == own
    assert taken['nside1'] == taken[BASELINE]
    for changed in ('classifier.rotation.last', 'regressor.from_8.conv', 'regressor.from_16.conv'):
        assert f'{changed}.weight' not in taken[BASELINE]


def test_a_checkpoint_of_other_sizes_or_objects_is_refused(settings, runs, tmp_path):
    begun = replace(settings, start_from=runs / f'{BASELINE}_0' / 'last.pt', seeds=1)
    with pytest.raises(ModelError, match='of the same recipe, crop and width'):
        measure_all(replace(begun, width=4), tmp_path / 'narrow', SOME)
    other = str(store_views(tmp_path / 'other', ('box', 'wedge')))
    with pytest.raises(ConfigurationError, match='the data is of the objects box, wedge, '):
        measure_all(replace(begun, data=(other,), test=other), tmp_path / 'others', SOME)


def test_a_folder_of_other_settings_or_another_recipe_is_refused(settings, runs, monkeypatch):
    with pytest.raises(ConfigurationError, match=r'with steps = 2, not 3; give another folder'):
        measure_all(replace(settings, steps=3), runs, SOME)
    monkeypatch.setitem(RECIPES, BASELINE, replace(RECIPES[BASELINE], turned=0.0))
    with pytest.raises(ConfigurationError, match='with recipe = '):
        measure_all(settings, runs, SOME)


def test_views_of_other_objects_are_refused(settings, tmp_path):
    other = replace(settings, test=str(store_views(tmp_path / 'other', ('box', 'wedge'))))
    with pytest.raises(ConfigurationError, match='of the objects cup, wedge, .* of box, wedge'):
        measure_all(other, tmp_path / 'runs', SOME)


def test_what_is_not_measured_is_named(runs):
    with pytest.raises(ConfigurationError, match="seed 0 of 'parallel' is not measured"):
        read_result(runs, NAMED['parallel'], 0)


def test_every_variant_differs_from_the_first_in_one_thing():
    assert trainings(VARIANTS)[0] == Training(BASELINE, (1, 4))
    assert {entry.name for entry in trainings(VARIANTS)} == set(RECIPES)
    base = RECIPES[BASELINE]
    for variant in VARIANTS[1:]:
        recipe = RECIPES[variant.recipe]
        changed = [entry.name for entry in fields(recipe) if entry.name != 'network'
                   and getattr(recipe, entry.name) != getattr(base, entry.name)]
        changed += [name for name, value in recipe.network.as_dict().items()
                    if value != base.network.as_dict()[name]]
        assert len(changed) + (variant.copies > 1) == 1
    assert all(BASELINE in (claim.better, claim.worse) for claim in CLAIMS)
    assert {name for claim in CLAIMS for name in (claim.better, claim.worse)} == set(NAMED)
