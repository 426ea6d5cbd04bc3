"""From a detector's checkpoint to the model folder that the run time loads.

    python -m pose_estimation_ros.training.maskrcnn_export --checkpoint <last.pt> --out <folder> \
        --classifier <last.pt>

The folder's name becomes the model's name. The point classifier, which is trained on what the
exported detector finds, is added by a second call.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from pose_estimation_ros.core.categories import CATEGORY_NAMES, Category
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.mask_rcnn import MaskRCNN, MaskRCNNConfig
from pose_estimation_ros.networks.point_classifier import PointClassifier, PointClassifierConfig
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.segmentation.mask_rcnn import CLASSIFIER_ROLE
from pose_estimation_ros.segmentation.object_cloud import AROUND, INSIDE
from pose_estimation_ros.segmentation.preprocessing import CHANNEL_NAMES, InputSize
from pose_estimation_ros.training.checkpoints import read_checkpoint

NETWORK_FILE = 'detector.onnx'
OUTPUT_NAMES = ('boxes', 'labels', 'scores', 'masks')
CLASSIFIER_FILE = 'classifier.onnx'
_OPSET = 17
# Larger than what it was trained on: far objects gain, near ones lose nothing (validation).
LITE_INPUT = InputSize(480, 360)
# The detector is exported with a low threshold: where a classifier judges, its candidates are
# wanted; without one the threshold of the manifest leaves them out.
_CANDIDATE_THRESHOLD, _CANDIDATES = 0.08, 40
_DETECTOR_THRESHOLD = 0.4
# Chosen on validation frames.
_CLASSIFIER_THRESHOLD = 0.5
_AVERAGE_PREFIX = 'module.'

_logger = logging.getLogger(__name__)


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
    """Write a detector in evaluation mode as ONNX; the number of detections is dynamic."""
    graph = DetectionGraph(detector).eval()
    # Random pictures give detections, so that the traced branches are the ones of real use.
    example = torch.randn((1, channels, size.height, size.width),
                          generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph, (example,), str(path), dynamo=False, opset_version=_OPSET,
            input_names=['image'], output_names=list(OUTPUT_NAMES),
            dynamic_axes={name: {0: 'detections'} for name in OUTPUT_NAMES})


def export_classifier(checkpoint: Path, path: Path) -> None:
    """Write a trained point classifier as ONNX with a dynamic batch.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of a point classifier.
    """
    content = read_checkpoint(checkpoint)
    try:
        network = PointClassifier(PointClassifierConfig(**content['notes']['config']))
        network.load_state_dict(_averaged(content))
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(f'checkpoint {checkpoint} is not one of the point classifier: {error}; '
                         'give the last.pt of point_classifier_training') from error
    config = network.config
    example = (torch.randn(2, INSIDE + AROUND, 7),
               torch.zeros(2, config.conditions + config.categories))
    names = ('points', 'condition', 'logits')
    with torch.inference_mode():
        torch.onnx.export(
            network.eval(), example, str(path), dynamo=False, opset_version=_OPSET,
            input_names=list(names[:2]), output_names=list(names[2:]),
            dynamic_axes={name: {0: 'objects'} for name in names})


def load_detector(checkpoint: Path) -> tuple[MaskRCNN, dict[str, Any]]:
    """Return the averaged network of a checkpoint in evaluation mode, and the run's notes.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    content = read_checkpoint(checkpoint)
    notes = content['notes']
    try:
        config = dataclasses.replace(MaskRCNNConfig(**_tuples(notes['config'])),
                                     score_threshold=_CANDIDATE_THRESHOLD,
                                     detections=_CANDIDATES)
        model = MaskRCNN(config)
        model.load_state_dict(_averaged(content))
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(f'checkpoint {checkpoint} is not one of the lite Mask R-CNN: {error}; '
                         'give the last.pt of maskrcnn_training') from error
    return model.eval(), {**notes, 'steps': content['step']}


def _averaged(content: dict[str, Any]) -> dict[str, Tensor]:
    """Return the averaged weights of a checkpoint under the network's own names."""
    return {name.removeprefix(_AVERAGE_PREFIX): value
            for name, value in content['average'].items() if name.startswith(_AVERAGE_PREFIX)}


def export_model(checkpoint: Path, folder: Path, training: Mapping[str, Any] | None = None,
                 metrics: Mapping[str, Any] | None = None, size: InputSize = LITE_INPUT,
                 classifier: Path | None = None) -> ModelManifest:
    """Write the ONNX network and the manifest of a trained detector into a folder.

    Args:
        checkpoint: The run's last.pt.
        folder: Folder of the model.
        training: What the manifest is to say of the training besides steps and minutes.
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
        export_classifier(classifier, path)
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
        input={'width': size.width, 'height': size.height, 'channels': list(CHANNEL_NAMES)},
        parameters={**thresholds, 'labels': {
            index + 1: name for index, name in enumerate(names)}},
        training={'program': 'pose_estimation_ros.training.maskrcnn_training',
                  'data': 'synthetic frames, domain primary, split train',
                  'steps': notes['steps'], 'minutes': round(notes['seconds'] / 60, 1),
                  **(training or {})},
        metrics=metrics or {})
    write_manifest(manifest, folder)
    return manifest


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with its lists as tuples, as the checkpoint cannot keep them."""
    known = {field.name for field in dataclasses.fields(MaskRCNNConfig)}
    unknown = sorted(config.keys() - known)
    if unknown:
        raise TypeError(f'unknown settings {", ".join(unknown)}')
    return {name: _as_tuple(value) for name, value in config.items()}


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list | tuple) else value


def main() -> None:
    """Export as the command line says."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--training-note', type=Path, help='YAML for the manifest: commands, '
                        'seeds, commit')
    parser.add_argument('--metrics', type=Path, help='YAML for the manifest: what was measured')
    parser.add_argument('--classifier', type=Path, help='last.pt of the point classifier')
    arguments = parser.parse_args()
    notes = [yaml.safe_load(path.read_text(encoding='utf-8')) if path else None
             for path in (arguments.training_note, arguments.metrics)]
    manifest = export_model(arguments.checkpoint, arguments.out, *notes,
                            classifier=arguments.classifier)
    _logger.info('wrote %s: %.1f MB', arguments.out,
                 manifest.files['network'].bytes / 1e6)


if __name__ == '__main__':
    main()
