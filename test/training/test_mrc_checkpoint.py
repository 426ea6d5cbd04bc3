"""Model folders of MRC-Net become checkpoints that a training can begin with."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from mrc_networks import tiny_network

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.training.checkpoints import check_network, read_checkpoint
from pose_estimation_ros.training.mrc_checkpoint import write_mrc_checkpoint
from pose_estimation_ros.training.mrc_export import write_mrc_model
from pose_estimation_ros.training.mrc_objects import CadObject, objects_from_notes

OBJECTS = [CadObject(name, box((0.2, 0.1, 0.06)), NO_SYMMETRY) for name in ('a', 'b', 'c')]


def trained(**changes: object) -> MRCNet:
    """Return a network whose normalisations have seen something and differ from each other."""
    network = tiny_network(**changes)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith('running_var'):
                value.uniform_(0.5, 2.0)
            elif value.is_floating_point():
                value.add_(0.05 * torch.randn_like(value))
    return network.eval()


@pytest.mark.parametrize('changes', [
    {}, {'regression': 'parallel'}, {'regression': 'none'}, {'levels': (8,)},
    {'encoder': 'detector', 'cells': 16, 'cells_from': 'map'}],
    ids=['group', 'parallel', 'no-regression', 'one-scale', 'lite'])
def test_the_network_of_the_checkpoint_computes_what_the_model_does(
        changes: dict[str, object], tmp_path: Path) -> None:
    network = trained(**changes)
    write_mrc_model(network, OBJECTS, 'full', tmp_path / 'models' / 'mine', {}, {})
    model = ModelStore([tmp_path / 'models']).find('mine', 'pose')

    content = read_checkpoint(write_mrc_checkpoint(model, tmp_path / 'run' / 'start.pt'))

    check_network(content, 'mrc-full', tmp_path)
    assert [known.name for known in objects_from_notes(content['notes']['objects'])] == [
        'a', 'b', 'c']
    again = MRCNet(MRCConfig.from_dict(content['notes']['config']))
    again.load_state_dict(content['model'])
    again.eval()
    image, rendering = torch.rand(2, 3, 4, 64, 64)
    index, aux = torch.arange(3), torch.randn(3, 3)
    with torch.no_grad():
        answers = []
        for one in (network, again):
            real = one.encode(image, index)
            answer = {**one.classify(real, aux)._asdict(), **real._asdict()}
            if changes.get('regression') != 'none':
                drawn = None if changes.get('regression') == 'parallel' else one.encode(
                    rendering, index)
                answer |= {f'left {name}': value for name, value in
                           one.regress(real, drawn, aux)._asdict().items()}
            answers.append(answer)
    for name, value in answers[0].items():
        np.testing.assert_allclose(answers[1][name], value, atol=2e-4, rtol=1e-4)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    write_mrc_model(trained(), OBJECTS, 'full', tmp_path / 'models' / 'mine', {}, {})
    model = ModelStore([tmp_path / 'models']).find('mine', 'pose')
    del model.manifest.files['regressor']
    with pytest.raises(ModelError, match=r"no weights of regressor\..* model 'mine'"):
        write_mrc_checkpoint(model, tmp_path / 'start.pt')
    assert not (tmp_path / 'start.pt').exists()


def test_a_model_without_meshes_is_told_the_cure(tmp_path: Path) -> None:
    write_mrc_model(trained(), OBJECTS, 'full', tmp_path / 'models' / 'mine', {}, {})
    model = ModelStore([tmp_path / 'models']).find('mine', 'pose')
    del model.manifest.files['meshes']
    with pytest.raises(ModelError, match='models add-meshes mine --objects'):
        write_mrc_checkpoint(model, tmp_path / 'start.pt')


def test_the_command_refuses_models_of_other_methods(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ['models', 'make-checkpoint', 'spd_lite', '--out',
                                      str(tmp_path / 'start.pt')])
    assert answer.exit_code == 1
    assert "spd_lite is a model of the backend 'spd'" in str(answer.exception)
