"""Trains and measures the networks of the ablation, each with the same budget, data and seeds.

What is done is kept: a variant of which a seed is measured is not trained again. Weights that all
variants share begin equal, and so do the samples of each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
from pose_estimation_ros.evaluation.ablation_variants import VARIANTS, Variant
from pose_estimation_ros.evaluation.crop_accuracy import CropErrors, crop_errors
from pose_estimation_ros.evaluation.report import circumstances
from pose_estimation_ros.evaluation.step_time import step_seconds
from pose_estimation_ros.synthetic.crop_samples import Crops
from pose_estimation_ros.synthetic.shard_files import read_description

if TYPE_CHECKING:
    from torch import nn

    from pose_estimation_ros.training.lite_task import LiteData
    from pose_estimation_ros.training.task import Precision, TrainingSettings, TrainingTask

# As the lite networks that are shipped are trained.
_CLIP = 5.0


@dataclass(frozen=True)
class AblationSettings:
    """The budget that every variant gets, and what it is measured on.

    Attributes:
        data: Folders of training crops, in equal shares.
        test: Folders of test crops, one for each domain.
        priors: File of shape priors.
        start_from: Checkpoint of an SPD lite that all variants begin with; None = from scratch.
        steps: Optimizer steps.
        batch: Objects per step.
        points: Points per object in training.
        rate: Highest learning rate; a cosine after a short warm-up.
        average: Decay of the moving average of the weights, which are what is measured.
        seeds: Trainings of each variant.
        test_points: Points per object in the measurement.
        visibility: Objects of which a smaller share is seen are left out of the measurement.
        stages: Stages of the encoder, as those of the checkpoint.
        width: Channels of the encoder, as those of the checkpoint.
        precision: Arithmetic of the training; the measurement is in float32.
    """

    data: tuple[str, ...]
    test: tuple[str, ...]
    priors: Path
    start_from: Path | None = None
    steps: int = 500
    batch: int = 32
    points: int = 128
    rate: float = 5e-4
    average: float = 0.99
    seeds: int = 2
    test_points: int = 256
    visibility: float = 0.4
    stages: int = 3
    width: int = 128
    precision: Precision = 'bfloat16'


@dataclass(frozen=True)
class VariantResult:
    """What one seed of a variant gave.

    Attributes:
        parameters: Of the network that runs; the discriminator is not counted.
        seconds: Processor time of a training step.
        errors: Of the same instances in all results, by domain.
        commit: Of the code that trained and measured.
    """

    parameters: int
    seconds: float
    errors: dict[str, CropErrors]
    commit: str


def measure_all(settings: AblationSettings, runs: Path, variants: Sequence[Variant] = VARIANTS,
                processes: int = 1) -> None:
    """Train and measure every seed of every variant that is not done.

    Args:
        settings: The budget.
        runs: Folder of checkpoints and results; of these settings only.
        variants: Which ones.
        processes: Trainings at the same time, each with one thread.

    Raises:
        ConfigurationError: If the folder holds results of other settings, or data are missing.
    """
    claim_folder(runs, plain_settings(settings))
    measure_missing(partial(_measure, settings, runs), variants, settings.seeds, runs, processes)


def read_result(runs: Path, variant: Variant, seed: int) -> VariantResult:
    """Return what `measure_all` stored.

    Raises:
        ConfigurationError: If that seed of the variant is not measured yet.
    """
    stored = stored_result(runs, variant.name, seed)
    return VariantResult(
        stored['parameters'], stored['seconds'],
        {domain: CropErrors(from_plain(errors['rotation']), from_plain(errors['translation']))
         for domain, errors in stored['errors'].items()}, stored['commit'])


def _measure(settings: AblationSettings, runs: Path, variant: Variant, seed: int) -> None:
    """Train and measure one seed of a variant."""
    data, tests = _data(settings)
    training = _training_settings(settings, seed)
    task = _task(variant, data, settings)
    seconds = step_seconds(task, training)
    network = _trained(task, training, runs / f'{variant.name}_{seed}')
    errors = {domain: crop_errors(network, crops, settings.test_points, data.priors.categories)
              for domain, crops in tests.items()}
    count = sum(weight.numel() for weight in network.parameters())
    store_result(runs, variant.name, seed, {
        'parameters': count, 'seconds': seconds, 'commit': circumstances()['commit'],
        'errors': {domain: {'rotation': as_plain(found.rotation),
                            'translation': as_plain(found.translation)}
                   for domain, found in errors.items()}})


@lru_cache(maxsize=1)
def _data(settings: AblationSettings) -> tuple[LiteData, dict[str, Crops]]:
    """Return what is trained on and what is measured, the latter by domain; read once."""
    from pose_estimation_ros.training.crnet_lite_training import PRIOR_POINTS
    from pose_estimation_ros.training.crop_batches import take
    from pose_estimation_ros.training.crop_sources import stored_crops
    from pose_estimation_ros.training.lite_task import lite_data
    from pose_estimation_ros.training.task import TrainingData

    sources = TrainingData(settings.data, Path(), '', settings.priors)
    data = lite_data(sources, _training_settings(settings, 0), 'the ablation', PRIOR_POINTS,
                     colored=True)
    tests = {}
    for folder in map(Path, settings.test):
        crops = stored_crops(folder, data.priors.categories)
        domain = str(read_description(folder, 'crops')['domain'])
        tests[domain] = take(crops, np.flatnonzero(crops.visibility >= settings.visibility))
    return replace(data, points=settings.points), tests


def _training_settings(settings: AblationSettings, seed: int) -> TrainingSettings:
    from pose_estimation_ros.training.task import TrainingSettings

    return TrainingSettings(
        (stage_of(settings.steps, settings.rate),), settings.batch,
        ratio=(1,) * len(settings.data), seed=seed, device='cpu', precision=settings.precision,
        threads=1, clip=_CLIP, average=settings.average, start_from=settings.start_from)


def _task(variant: Variant, data: LiteData, settings: AblationSettings) -> TrainingTask:
    """Return the variant with its data and losses."""
    from pose_estimation_ros.networks.acr_lite import ACRLiteConfig
    from pose_estimation_ros.networks.crnet_lite import CRNetLiteConfig
    from pose_estimation_ros.networks.lite_encoder import EncoderConfig
    from pose_estimation_ros.training.acr_lite_training import ACRLiteTask, AdversarialSettings
    from pose_estimation_ros.training.crnet_lite_training import CRNetLiteTask

    encoder = EncoderConfig(len(data.priors.categories), settings.stages, settings.width,
                            instance_relation=variant.instance_relation)
    if variant.family == 'acr':
        config = ACRLiteConfig(encoder, variant.pose_invariant, variant.relational)
        return ACRLiteTask(data, config, AdversarialSettings(variant.adversarial))
    return CRNetLiteTask(data, CRNetLiteConfig(encoder, variant.category_relation,
                                               variant.steps))


def _trained(task: TrainingTask, training: TrainingSettings, out: Path) -> nn.Module:
    """Return the network with its averaged weights, in evaluation mode."""
    from torch import nn

    from pose_estimation_ros.training.adversarial_losses import RECONSTRUCTOR
    from pose_estimation_ros.training.loop import run

    state = run(task, training, out)
    assert state.average is not None
    averaged = state.average.module
    assert isinstance(averaged, nn.Module)
    return dict(averaged.named_children()).get(RECONSTRUCTOR, averaged).eval()
