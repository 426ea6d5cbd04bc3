"""Trains and measures variants of DISP6D, each with the same budget, data and seeds.

What is done is kept, as in the other ablations; so are the samples of each step and the first
weights, which are of the same shapes in all variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.evaluation.ablation_order import Claim
from pose_estimation_ros.evaluation.ablation_runs import (
    as_plain,
    claim_folder,
    from_plain,
    measure_missing,
    plain_settings,
    stage_of,
    store_result,
    stored_result,
)
from pose_estimation_ros.evaluation.report import circumstances

if TYPE_CHECKING:
    from pose_estimation_ros.training.disp6d_recipes import Disp6dRecipe
    from pose_estimation_ros.training.disp6d_views import TurnedShards
    from pose_estimation_ros.training.task import TrainingSettings

BASELINE = 'category'
# Of the rotations that are compared; the farthest from any of them is 9 degrees away.
_NSIDE = 6


@dataclass(frozen=True)
class Disp6dVariant:
    """One row of the ablation.

    Attributes:
        name: That of a recipe of `disp6d_recipes.VARIANTS`.
        title: What a table calls it.
    """

    name: str
    title: str


VARIANTS: tuple[Disp6dVariant, ...] = (
    Disp6dVariant(BASELINE, 'DISP6D `lite`'),
    Disp6dVariant('no-metric', 'without the metric loss: shapes are not told apart'),
    Disp6dVariant('unconditioned', 'unconditioned: codes of rotations are the same for all '
                  'shapes'),
    Disp6dVariant('no-choice', 'without the loss of choosing a rotation, as published'),
)

CLAIMS: tuple[Claim, ...] = (
    Claim(BASELINE, 'unconditioned', "codes for the object's own shape beat those for all shapes"),
    Claim(BASELINE, 'no-metric', 'the metric loss helps'),
)


@dataclass(frozen=True)
class Disp6dAblationSettings:
    """The budget that every variant gets, and what it is measured on.

    Attributes:
        data: Folders of `dataset turned`, in equal shares.
        test: One of objects that are not in them.
        steps: Optimizer steps.
        batch: Crops per step.
        rate: Highest learning rate; a cosine after a short warm-up.
        average: Decay of the moving average of the weights, which are what is measured.
        seeds: Trainings of each variant.
        views: At most so many of the test pictures are measured, evenly spread.
        crop: Side of the crops, pixels.
        device: 'cpu' or 'cuda'.
    """

    data: tuple[str, ...]
    test: str
    steps: int = 2000
    batch: int = 32
    rate: float = 1e-3
    average: float = 0.995
    seeds: int = 2
    views: int = 1024
    crop: int = 64
    device: str = 'cpu'


@dataclass(frozen=True)
class Disp6dVariantResult:
    """What one seed of a variant gave.

    Attributes:
        errors: (N,) rotation errors modulo symmetry of the same test pictures, radians.
        categories: (N,) what they show.
        training_views: Of how many pictures the steps were drawn.
        commit: Of the code that trained and measured.
    """

    errors: NDArray[np.float64]
    categories: tuple[str, ...]
    training_views: int
    commit: str


def measure_all(settings: Disp6dAblationSettings, runs: Path,
                variants: Sequence[Disp6dVariant] = VARIANTS, processes: int = 1) -> None:
    """Train and measure every seed of every variant that is not done.

    Args:
        settings: The budget.
        runs: Folder of checkpoints and results; of these settings only.
        variants: Which ones.
        processes: Trainings at the same time, each with one thread.

    Raises:
        ConfigurationError: If the folder holds results of other settings, or data are missing
            or not of categories.
    """
    claim_folder(runs, plain_settings(settings))
    measure_missing(partial(_measure, settings, runs), variants, settings.seeds, runs, processes)


def read_result(runs: Path, variant: Disp6dVariant, seed: int) -> Disp6dVariantResult:
    """Return what `measure_all` stored.

    Raises:
        ConfigurationError: If that seed of the variant is not measured yet.
    """
    stored = stored_result(runs, variant.name, seed)
    return Disp6dVariantResult(from_plain(stored['errors']), tuple(stored['categories']),
                               stored['training_views'], stored['commit'])


def _measure(settings: Disp6dAblationSettings, runs: Path, variant: Disp6dVariant, seed: int
             ) -> None:
    """Train one seed of a variant and measure it."""
    from pose_estimation_ros.core.so3_grid import so3_grid
    from pose_estimation_ros.training.disp6d_category_training import NETWORK
    from pose_estimation_ros.training.disp6d_training import (
        Disp6dTask,
        TaughtDisp6d,
        rotation_errors,
    )
    from pose_estimation_ros.training.loop import run

    train, test = _data(settings)
    recipe = _recipe(variant, settings)
    state = run(Disp6dTask(NETWORK, train, None, recipe), _training_settings(settings, seed),
                runs / f'{variant.name}_{seed}')
    assert state.average is not None
    taught = state.average.module
    assert isinstance(taught, TaughtDisp6d)
    shown = [test[row] for row in range(0, len(test), -(-len(test) // settings.views))]
    errors = rotation_errors(taught.network.eval(), shown, recipe, so3_grid(_NSIDE))
    store_result(runs, variant.name, seed, {
        'errors': as_plain(errors), 'categories': [item.category for item in shown],
        'training_views': sum(len(shards) for shards in train),
        'commit': circumstances()['commit']})


@lru_cache(maxsize=1)
def _data(settings: Disp6dAblationSettings) -> tuple[list[TurnedShards], TurnedShards]:
    """Return what is trained on and what is measured; read once."""
    from pose_estimation_ros.training.disp6d_training import read_alike

    *train, test = read_alike([*settings.data, settings.test])
    return train, test


def _recipe(variant: Disp6dVariant, settings: Disp6dAblationSettings) -> Disp6dRecipe:
    from pose_estimation_ros.training.disp6d_recipes import VARIANTS as RECIPES

    recipe = RECIPES[variant.name]
    return replace(recipe, network=replace(recipe.network, crop=settings.crop),
                   crops=replace(recipe.crops, crop=settings.crop))


def _training_settings(settings: Disp6dAblationSettings, seed: int) -> TrainingSettings:
    from pose_estimation_ros.training.disp6d_category_training import DEFAULTS

    return replace(
        DEFAULTS, stages=(stage_of(settings.steps, settings.rate),), batch=settings.batch,
        ratio=(1,) * len(settings.data), seed=seed, threads=1, workers=0, device=settings.device,
        average=settings.average)
