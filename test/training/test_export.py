"""Models of trained networks appear whole or not at all; real networks are in their own tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.training import lite_export
from pose_estimation_ros.training.export import ExportRequest, export


@pytest.fixture
def request_of(tmp_path: Path) -> ExportRequest:
    return ExportRequest(tmp_path / 'last.pt', tmp_path / 'models' / 'mine')


def test_a_model_gets_the_name_of_its_folder_when_it_is_complete(
    request_of: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(network: str, checkpoint: Path, out: Path, training: object,
              metrics: object) -> None:
        assert network == 'spd-lite'
        assert out.name == 'mine'
        (out / 'model.yaml').touch()
        assert not request_of.out.exists()

    monkeypatch.setattr(lite_export, 'export_model', write)
    export('spd-lite', request_of)
    assert [path.name for path in request_of.out.iterdir()] == ['model.yaml']


def test_a_failing_export_leaves_the_model_that_was_there(
    request_of: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_of.out.mkdir(parents=True)
    (request_of.out / 'model.yaml').write_text('old')

    def fail(network: str, checkpoint: Path, out: Path, training: object,
             metrics: object) -> None:
        (out / 'model.yaml').write_text('half')
        raise ModelError('the network cannot be exported')

    monkeypatch.setattr(lite_export, 'export_model', fail)
    with pytest.raises(ModelError, match='cannot be exported'):
        export('spd-lite', request_of)
    assert (request_of.out / 'model.yaml').read_text() == 'old'
    assert [path.name for path in request_of.out.parent.iterdir()] == ['mine']


@pytest.mark.parametrize(('network', 'complaint'), [
    ('spd-full', 'needs the shape priors it was trained with; give their file as --priors'),
    ('shape-prior', r'give --out a name that ends in \.npz'),
    ('point-classifier', 'is no model by itself'),
])
def test_what_is_missing_is_said(
    request_of: ExportRequest, network: str, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        export(network, request_of)
    assert not request_of.out.exists()


@pytest.mark.parametrize(('network', 'more', 'complaint'), [
    ('spd-lite', {'classifier': Path('c.pt')}, 'spd-lite cannot be exported with --classifier'),
    ('maskrcnn', {'priors': Path('p.npz')}, 'maskrcnn cannot be exported with --priors'),
    ('spd-full', {'priors': Path('p.npz'), 'metrics': {'a': 1}}, 'with --metrics; leave'),
])
def test_what_a_network_has_no_use_for_is_refused(
    request_of: ExportRequest, network: str, more: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        export(network, replace(request_of, **more))


def test_a_missing_checkpoint_is_named(request_of: ExportRequest) -> None:
    with pytest.raises(ModelError, match=r'no checkpoint at .*last\.pt'):
        export('spd-lite', request_of)
    assert not request_of.out.exists()
