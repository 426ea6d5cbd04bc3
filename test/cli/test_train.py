"""`pose-estimation train` and `export`: from crops to a model, and faults in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip('torch', reason='PyTorch is for training, a node does not need it')

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.runtime.manifest import read_manifest
from pose_estimation_ros.synthetic.crop_samples import pack_crops
from pose_estimation_ros.training.checkpoints import read_checkpoint
from pose_estimation_ros.training.shape_priors import save_priors
from test.training.tiny_tasks import random_crops


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fault_of(answer) -> str:
    """Return the one sentence of a failed command."""
    assert isinstance(answer.exception, ConfigurationError | ModelError), answer.output
    return str(answer.exception)


@pytest.fixture(scope='module')
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with crops and priors."""
    root = tmp_path_factory.mktemp('work')
    for name, seed in (('train', 0), ('more', 1), ('val', 2)):
        (root / name).mkdir()
        np.savez(root / name / 'shard_00000.npz', **pack_crops(random_crops(24, 256, seed)))
        (root / name / 'description.json').write_text(json.dumps({'kind': 'crops'}))
    priors = np.random.default_rng(0).uniform(-0.3, 0.3, (6, 256, 3)).astype(np.float32)
    save_priors(root / 'priors.npz', priors, 'random')
    return root


def train(work: Path, out: Path, *more):
    return run('train', 'spd-lite', '--data', work / 'train', '--priors', work / 'priors.npz',
               '--out', out, '--batch', 4, '--device', 'cpu', '--threads', 1, '--precision',
               'float32', *more)


@pytest.fixture(scope='module')
def trained(work: Path) -> Path:
    """The folder of a run on two mixed folders, in two calls."""
    arguments = ('--data', work / 'more', '--ratio', '3:1', '--validation', work / 'val',
                 '--steps', 3, '--log-every', 1, '--seed', 4)
    for call in (('--minutes', 0), ()):
        answer = train(work, work / 'run', *arguments, *call)
        assert answer.exit_code == 0, answer.output
    return work / 'run'


def test_a_run_leaves_checkpoints_and_logs(trained: Path):
    content = read_checkpoint(trained / 'last.pt')
    assert content['step'] == 3
    assert content['notes']['images'] == 12
    assert [line.split(',')[0] for line in (trained / 'train.csv').read_text().splitlines()] == [
        'step', '1', '2', '3']
    assert read_checkpoint(trained / 'best.pt')['notes']['best_step'] == 3
    assert (trained / 'validation.csv').read_text().startswith('step,seconds,nocs,membership')


def test_the_checkpoint_of_a_run_becomes_a_model_that_tells_where_it_comes_from(
        trained: Path, tmp_path: Path):
    note = tmp_path / 'note.yaml'
    note.write_text('remark: a test\n')
    answer = run('export', 'spd-lite', '--checkpoint', trained / 'best.pt', '--out',
                 tmp_path / 'my_model', '--training-note', note)
    assert answer.exit_code == 0, answer.output
    manifest = read_manifest(tmp_path / 'my_model' / 'model.yaml')
    assert manifest.name == 'my_model'
    assert manifest.categories[0] == 'bottle'
    facts = manifest.training
    assert (facts['steps'], facts['samples'], facts['seed']) == (3, 12, 4)
    assert facts['data'] == [str(trained.parent / 'train'), str(trained.parent / 'more')]
    assert facts['remark'] == 'a test'
    assert facts['commit'] and facts['machine'] and facts['commands']
    assert yaml.safe_load((tmp_path / 'my_model' / 'model.yaml').read_text())['files']['network']


def test_a_checkpoint_is_not_exported_as_another_network(trained: Path, tmp_path: Path):
    answer = run('export', 'maskrcnn', '--checkpoint', trained / 'last.pt', '--out', tmp_path)
    assert 'is a checkpoint of spd-lite, not of maskrcnn' in fault_of(answer)
    assert not any(tmp_path.iterdir())


def test_a_run_of_another_network_is_not_continued(trained: Path):
    answer = run('train', 'shape-prior', '--data', trained, '--out', trained, '--steps', 4)
    assert 'give --data synthetic' in fault_of(answer)


@pytest.mark.parametrize(('arguments', 'fault'), [
    (('--data', 'nowhere'), 'there is no folder nowhere to train on'),
    (('--data', 'synthetic:nowhere'), 'there is no folder of meshes nowhere'),
    (('--ratio', '3:1'), "the ratio '3:1' must have one whole number for each of the 1 data"),
    (('--stages', 'a.yaml'), 'a.yaml says how long and how fast to train; leave --steps and'),
    (('--start-from', 'none.pt'), 'There is no checkpoint at none.pt'),
    (('--precision', 'float16'), 'float16 needs a GPU'),
    (('--validation', 'nowhere'), 'there is no folder nowhere'),
])
def test_faults_are_told_in_one_sentence(work: Path, tmp_path: Path, arguments, fault: str):
    answer = train(work, tmp_path / 'run', '--steps', 1, *arguments)
    assert fault in fault_of(answer)
    assert '\n' not in fault_of(answer)


def test_a_missing_file_of_stages_is_named(work: Path, tmp_path: Path):
    answer = train(work, tmp_path / 'run', '--stages', 'none.yaml')
    assert 'the stages none.yaml cannot be read' in fault_of(answer)


def test_an_empty_folder_says_how_to_make_data(work: Path, tmp_path: Path):
    (tmp_path / 'empty').mkdir()
    answer = train(work, tmp_path / 'run', '--data', tmp_path / 'empty')
    assert f'pose-estimation dataset crops {tmp_path / "empty"}' in fault_of(answer)


def test_missing_priors_are_asked_for(work: Path, tmp_path: Path):
    answer = run('train', 'spd-lite', '--data', work / 'train', '--out', tmp_path)
    assert 'give their file as --priors' in fault_of(answer)


def test_a_network_that_is_part_of_another_is_exported_with_it(tmp_path: Path):
    answer = run('export', 'point-classifier', '--checkpoint', 'last.pt', '--out', tmp_path)
    assert 'export maskrcnn with --classifier' in fault_of(answer)


def test_the_commands_teach():
    for name, taught in (('train', ('torchrun', '--ratio 3:1', 'docs/training.md')),
                         ('export', ('best.pt', 'docs/training.md'))):
        text = run(name, '--help').stdout
        for part in taught:
            assert part in text, part
