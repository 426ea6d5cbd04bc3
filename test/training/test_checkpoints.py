"""A training run that is interrupted and resumed goes on as if nothing had happened."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.training.checkpoints import (
    TrainingState,
    check_network,
    first_fault,
    read_checkpoint,
    restore,
    save_checkpoint,
    trained_weights,
)
from pose_estimation_ros.training.weight_average import averaged_weights


def _new_state(width: int = 8) -> TrainingState:
    model = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 1))
    return TrainingState(
        model,
        {'': torch.optim.Adam(model.parameters(), lr=1e-2)},
        average=averaged_weights(model),
    )


def _train(state: TrainingState, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        points = torch.from_numpy(np.random.default_rng(state.step).normal(size=(16, 3))).float()
        loss = (state.model(points) - points.sum(dim=1, keepdim=True)).square().mean()
        state.optimizers[''].zero_grad()
        loss.backward()
        state.optimizers[''].step()
        state.average.update_parameters(state.model)
        state.step += 1
        losses.append(float(loss.detach()))
    return losses


def test_a_restored_state_has_the_loss_curve_of_the_saved_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = _new_state()
    _train(state, 5)
    state.notes['best'] = 0.5
    save_checkpoint(tmp_path / 'last.pt', state)
    expected = _train(state, 5)

    torch.manual_seed(99)
    resumed = _new_state()
    restore(resumed, read_checkpoint(tmp_path / 'last.pt'), tmp_path / 'last.pt')
    assert resumed.step == 5
    assert resumed.notes == {'best': 0.5}
    assert _train(resumed, 5) == expected
    for name, value in state.average.state_dict().items():
        torch.testing.assert_close(resumed.average.state_dict()[name], value, rtol=0, atol=0)


def _as_written_before(state: TrainingState) -> dict:
    """Return a checkpoint as runs wrote it when every network had one optimizer."""
    return {'step': 3, 'model': state.model.state_dict(),
            'optimizer': state.optimizers[''].state_dict(),
            'average': state.average.state_dict(), 'notes': {'images': 6},
            'generators': {}, 'torch': torch.get_rng_state(), 'cuda': []}


def test_a_checkpoint_of_an_earlier_version_is_taken_up(tmp_path: Path) -> None:
    state, other = _new_state(), _new_state()
    _train(state, 3)
    torch.save(_as_written_before(state), tmp_path / 'last.pt')
    restore(other, read_checkpoint(tmp_path / 'last.pt'), tmp_path / 'last.pt')
    assert other.step == 3
    state.step = 3
    assert _train(other, 2) == _train(state, 2)


def test_the_averaged_weights_are_the_ones_to_use() -> None:
    state = _new_state()
    _train(state, 3)
    found = trained_weights(_as_written_before(state))
    assert found.keys() == state.model.state_dict().keys()
    torch.testing.assert_close(found['0.weight'], state.average.module[0].weight.detach())
    without = trained_weights({'model': state.model.state_dict(), 'average': None})
    torch.testing.assert_close(without['0.weight'], state.model[0].weight.detach())


def test_a_checkpoint_says_which_network_it_is_of() -> None:
    check_network({'notes': {'network': 'maskrcnn'}}, 'maskrcnn', Path('last.pt'))
    check_network({}, 'maskrcnn', Path('last.pt'))
    with pytest.raises(ModelError, match='checkpoint of maskrcnn, not of spd-lite'):
        check_network({'notes': {'network': 'maskrcnn'}}, 'spd-lite', Path('last.pt'))


def test_a_damaged_checkpoint_is_named_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / 'last.pt'
    save_checkpoint(path, _new_state())
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ModelError, match=r'last\.pt cannot be read.*delete it'):
        read_checkpoint(path)


def test_a_file_that_is_no_checkpoint_is_not_to_be_deleted_unseen(tmp_path: Path) -> None:
    (tmp_path / 'network.onnx').write_bytes(b'\x08\x08\x12\x07pytorch')
    with pytest.raises(ModelError, match=r'network\.onnx cannot be read.*Give the last\.pt'):
        read_checkpoint(tmp_path / 'network.onnx')


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='There is no checkpoint at'):
        read_checkpoint(tmp_path / 'none.pt')


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / 'last.pt', _new_state(width=8))
    with pytest.raises(ModelError, match='does not fit this network'):
        restore(_new_state(width=9), read_checkpoint(tmp_path / 'last.pt'), tmp_path / 'last.pt')


def test_a_failed_save_leaves_the_old_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'last.pt'
    state = _new_state()
    save_checkpoint(path, state)

    def fail(content: object, file: object) -> None:
        file.write(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(torch, 'save', fail)
    state.step = 7
    with pytest.raises(OSError, match='disk full'):
        save_checkpoint(path, state)
    assert read_checkpoint(path)['step'] == 0


def test_averaged_weights_follow_the_weights_and_end_close_to_a_constant() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = averaged_weights(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(2.0)
    for _ in range(60):
        average.update_parameters(model)
    assert float(average.module.weight.detach()) == pytest.approx(2.0, abs=0.01)


def test_of_the_many_lines_of_torch_the_first_fault_is_told_in_one() -> None:
    with pytest.raises(RuntimeError) as caught:
        nn.Linear(3, 4).load_state_dict({})
    assert first_fault(caught.value) == 'Missing key(s) in state_dict: "weight", "bias".'
    assert first_fault(RuntimeError('x' * 500)).endswith('x…')
    assert len(first_fault(RuntimeError('x' * 500))) < 130
    assert first_fault(KeyError()) == 'KeyError'
