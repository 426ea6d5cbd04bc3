"""Trains and measures the variants of MRC-Net, each with the same budget, data and seeds.

What is done is kept, as in the ablation of the category networks; so are the samples of each
step, and the first weights up to where a variant's layers differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pose_estimation_ros.evaluation.ablation_runs import (
    as_plain,
    claim_folder,
    from_plain,
    measure_missing,
    plain_settings,
    short_hash,
    stage_of,
    store_result,
    stored_result,
)
from pose_estimation_ros.evaluation.mrc_ablation_variants import (
    BASELINE,
    VARIANTS,
    MRCVariant,
    Training,
    trainings,
)
from pose_estimation_ros.evaluation.report import circumstances
from pose_estimation_ros.evaluation.step_time import step_seconds
from pose_estimation_ros.evaluation.view_pose_errors import PoseErrors

if TYPE_CHECKING:
    from pose_estimation_ros.training.mrc_recipes import MRCRecipe
    from pose_estimation_ros.training.mrc_views import ViewShards
    from pose_estimation_ros.training.mrc_warm_start import VariantTask
    from pose_estimation_ros.training.task import Precision, TrainingSettings


@dataclass(frozen=True)
class MRCAblationSettings:
    """The budget that every variant gets, and what it is measured on.

    Attributes:
        data: Folders of training views, in equal shares.
        test: Folder of held-out views of the same objects.
        start_from: Checkpoint that all variants begin with in the layers that are alike in all:
            of `train mrc-lite`, or of a detector; None = from scratch.
        steps: Optimizer steps.
        batch: Views per step.
        rate: Highest learning rate; a cosine after a short warm-up.
        average: Decay of the moving average of the weights, which are what is measured.
        seeds: Trainings of each variant.
        views: At most so many of the test views are measured, evenly spread.
        crop: Side of the crops, pixels; 0 = as in the recipes.
        width: Channels of the networks; 0 = as in the recipes.
        device: 'cpu' or 'cuda'.
        precision: Arithmetic of the training; the measurement is in float32.
    """

    data: tuple[str, ...]
    test: str
    start_from: Path | None = None
    steps: int = 600
    batch: int = 32
    rate: float = 1e-3
    average: float = 0.99
    seeds: int = 2
    views: int = 1024
    crop: int = 0
    width: int = 0
    device: str = 'cpu'
    precision: Precision = 'bfloat16'


@dataclass(frozen=True)
class MRCVariantResult:
    """What one seed of a variant gave.

    Attributes:
        parameters: Of the network.
        bins: Of rotation.
        seconds: Of a training step: processor time on a CPU, else time.
        errors: Of the same test views in all results.
        crop: Side of the crops, pixels.
        objects: How many objects the network knows.
        training_views: Of how many views the steps were drawn.
        commit: Of the code that trained and measured.
    """

    parameters: int
    bins: int
    seconds: float
    errors: PoseErrors
    crop: int
    objects: int
    training_views: int
    commit: str


def measure_all(settings: MRCAblationSettings, runs: Path,
                variants: Sequence[MRCVariant] = VARIANTS, processes: int = 1) -> None:
    """Train and measure every seed of every variant that is not done.

    Args:
        settings: The budget.
        runs: Folder of checkpoints and results; of these settings only.
        variants: Which ones.
        processes: Trainings at the same time, each with one thread.

    Raises:
        ConfigurationError: If the folder holds results of other settings, or data are missing
            or of different objects.
    """
    recipe = short_hash(repr(_recipe(BASELINE, settings)).encode())
    claim_folder(runs, {**plain_settings(settings), 'recipe': recipe})
    measure_missing(partial(_measure, settings, runs), trainings(variants), settings.seeds, runs,
                    processes)


def read_result(runs: Path, variant: MRCVariant, seed: int) -> MRCVariantResult:
    """Return what `measure_all` stored.

    Raises:
        ConfigurationError: If that seed of the variant is not measured yet.
    """
    stored = stored_result(runs, variant.recipe, seed)
    errors = stored.pop('errors')[str(variant.copies)]
    return MRCVariantResult(errors=PoseErrors(*(
        from_plain(errors[name]) for name in PoseErrors.__dataclass_fields__)), **stored)


def _measure(settings: MRCAblationSettings, runs: Path, training: Training, seed: int) -> None:
    """Train one seed of a recipe and measure it in each of its ways."""
    from pose_estimation_ros.networks.mrc import MRCNet
    from pose_estimation_ros.training.loop import run

    train, test = _data(settings)
    chosen = _training_settings(settings, seed)
    task = _task(train, training.name, settings)
    seconds = step_seconds(task, chosen)
    state = run(task, chosen, runs / f'{training.name}_{seed}')
    assert state.average is not None
    network = state.average.module
    assert isinstance(network, MRCNet)
    rows = range(0, len(test), -(-len(test) // settings.views))
    errors = task.errors(network.eval(), test, rows, training.copies)
    config = network.config
    store_result(runs, training.name, seed, {
        'parameters': sum(weight.numel() for weight in network.parameters()),
        'bins': config.rotations, 'seconds': seconds, 'crop': config.crop,
        'objects': config.objects, 'training_views': sum(len(views) for views in train),
        'commit': circumstances()['commit'],
        'errors': {str(copies): {name: as_plain(getattr(found, name))
                                 for name in PoseErrors.__dataclass_fields__}
                   for copies, found in zip(training.copies, errors, strict=True)}})


@lru_cache(maxsize=1)
def _data(settings: MRCAblationSettings) -> tuple[list[ViewShards], ViewShards]:
    """Return what is trained on and what is measured; read once."""
    from pose_estimation_ros.training.mrc_training import check_same_objects
    from pose_estimation_ros.training.mrc_views import ViewShards

    train = [ViewShards(Path(folder)) for folder in settings.data]
    test = ViewShards(Path(settings.test))
    for folder, views in [*zip(settings.data, train, strict=True), (settings.test, test)]:
        check_same_objects(settings.data[0], train[0].objects, folder, views.objects)
    return train, test


def _recipe(name: str, settings: MRCAblationSettings) -> MRCRecipe:
    from pose_estimation_ros.training.mrc_recipes import VARIANTS as RECIPES

    recipe = RECIPES[name]
    network = recipe.network
    crop = settings.crop or network.crop
    # Cells that are pixels of a map are as many as that has.
    cells = network.cells * crop // network.crop if network.cells_from == 'map' else network.cells
    return replace(recipe, network=replace(network, crop=crop, cells=cells,
                                           width=settings.width or network.width))


def _task(train: Sequence[ViewShards], name: str, settings: MRCAblationSettings) -> VariantTask:
    from pose_estimation_ros.training.mrc_lite_training import NETWORK
    from pose_estimation_ros.training.mrc_recipes import VARIANTS as RECIPES
    from pose_estimation_ros.training.mrc_warm_start import VariantTask

    return VariantTask(NETWORK, train, _recipe(name, settings),
                       [_recipe(other, settings) for other in RECIPES])


def _training_settings(settings: MRCAblationSettings, seed: int) -> TrainingSettings:
    from pose_estimation_ros.training.mrc_lite_training import DEFAULTS

    return replace(
        DEFAULTS, stages=(stage_of(settings.steps, settings.rate),), batch=settings.batch,
        ratio=(1,) * len(settings.data), seed=seed, threads=1, workers=0, device=settings.device,
        precision=settings.precision, average=settings.average, start_from=settings.start_from)
