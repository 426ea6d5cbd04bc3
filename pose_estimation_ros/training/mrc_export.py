"""MRC-Net as a model folder: two ONNX networks, the meshes of its objects and a manifest.

The rendering lies between the networks: the first one encodes and classifies a crop, the second
one encodes the rendering of the coarse pose and compares it with the crop's features, which so
are computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.mrc import AUXILIARY, MRCConfig, MRCNet, Pyramid
from pose_estimation_ros.networks.sample_decoder import SampleDecoder
from pose_estimation_ros.rendering.model_meshes import write_model_meshes
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.training.mrc_objects import CadObject, objects_of
from pose_estimation_ros.training.onnx_files import halve_weights, write_onnx
from pose_estimation_ros.training.trained_networks import filled, trained_network

ModelSize = Literal['lite', 'full']

BACKEND = 'mrc'
CLASSIFIER, REGRESSOR = 'classifier', 'regressor'
_FEATURES = ('x4', 'x8', 'x16')
_ANSWERS = ('rotation', 'depth', 'xy')


class ClassifierGraph(nn.Module):
    """Crops to the logits of their coarse pose, their masks and their features."""

    inputs = ('image', 'index', 'aux')
    outputs = (*_ANSWERS, 'mask', *_FEATURES)

    def __init__(self, network: MRCNet) -> None:
        """Take a network."""
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, index: Tensor, aux: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs`; see `MRCNet.encode` and `MRCNet.classify`."""
        pyramid = self.network.encode(image, index)
        return (*self.network.classify(pyramid, aux), pyramid.mask, pyramid.x4, pyramid.x8,
                pyramid.x16)


class RegressorGraph(nn.Module):
    """Renderings and the features of crops to the rest of the pose."""

    inputs = ('image', 'index', *_FEATURES, 'aux')
    outputs = _ANSWERS

    def __init__(self, network: MRCNet) -> None:
        """Take a network."""
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, index: Tensor, x4: Tensor, x8: Tensor, x16: Tensor,
                aux: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs`; see `MRCNet.regress`."""
        real = Pyramid(x4, x8, x16, x4[:, -1:])
        return tuple(self.network.regress(real, self.network.encode(image, index), aux))


class ParallelRegressorGraph(nn.Module):
    """The features of crops to the rest of the pose, without a rendering."""

    inputs = (*_FEATURES, 'aux')
    outputs = _ANSWERS

    def __init__(self, network: MRCNet) -> None:
        """Take a network."""
        super().__init__()
        self.network = network

    def forward(self, x4: Tensor, x8: Tensor, x16: Tensor, aux: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs`; see `MRCNet.regress`."""
        return tuple(self.network.regress(Pyramid(x4, x8, x16, x4[:, -1:]), None, aux))


def export_networks(network: MRCNet, folder: Path) -> dict[str, Path]:
    """Write a network's ONNX files; each appears when it is whole.

    Both take any number of crops. 'classifier' has the inputs `image` (B, 4, S, S) float32,
    `index` (B,) int64 and `aux` (B, 3), and gives `rotation`, `depth`, `xy` of `PoseLogits`, and
    `mask`, `x4`, `x8`, `x16` of `Pyramid`. 'regressor' takes the same of the renderings besides
    `x4`, `x8` and `x16` of the crops, and gives `rotation`, `depth`, `xy` of `PoseResidual`. If
    the regression is 'parallel', it has no `image` and `index`; if there is none, no file.

    Args:
        network: The network.
        folder: Where to write.

    Returns:
        The files by their role.
    """
    config = network.config
    network = deepcopy(network).eval()
    network.register_module('decoder', SampleDecoder(network.decoder, config.crop // 16))
    batch = 2  # one object would let the exporter fix the batch
    index = torch.arange(batch) % config.objects
    example = {'image': torch.rand(batch, 4, config.crop, config.crop), 'index': index,
               'aux': torch.zeros(batch, AUXILIARY)}
    with torch.inference_mode():
        pyramid = network.encode(example['image'], index)
    example |= {name: getattr(pyramid, name) for name in _FEATURES}
    graphs: dict[str, ClassifierGraph | RegressorGraph | ParallelRegressorGraph] = {
        CLASSIFIER: ClassifierGraph(network)}
    if config.regression != 'none':
        graphs[REGRESSOR] = (RegressorGraph if config.regression == 'sequential' else
                             ParallelRegressorGraph)(network)
    files = {role: folder / f'mrc_{role}.onnx' for role in graphs}
    for role, graph in graphs.items():
        inputs = {name: example[name] for name in graph.inputs}
        write_onnx(graph, inputs, graph.outputs, files[role],
                   {name: {0: 'crops'} for name in (*inputs, *graph.outputs)})
    return files


def write_mrc_model(network: MRCNet, objects: Sequence[CadObject], size: ModelSize, out: Path,
                    training: Mapping[str, Any], metrics: Mapping[str, Any],
                    licence: str = 'Apache-2.0') -> ModelManifest:
    """Write a model folder that the run time loads.

    Args:
        network: The network.
        objects: What it knows, in the order of its decoders.
        size: Whether it is the published network or a smaller one.
        out: Folder to write; its name is the model's.
        training: How the weights were made.
        metrics: What was measured of them.
        licence: SPDX identifier of the weights' licence.

    Raises:
        ModelError: If the network has not one decoder for each object.
        ConfigurationError: If a mesh has to be simplified and Open3D is not installed.
    """
    config = network.config
    if len(objects) != config.objects:
        raise ModelError(f'the network has {config.objects} decoders, but {len(objects)} objects '
                         f'are named ({", ".join(known.name for known in objects)}); name each '
                         'of its objects once, in the order of the decoders')
    files = export_networks(network, out)
    if size == 'lite':
        for path in files.values():
            halve_weights(path)
    files |= write_model_meshes(out, {known.name: known.mesh for known in objects})
    manifest = ModelManifest(
        name=out.name, task='pose', backend=BACKEND, size=size,
        files={role: ModelFile.of(path, out) for role, path in files.items()},
        categories=tuple(known.name for known in objects),
        input={'crop': config.crop, 'channels': ['blue', 'green', 'red', 'box'],
               'range': [0, 1]},
        parameters=config.as_dict(), training=training, metrics=metrics, licence=licence,
        symmetries={known.name: known.symmetry.as_plain() for known in objects})
    write_manifest(manifest, out)
    return manifest


def _created(notes: Mapping[str, Any], weights: Mapping[str, Tensor]) -> MRCNet:
    return filled(MRCNet(MRCConfig.from_dict(notes['config'])), weights)


def export_mrc(network: str, size: ModelSize, checkpoint: Path, out: Path,
               training: Mapping[str, Any], metrics: Mapping[str, Any]) -> ModelManifest:
    """Write the model folder of a network that `pose-estimation train` trained.

    Args:
        network: Its name, 'mrc-lite' or 'mrc-full'.
        size: Its size.
        checkpoint: The run's last.pt or best.pt.
        out: Folder to write; its name is the model's.
        training: What the manifest is to say of the training besides what the run noted.
        metrics: What was measured.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    trained, notes = trained_network(network, checkpoint, _created)
    return write_mrc_model(trained, objects_of(notes, checkpoint), size, out,
                           {**notes['training'], **training}, metrics)
