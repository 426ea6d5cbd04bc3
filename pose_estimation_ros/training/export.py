"""Every trained network's way from checkpoint to model, by the network's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.runtime.model_folder import new_model_folder


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported.

    Attributes:
        checkpoint: The run's last.pt or best.pt.
        out: Folder of the model, whose name is the model's; a file for shape priors.
        priors: Shape priors of the training, for networks that do not carry them.
        classifier: Checkpoint of the detector's point classifier, if it has one.
        training: What the manifest is to say of the training besides what the run noted.
        metrics: What was measured, for the manifest.
        data: Folders of training data, for networks that learn something from them at the end.
    """

    checkpoint: Path
    out: Path
    priors: Path | None = None
    classifier: Path | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[str, ...] = ()


def export(network: str, request: ExportRequest) -> None:
    """Write the model of a trained network.

    Raises:
        ConfigurationError: If the network is no model by itself, its priors are not given, or
            something is given that it has no use for.
        ModelError: If a checkpoint is missing, damaged or of another network.
    """
    if network not in _EXPORTERS:
        raise ConfigurationError(f'{network} is no model by itself; export maskrcnn with '
                                 '--classifier and its checkpoint')
    write, takes = _EXPORTERS[network]
    given = {'--priors': request.priors, '--classifier': request.classifier,
             '--training-note': request.training, '--metrics': request.metrics,
             '--data': request.data}
    useless = [option for option, value in given.items() if value and option not in takes]
    if useless:
        raise ConfigurationError(f'{network} cannot be exported with {", ".join(useless)}; leave '
                                 'them out')
    write(request)


def _lite(network: str, request: ExportRequest) -> None:
    from pose_estimation_ros.training.lite_export import export_model

    with new_model_folder(request.out) as folder:
        export_model(network, request.checkpoint, folder, request.training, request.metrics)


def _full(network: str, request: ExportRequest) -> None:
    from pose_estimation_ros.training.full_export import export_full

    if request.priors is None:
        raise ConfigurationError(f'{network} needs the shape priors it was trained with; give '
                                 'their file as --priors')
    with new_model_folder(request.out) as folder:
        export_full(network, request.checkpoint, request.priors, folder, request.training)


def _mrc(network: str, size: Literal['lite', 'full'], request: ExportRequest) -> None:
    from pose_estimation_ros.training.mrc_export import export_mrc

    with new_model_folder(request.out) as folder:
        export_mrc(network, size, request.checkpoint, folder, request.training, request.metrics)


def _disp6d(network: str, request: ExportRequest) -> None:
    from pose_estimation_ros.training.disp6d_export import export_disp6d

    with new_model_folder(request.out) as folder:
        export_disp6d(network, 'lite', request.checkpoint, folder, request.training,
                      request.metrics)


def _neural_mesh(network: str, request: ExportRequest) -> None:
    from pose_estimation_ros.training.neural_mesh_export import export_neural_mesh

    if not request.data:
        raise ConfigurationError(f'the vertices of {network} get their features at the end; give '
                                 'the pictures it was trained on as --data')
    with new_model_folder(request.out) as folder:
        export_neural_mesh(network, request.checkpoint, request.data, folder, request.training,
                           request.metrics)


def _maskrcnn(request: ExportRequest) -> None:
    from pose_estimation_ros.training.maskrcnn_export import export_model

    with new_model_folder(request.out) as folder:
        export_model(request.checkpoint, folder, request.training, request.metrics,
                     classifier=request.classifier)


def _shape_prior(request: ExportRequest) -> None:
    from pose_estimation_ros.training.shape_prior_task import export_priors

    if request.out.suffix != '.npz':
        raise ConfigurationError(f'shape priors are written to a file, not to {request.out}; '
                                 'give --out a name that ends in .npz')
    export_priors(request.checkpoint, request.out)


# The exporter of each network, and the options that it takes besides checkpoint and folder.
_EXPORTERS: dict[str, tuple[Callable[[ExportRequest], None], set[str]]] = {
    **{name: (partial(_lite, name), {'--training-note', '--metrics'})
       for name in ('spd-lite', 'crnet-lite', 'acr-lite')},
    'spd-full': (partial(_full, 'spd-full'), {'--training-note', '--priors'}),
    'crnet-full': (partial(_full, 'crnet-full'), {'--training-note', '--priors'}),
    'acr-full': (partial(_full, 'acr-full'), {'--training-note', '--priors'}),
    'mrc-lite': (partial(_mrc, 'mrc-lite', 'lite'), {'--training-note', '--metrics'}),
    'mrc-full': (partial(_mrc, 'mrc-full', 'full'), {'--training-note', '--metrics'}),
    **{name: (partial(_disp6d, name), {'--training-note', '--metrics'})
       for name in ('disp6d-category', 'disp6d-parts')},
    **{name: (partial(_neural_mesh, name), {'--training-note', '--metrics', '--data'})
       for name in ('neural_mesh-lite', 'neural_mesh-full')},
    'maskrcnn': (_maskrcnn, {'--training-note', '--metrics', '--classifier'}),
    'shape-prior': (_shape_prior, set())}
