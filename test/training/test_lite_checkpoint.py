"""Lite models of CR-Net and ACR-Pose become checkpoints that a training can begin with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY
from pose_estimation_ros.networks.lite_encoder import EncoderConfig
from pose_estimation_ros.networks.picture_placement import PicturePlacement
from pose_estimation_ros.runtime.model_store import Model, ModelStore
from pose_estimation_ros.synthetic.crop_samples import pack_crops
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training.adversarial_losses import RECONSTRUCTOR
from pose_estimation_ros.training.checkpoints import (
    TrainingState,
    check_network,
    read_checkpoint,
    save_checkpoint,
)
from pose_estimation_ros.training.lite_checkpoint import write_lite_checkpoint
from pose_estimation_ros.training.lite_export import LITE_NETWORKS, export_model, load_trained
from pose_estimation_ros.training.lite_task import LiteTask
from pose_estimation_ros.training.picture_placement_training import PicturePlacementTask
from pose_estimation_ros.training.shape_priors import ShapePriors
from test.training.tiny_tasks import (
    acr_lite,
    crnet_lite,
    picture_placement,
    random_crops,
    spd_lite,
)

MAKERS = {'crnet-lite': crnet_lite, 'acr-lite': acr_lite}
BOTH = pytest.mark.parametrize('name', MAKERS)


def stirred(network: nn.Module) -> nn.Module:
    """Return a network whose layers all say something, and whose statistics differ."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith('running_var'):
                value.uniform_(0.5, 2.0, generator=generator)
            elif value.is_floating_point() and not name.endswith('prior'):
                value.add_(0.05 * torch.randn(value.shape, generator=generator))
    return network


def exported(name: str, folder: Path, picture: str = 'off') -> tuple[Model, LiteTask]:
    """Return a model of a stirred network, and the task that it is of."""
    task = MAKERS[name](picture=picture)
    torch.manual_seed(5)
    checkpoint = folder / 'run' / 'last.pt'
    save_checkpoint(checkpoint, TrainingState(stirred(task.new_model()), {}, 7, notes={
        'network': name, **task.notes()}))
    export_model(name, checkpoint, folder / 'models' / 'mine', {}, {})
    return ModelStore([folder / 'models']).find('mine', 'pose'), task


def encoder_of(task: LiteTask) -> EncoderConfig:
    return EncoderConfig(**task.notes()['config']['encoder'])


def crops_of(folder: Path, points: int = 900) -> str:
    """Return a folder of random crops in colour."""
    write_shards(folder, 1, {'kind': 'crops'}, lambda _: pack_crops(
        random_crops(24, points)))
    return str(folder)


def answers(network: nn.Module, name: str) -> list[Tensor]:
    """Return all that a robot would get of a network."""
    generator = torch.Generator().manual_seed(1)
    inputs = {'points': 0.5 * torch.randn(2, 96, 3, generator=generator),
              'condition': torch.rand(2, 3, generator=generator),
              'category': torch.tensor([1, 4]), 'rank': torch.tensor([0, 1]),
              'color': torch.rand(2, 96, 9, generator=generator)}
    runtime = LITE_NETWORKS[name].runtime(network).eval()
    with torch.no_grad():
        return list(runtime(*(inputs[entry] for entry in runtime.inputs)))


def random_inputs() -> tuple[Tensor, ...]:
    """Return what a network is given of two objects."""
    generator = torch.Generator().manual_seed(1)
    return (0.5 * torch.randn(2, 64, 3, generator=generator),
            torch.rand(2, 3, generator=generator), torch.tensor([1, 4]),
            torch.rand(2, 64, 9, generator=generator))


def assert_same(one: nn.Module, other: nn.Module, name: str, tolerance: float) -> None:
    for expected, found in zip(answers(one, name), answers(other, name), strict=True):
        np.testing.assert_allclose(found, expected, atol=tolerance, rtol=tolerance)


@BOTH
@pytest.mark.parametrize('picture', ['off', 'on'])
def test_the_network_of_the_checkpoint_computes_what_the_model_does(name: str, picture: str,
                                                                    tmp_path: Path) -> None:
    model, task = exported(name, tmp_path, picture)
    data = [crops_of(tmp_path / 'crops')] if picture == 'on' else []

    out = write_lite_checkpoint(model, data, tmp_path / 'start.pt')

    trained, _ = load_trained(name, tmp_path / 'run' / 'last.pt')
    again, notes = load_trained(name, out)
    # Models with pictures are stored in half precision.
    assert_same(trained, again, name, 2e-4 if picture == 'off' else 2e-2)
    assert notes['config'] == task.notes()['config']
    content = read_checkpoint(out)
    task.new_model().load_state_dict(task.first_weights(content, out))


@BOTH
@pytest.mark.parametrize('picture', ['off', 'on'])
def test_pictures_that_were_trained_apart_make_the_offers(name: str, picture: str,
                                                          tmp_path: Path) -> None:
    model, _ = exported(name, tmp_path, picture)
    config = encoder_of(MAKERS[name](picture='on'))
    torch.manual_seed(8)
    pictures = stirred(PicturePlacement(config)).eval()
    save_checkpoint(tmp_path / 'picture.pt', TrainingState(pictures, {}, notes={
        'network': 'picture-placement'}))

    out = write_lite_checkpoint(model, [], tmp_path / 'start.pt', tmp_path / 'picture.pt')

    content = read_checkpoint(out)
    check_network(content, name, out)
    assert content['notes']['config']['encoder']['picture'] == 'on'
    network, _ = load_trained(name, out)
    inputs = random_inputs()
    with torch.no_grad():
        torch.testing.assert_close(network(*inputs).encoding.likelihood,
                                   pictures(*inputs).likelihood)
    # What follows the placement is the model's.
    before, _ = load_trained(name, tmp_path / 'run' / 'last.pt')
    torch.testing.assert_close(network.head.guess.weight, before.head.guess.weight, atol=1e-3,
                               rtol=1e-3)


