"""The other way round of an export: the weights of a network out of its ONNX files.

Models travel as ONNX files, in which normalisations are laid out for running. A training begins
with what is made of them again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.model_store import Model

Batch = TypeVar('Batch')


def exported_constants(files: Iterable[Path], prefix: str = '') -> dict[str, Tensor]:
    """Return the constants of networks: by their own names, or as `<scope>/<operator>/<place>`.

    What the exporter has computed has no name, but the operator that takes it tells its module.

    Args:
        files: The ONNX files.
        prefix: What the exported graph calls the network, such as 'network.'; it is left out.
    """
    return dict(entry for path in files for entry in _constants(path, prefix))


def weights_of(network: nn.Module, constants: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those weights of a network that the exporter left as they were, turned or joined.

    A batch normalisation that was joined with its convolution becomes one that changes nothing
    but adds the bias; `restore_statistics` makes it one that batches can be trained with.

    Args:
        network: The network that was exported.
        constants: Of `exported_constants`.
    """
    wanted = network.state_dict()
    weights = {name: value for name, value in constants.items()
               if name in wanted and value.shape == wanted[name].shape}
    modules = dict(network.named_modules())
    for name, value in constants.items():
        scope, _, operator = name.partition('/')
        if operator == 'MatMul/1':
            turned = value.T
            for place in _places(scope, modules):
                weight = f'{place}.weight'
                if weight in wanted and wanted[weight].shape == turned.shape:
                    weights.setdefault(weight, turned)
                    break
        elif operator in {'Conv/1', 'Conv/2'}:
            place = next(_places(scope, modules), scope)
            weights |= _joined_with_its_normalisation(place, operator, value, modules)
        elif operator in {'Mul/1', 'Add/1'} and isinstance(modules.get(scope), nn.GroupNorm):
            part = 'weight' if operator.startswith('Mul') else 'bias'
            weights[f'{scope}.{part}'] = value.reshape(-1)
    return weights


def load_exported(network: nn.Module, weights: Mapping[str, Tensor], model: Model) -> None:
    """Put the weights of a model into a network.

    Raises:
        ModelError: If one is missing, or has another shape.
    """
    learnt = {name for name in network.state_dict() if not name.endswith('num_batches_tracked')}
    if missing := sorted(learnt - weights.keys()):
        raise ModelError(f'no weights of {", ".join(missing[:3])} are in the networks of model '
                         f'{model.manifest.name!r}; it was not made by this version of '
                         '`pose-estimation export`. Begin with a checkpoint of the training')
    try:
        network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ModelError(f'the networks of model {model.manifest.name!r} do not fit its manifest: '
                         f'{error}') from error


@torch.no_grad()
def restore_statistics(network: nn.Module, run: Callable[[Batch], object],
                       batches: Iterable[Batch]) -> None:
    """Give batch normalisations the mean and deviation of what they see, in place.

    In evaluation the network computes what it did before, and in training, where the statistics
    of the batch take the place of these, nearly so.

    Args:
        network: Of `load_exported`; it is left in evaluation mode.
        run: Runs the network on a batch.
        batches: What it is run on, one after the other.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}

    def look(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        seen = inputs[0].detach().double().movedim(1, 0).flatten(1)
        sums[norm] += torch.stack([torch.full((len(seen),), seen.shape[1], dtype=seen.dtype),
                                   seen.sum(dim=1), seen.square().sum(dim=1)])

    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    network.eval()
    for batch in batches:
        run(batch)
    for hook in hooks:
        hook.remove()
    for norm, (count, total, squares) in sums.items():
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0.0)
        before = norm.running_mean, norm.running_var
        assert before[0] is not None and before[1] is not None
        deviation = (before[1] + norm.eps).sqrt()
        norm.bias.add_(norm.weight * (mean - before[0]) / deviation)
        norm.weight.mul_((variance + norm.eps).sqrt() / deviation)
        before[0].copy_(mean)
        before[1].copy_(variance)


def _constants(path: Path, prefix: str) -> Iterator[tuple[str, Tensor]]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    # Where a constant serves several operators, or equals another, copies are named instead.
    copies: dict[str, list[str]] = {}
    for node in graph.node:
        if node.op_type == 'Identity':
            copies.setdefault(node.input[0], []).extend(node.output)
    takers = {name: (node, place) for node in reversed(graph.node) if node.op_type != 'Identity'
              for place, name in enumerate(node.input)}
    for constant in graph.initializer:
        value = torch.from_numpy(numpy_helper.to_array(constant).astype('float32'))
        for name in (constant.name, *copies.get(constant.name, [])):
            if not name.startswith('onnx::') and name.startswith(prefix):
                yield name.removeprefix(prefix).removesuffix('.half'), value
            elif name in takers:
                node, place = takers[name]
                if node.op_type == 'Cast':  # Of weights that are stored in half precision.
                    node, place = takers[node.output[0]]
                scope = _module_of(node.name).removeprefix(prefix)
                yield f'{scope}/{node.op_type}/{place}', value


def _module_of(scope: str) -> str:
    """Return 'a.0.b' of '/a/a.0/b/Conv': a list's scope comes before that of its member."""
    names: list[str] = []
    for part in scope.strip('/').split('/')[:-1]:
        if names and part.startswith(f'{names[-1]}.'):
            names.pop()
        names.append(part)
    return '.'.join(names)


def _places(scope: str, modules: Mapping[str, nn.Module]) -> Iterator[str]:
    """Yield the modules that a scope may be, which leaves out modules that are not called."""
    parts = scope.split('.')
    for outer in range(len(parts)):
        before, behind = (re.escape('.'.join(half)) for half in (parts[:outer], parts[outer:]))
        pattern = re.compile(rf'{before}\.(\w+\.)*{behind}' if outer else rf'(\w+\.)*{behind}')
        yield from (name for name in modules if pattern.fullmatch(name))


def _joined_with_its_normalisation(place: str, operator: str, value: Tensor,
                                   modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    if operator == 'Conv/1':
        return {f'{place}.weight': value}
    parent, _, number = place.rpartition('.')
    norm = f'{parent}.{int(number) + 1}' if number.isdigit() else ''
    behind = modules.get(norm)
    if not isinstance(behind, nn.BatchNorm2d):
        return {f'{place}.bias': value}
    ones = torch.ones_like(value)
    return {f'{norm}.bias': value, f'{norm}.weight': ones * (1.0 + behind.eps) ** 0.5,
            f'{norm}.running_mean': torch.zeros_like(value), f'{norm}.running_var': ones}
