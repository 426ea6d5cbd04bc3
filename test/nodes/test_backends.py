"""Another backend by parameter: at the start, and from one activation to the next."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from lite_models import make_lite_model
from rcl_interfaces.srv import DescribeParameters
from ros_harness import GREEN, RED, Client, Frame

SCENE = Frame((((20, 30, 60, 80), RED), ((90, 30, 130, 90), GREEN)), depth=0.6)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Make the default models of crnet and acr be found first, whatever is shipped."""
    folder = tmp_path / 'models'
    for name in ('crnet', 'acr'):
        make_lite_model(folder / f'{name}_lite', name)
    monkeypatch.setenv('POSE_ESTIMATION_MODELS', str(folder))
    return folder


def check_poses(client: Client, backend: str) -> None:
    """Wait for poses, and for diagnostics that name the backend and its default model."""
    client.forget()
    stamp, found = client.result_of(SCENE)
    labels = {entry.results[0].hypothesis.class_id for entry in found.detections}
    assert labels and labels <= {'can', 'bowl'}
    for pose in client.with_stamp('object_poses', stamp, len(found.detections)):
        assert pose.pose.position.z == pytest.approx(0.6, abs=0.15)
        q = pose.pose.orientation
        assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1.0)
    client.wait_for(lambda: client.received['/diagnostics'], 'diagnostics')
    facts = client.facts('model')
    assert (facts['backend'], facts['pose.model']) == (backend, f'{backend}_lite')


def test_the_backend_changes_between_deactivation_and_activation(client: Client, node, models):
    node(backend='spd')
    client.wait_until_active()
    check_poses(client, 'spd')
    assert 'deactivate it' in client.set_parameter('backend', 'crnet').reason
    for backend in ('crnet', 'acr', 'spd'):
        assert client.transition('deactivate')
        assert client.set_parameter('backend', backend).successful
        assert client.transition('activate')
        client.wait_until_active()
        check_poses(client, backend)


def test_the_backend_changes_through_cleanup_and_configure(client: Client, node, models):
    node(backend='crnet')
    client.wait_until_active()
    check_poses(client, 'crnet')
    assert client.transition('deactivate')
    assert client.transition('cleanup')
    assert client.set_parameter('backend', 'acr').successful
    assert client.transition('configure')
    assert client.transition('activate')
    client.wait_until_active()
    check_poses(client, 'acr')


def test_an_unknown_backend_is_refused_and_the_former_goes_on(client: Client, node, models):
    node(backend='crnet')
    client.wait_until_active()
    assert client.transition('deactivate')
    refused = client.set_parameter('backend', 'bogus')
    assert not refused.successful
    assert refused.reason == ("backend is 'bogus'; choose one of acr, crnet, disp6d, mrc, "
                              'neural_mesh, spd, stand_in, stand_in_color')
    assert client.transition('activate')
    client.wait_until_active()
    check_poses(client, 'crnet')


def test_a_model_that_is_missing_or_of_another_backend_is_told_and_can_be_cured(
        client: Client, node, models):
    node(backend='crnet')
    client.wait_until_active()
    assert client.transition('deactivate')
    for model, said in (('nowhere', "unknown model 'nowhere'; known are acr_lite, crnet_lite"),
                        ('acr_lite', "'acr_lite' is made for the backend 'acr', not for 'crnet'")):
        assert client.set_parameter('model', model).successful
        assert not client.transition('activate')
        client.wait_for_sentence('model', said)
        assert client.state() == 'inactive'
    assert client.set_parameter('model', '').successful
    assert client.transition('activate')
    client.wait_until_active()
    check_poses(client, 'crnet')


def test_the_parameter_says_which_backends_are_installed(client: Client, node):
    node(autostart=False)
    client.wait_for_sentence('processing', 'not active')
    (described,) = client.call(
        DescribeParameters, 'pose_estimator/describe_parameters',
        DescribeParameters.Request(names=['backend'])).descriptors
    assert described.additional_constraints == (
        'one of acr, crnet, disp6d, mrc, neural_mesh, spd, stand_in, stand_in_color')
    assert 'spd, crnet, acr' in described.description