def test_pictures_of_other_sizes_are_refused(tmp_path: Path) -> None:
    model, task = exported('crnet-lite', tmp_path)
    pictures = PicturePlacement(replace(encoder_of(task), categories=2))
    save_checkpoint(tmp_path / 'picture.pt', TrainingState(pictures, {}, notes={
        'network': 'picture-placement'}))
    with pytest.raises(ModelError, match='picture.pt do not fit.*train picture-placement'):
        write_lite_checkpoint(model, [], tmp_path / 'start.pt', tmp_path / 'picture.pt')
    with pytest.raises(ModelError, match='a checkpoint of crnet-lite, not of picture-placement'):
        write_lite_checkpoint(model, [], tmp_path / 'start.pt', tmp_path / 'run' / 'last.pt')
    assert not (tmp_path / 'start.pt').exists()


@BOTH
def test_pictures_are_trained_on_from_those_of_a_model(name: str, tmp_path: Path) -> None:
    model, lite = exported(name, tmp_path, 'on')
    out = write_lite_checkpoint(model, [crops_of(tmp_path / 'crops')], tmp_path / 'start.pt')
    task = PicturePlacementTask(lite.data, encoder_of(lite))
    pictures = task.new_model().eval()
    pictures.load_state_dict(task.first_weights(read_checkpoint(out), out))
    network, _ = load_trained(name, out)
    inputs = random_inputs()
    with torch.no_grad():
        torch.testing.assert_close(pictures(*inputs).likelihood,
                                   network(*inputs).encoding.likelihood)


def test_pictures_do_not_begin_with_a_network_that_sees_none(tmp_path: Path) -> None:
    _, lite = exported('crnet-lite', tmp_path)
    checkpoint = tmp_path / 'run' / 'last.pt'
    task = PicturePlacementTask(lite.data, encoder_of(lite))
    with pytest.raises(ModelError, match='last.pt sees no pictures; leave out --start-from'):
        task.first_weights(read_checkpoint(checkpoint), checkpoint)


def test_a_model_with_pictures_asks_for_crops(tmp_path: Path) -> None:
    model, _ = exported('crnet-lite', tmp_path, 'on')
    with pytest.raises(ConfigurationError, match='mine sees pictures: give --data'):
        write_lite_checkpoint(model, [], tmp_path / 'start.pt')


def test_statistics_of_normalisations_are_those_of_the_crops(tmp_path: Path) -> None:
    model, _ = exported('crnet-lite', tmp_path, 'on')
    out = write_lite_checkpoint(model, [crops_of(tmp_path / 'crops')], tmp_path / 'start.pt')
    weights = read_checkpoint(out)['model']
    coverage = weights['encoder.picture.reader.stem.1.running_var']
    assert not torch.allclose(coverage, torch.ones_like(coverage), atol=0.01)
    assert RECONSTRUCTOR not in weights


def test_the_command_makes_one_of_the_shipped_model(tmp_path: Path) -> None:
    crops = crops_of(tmp_path / 'crops')
    answer = CliRunner().invoke(app, ['models', 'make-checkpoint', 'acr_lite', '--data', crops,
                                      '--out', str(tmp_path / 'start.pt')])
    assert answer.exit_code == 0, answer.output
    check_network(read_checkpoint(tmp_path / 'start.pt'), 'acr-lite', tmp_path)


def _with_other_priors(task: LiteTask, categories: tuple[Category, ...] = CATEGORIES) -> LiteTask:
    priors = ShapePriors(task.data.priors.points + np.float32(0.01), categories)
    task.data = replace(task.data, priors=priors)
    return task


@pytest.mark.parametrize('make', [spd_lite, crnet_lite, acr_lite])
def test_a_new_run_deforms_its_own_priors(make: Callable[[], LiteTask], tmp_path: Path) -> None:
    model = make().new_model()
    notes = {'network': make().network, **make().notes()}
    save_checkpoint(tmp_path / 'last.pt', TrainingState(model, {}, notes=notes))
    task = _with_other_priors(make())

    weights = task.first_weights(read_checkpoint(tmp_path / 'last.pt'), tmp_path)

    begun = [value for name, value in weights.items() if name.split('.')[-1] == 'prior']
    torch.testing.assert_close(begun, [task.prior()])


@pytest.mark.parametrize('make', [spd_lite, crnet_lite, acr_lite, picture_placement])
def test_a_checkpoint_of_other_categories_is_refused(make: Callable[[], LiteTask],
                                                     tmp_path: Path) -> None:
    notes = {'network': 'spd-lite', **spd_lite().notes()}
    content = {'model': spd_lite().new_model().state_dict(), 'notes': notes}
    others = (*CATEGORIES[:5], Category('kettle', CATEGORIES[5].symmetry))
    with pytest.raises(ConfigurationError, match='laptop, mug, and the data .* laptop, kettle;'):
        _with_other_priors(make(), others).first_weights(content, tmp_path)
    turned = (*CATEGORIES[:5], Category('mug', Y_AXIS_SYMMETRY))
    with pytest.raises(ConfigurationError, match='another symmetry of mug'):
        _with_other_priors(make(), turned).first_weights(content, tmp_path)
