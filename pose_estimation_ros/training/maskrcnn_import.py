"""From torchvision's published COCO weights to a model of this package.

Four of the 91 COCO classes are categories of ours; cameras and cans are not among them.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.image_list import ImageList
from torchvision.ops.misc import FrozenBatchNorm2d

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.manifest import (
    ModelFile,
    ModelManifest,
    file_sha256,
    write_manifest,
)
from pose_estimation_ros.runtime.model_folder import new_model_folder
from pose_estimation_ros.runtime.model_store import cache_folder
from pose_estimation_ros.segmentation.preprocessing import InputSize
from pose_estimation_ros.training.checkpoints import load_plain
from pose_estimation_ros.training.maskrcnn_export import NETWORK_FILE, export_onnx

MODEL_NAME = 'maskrcnn_coco'
# COCO category numbers, as torchvision's 91-class models give them.
LABELS = {44: 'bottle', 47: 'mug', 51: 'bowl', 73: 'laptop'}
CLASSES = 91
# torchvision trained at a short side of 800; both sides are multiples of the largest stride.
TRAINED_SIZE = InputSize(1056, 800)
IMAGE_MEAN, IMAGE_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class CocoDetector(nn.Module):
    """torchvision's Mask R-CNN without its resizing and normalising, which is ours."""

    def __init__(self, network: MaskRCNN) -> None:
        """Wrap a network of `coco_network`."""
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Detect objects in (B, 3, H, W) normalised pictures, as `networks.mask_rcnn` does."""
        height, width = images.shape[-2:]
        batch = ImageList(images, [(height, width)] * len(images))
        features: OrderedDict[str, Tensor] = self.network.backbone(images)
        boxes, _ = self.network.rpn(batch, features)
        detections, _ = self.network.roi_heads(features, boxes, batch.image_sizes)
        return detections, {}


def coco_network() -> MaskRCNN:
    """Return torchvision's maskrcnn_resnet50_fpn as its COCO weights were made for it."""
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    network = MaskRCNN(_resnet_fpn_extractor(body, trainable_layers=0), CLASSES,
                       box_score_thresh=0.15, box_detections_per_img=50)
    for module in network.modules():
        if isinstance(module, FrozenBatchNorm2d):
            # These weights were trained before torchvision's normalisation had an epsilon.
            module.eps = 0.0
    return network.eval()


def load_coco_weights(weights: Path) -> MaskRCNN:
    """Return the network with the weights of a file.

    Raises:
        ModelError: If the file is missing, unreadable, or does not hold exactly these weights.
    """
    if not weights.is_file():
        raise ModelError(f'there is no file {weights}; download '
                         "torchvision's maskrcnn_resnet50_fpn_coco weights first")
    state = load_plain(weights, 'Download it again.')
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f'{weights} holds no state dict of tensors; give the .pth file as '
                         'torchvision publishes it')
    network = coco_network()
    try:
        missing, unknown = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        shapes = [line.strip() for line in str(error).splitlines()[1:]]
        raise _misfit(weights, 'of another shape', shapes or [str(error)]) from error
    if missing:
        raise _misfit(weights, 'missing', missing)
    if unknown:
        raise _misfit(weights, 'unknown', unknown)
    return network


def import_coco_weights(weights: Path, folder: Path | None = None,
                        size: InputSize = TRAINED_SIZE) -> ModelManifest:
    """Turn torchvision's published COCO weights into a model folder.

    Args:
        weights: The .pth file.
        folder: Where to put the model; None means the user's cache, where the run time finds it
            as 'maskrcnn_coco'.
        size: Input size; smaller is faster and finds less.

    Returns:
        The manifest that was written.

    Raises:
        ModelError: If the file does not hold these weights.
    """
    network = load_coco_weights(weights)
    with new_model_folder(folder or cache_folder() / MODEL_NAME) as unfinished:
        path = unfinished / NETWORK_FILE
        export_onnx(CocoDetector(network), 3, size, path)
        manifest = ModelManifest(
            name=unfinished.name, task='segmentation', backend='maskrcnn', size='full',
            files={'network': ModelFile.of(path, unfinished)}, categories=tuple(LABELS.values()),
            input={'width': size.width, 'height': size.height,
                   'channels': ['red', 'green', 'blue'],
                   'mean': list(IMAGE_MEAN), 'deviation': list(IMAGE_DEVIATION)},
            parameters={'score_threshold': 0.6, 'labels': LABELS},
            training={'data': 'COCO 2017', 'source': "torchvision's published weights",
                      'file': weights.name, 'checkpoint_sha256': file_sha256(weights)},
            licence='BSD-3-Clause')
        write_manifest(manifest, unfinished)
    return manifest


def _misfit(weights: Path, fault: str, entries: list[str]) -> ModelError:
    return ModelError(
        f'{weights} does not fit maskrcnn_resnet50_fpn with {CLASSES} classes: {len(entries)} '
        f'entries are {fault}, the first is {entries[0]}; give '
        "torchvision's maskrcnn_resnet50_fpn_coco file")
