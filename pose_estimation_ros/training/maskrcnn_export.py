"""From a detector's checkpoint to the model folder that the run time loads.

The point classifier, which is trained on what the exported detector finds, is added by a second
export.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.categories import CATEGORY_NAMES, Category
from pose_estimation_ros.core.color_normalization import COLOR_DEVIATION, COLOR_MEAN
from pose_estimation_ros.networks.mask_rcnn import MaskRCNN, MaskRCNNConfig
from pose_estimation_ros.networks.point_classifier import PointClassifier, PointClassifierConfig
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.segmentation.mask_rcnn import CLASSIFIER_ROLE
from pose_estimation_ros.segmentation.object_cloud import AROUND, INSIDE
from pose_estimation_ros.segmentation.preprocessing import (
    CHANNEL_NAMES,
    COLOR_CHANNELS,
    InputSize,
)
from pose_estimation_ros.training.onnx_files import write_onnx
from pose_estimation_ros.training.trained_networks import filled, trained_network

NETWORK_FILE = 'detector.onnx'
OUTPUT_NAMES = ('boxes', 'labels', 'scores', 'masks')
CLASSIFIER_FILE = 'classifier.onnx'
# Larger than what it was trained on: far objects gain, near ones lose nothing (validation).
LITE_INPUT = InputSize(480, 360)
# The detector is exported with a low threshold: where a classifier judges, its candidates are
# wanted; without one the threshold of the manifest leaves them out.
_CANDIDATE_THRESHOLD, _CANDIDATES = 0.08, 40
_DETECTOR_THRESHOLD = 0.4
# Chosen on validation frames.
_CLASSIFIER_THRESHOLD = 0.15


class DetectionGraph(nn.Module):
    """A detector as ONNX sees it: one picture in, four arrays out."""

    def __init__(self, detector: nn.Module) -> None:
        """Wrap a detector that maps (1, C, H, W) to torchvision's list of dictionaries."""
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return boxes (N, 4), labels (N,), scores (N,), masks (N, 28, 28) probabilities."""
        found = self.detector(image)[0][0]
        return found['boxes'], found['labels'], found['scores'], found['masks'][:, 0]


def export_onnx(detector: nn.Module, channels: int, size: InputSize, path: Path) -> None:
    """Write a detector as ONNX; the number of detections is dynamic."""
    # Random pictures give detections, so that the traced branches are the ones of real use.
    example = torch.randn((1, channels, size.height, size.width),
                          generator=torch.Generator().manual_seed(0))
    write_onnx(DetectionGraph(detector), {'image': example}, OUTPUT_NAMES, path,
               {name: {0: 'detections'} for name in OUTPUT_NAMES})


def export_classifier(checkpoint: Path, path: Path) -> dict[str, Any]:
    """Write a trained point classifier as ONNX with a dynamic batch; return how it was trained.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of a point classifier.
    """
    network, notes = trained_network('point-classifier', checkpoint, _created_classifier)
    config = network.config
    example = (torch.randn(2, INSIDE + AROUND, 7),
               torch.zeros(2, config.conditions + config.categories))
    inputs = dict(zip(('points', 'condition'), example, strict=True))
    write_onnx(network, inputs, ('logits',), path,
               {name: {0: 'objects'} for name in (*inputs, 'logits')})
    training: dict[str, Any] = notes['training']
    return training


def _created_classifier(notes: Mapping[str, Any],
                        weights: Mapping[str, Tensor]) -> PointClassifier:
    return filled(PointClassifier(PointClassifierConfig(**notes['config'])), weights)


def load_detector(checkpoint: Path) -> tuple[MaskRCNN, dict[str, Any]]:
    """Return the averaged network of a checkpoint in evaluation mode, and the run's notes.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    return trained_network('maskrcnn', checkpoint, _created_detector)


def _created_detector(notes: Mapping[str, Any], weights: Mapping[str, Tensor]) -> MaskRCNN:
    config = dataclasses.replace(MaskRCNNConfig(**_tuples(notes['config'])),
                                 score_threshold=_CANDIDATE_THRESHOLD, detections=_CANDIDATES)
    return filled(MaskRCNN(config), weights)


def export_model(checkpoint: Path, folder: Path, training: Mapping[str, Any] | None = None,
                 metrics: Mapping[str, Any] | None = None, size: InputSize = LITE_INPUT,
                 classifier: Path | None = None) -> ModelManifest:
    """Write the ONNX network and the manifest of a trained detector into a folder.

    Args:
        checkpoint: The run's last.pt.
        folder: Folder of the model.
        training: What the manifest is to say of the training besides what the run noted.
        metrics: What was measured.
        size: Size of the input, pixels.
        classifier: The last.pt of the point classifier, if it has one.
    """
    model, notes = load_detector(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NETWORK_FILE
    export_onnx(model, model.config.input_channels, size, path)
    files = {'network': ModelFile.of(path, folder)}
    thresholds = {'score_threshold': _DETECTOR_THRESHOLD}
    if classifier is not None:
        path = folder / CLASSIFIER_FILE
        notes['training']['classifier'] = export_classifier(classifier, path)
        files[CLASSIFIER_ROLE] = ModelFile.of(path, folder)
        thresholds = {'score_threshold': _CLASSIFIER_THRESHOLD,
                      'detector_threshold': _DETECTOR_THRESHOLD,
                      'candidate_threshold': _CANDIDATE_THRESHOLD}
    # Runs that do not tell their categories are of the six.
    names = (tuple(Category.from_plain(plain).name for plain in notes['categories'])
             if 'categories' in notes else CATEGORY_NAMES)
    manifest = ModelManifest(
        name=folder.name, task='segmentation', backend='maskrcnn', size='lite',
        files=files, categories=names,
        input={'width': size.width, 'height': size.height, **_channels(model.config)},
        parameters={**thresholds, 'labels': {
            index + 1: name for index, name in enumerate(names)}},
        training={**notes['training'], **(training or {})},
        metrics=metrics or {})
    write_manifest(manifest, folder)
    return manifest


def _channels(config: MaskRCNNConfig) -> dict[str, Any]:
    """Return what the manifest says of the input's channels."""
    if config.input_channels == len(CHANNEL_NAMES):
        return {'channels': list(CHANNEL_NAMES)}
    return {'channels': list(COLOR_CHANNELS), 'mean': [COLOR_MEAN] * 3,
            'deviation': [COLOR_DEVIATION] * 3}


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with its lists as tuples, as the checkpoint cannot keep them."""
    known = {field.name for field in dataclasses.fields(MaskRCNNConfig)}
    unknown = sorted(config.keys() - known)
    if unknown:
        raise TypeError(f'unknown settings {", ".join(unknown)}')
    return {name: _as_tuple(value) for name, value in config.items()}


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list | tuple) else value
