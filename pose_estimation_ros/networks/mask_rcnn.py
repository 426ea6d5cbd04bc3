"""Mask R-CNN for the six categories: a small residual backbone with a feature pyramid.

The detection parts (proposals, heads, losses) are torchvision's; what is ours is the backbone, the
sizes and the input: tensors come in resized and normalised by
`segmentation.preprocessing`, so training, ONNX and run time share one preprocessing.

Source: He et al., Mask R-CNN (ICCV 2017); Lin et al., Feature Pyramid Networks (CVPR 2017).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

Target = dict[str, Tensor]


@dataclass(frozen=True)
class MaskRCNNConfig:
    """Sizes of the `lite` Mask R-CNN.

    Attributes:
        input_channels: Channels of the input tensor.
        num_classes: Classes, background included.
        stem_width: Channels after the first convolution (stride 4 with its pooling).
        widths: Channels of the four residual stages, strides 4, 8, 16, 32.
        pyramid_width: Channels of every pyramid level.
        anchor_sizes: Square roots of the anchor areas at strides 8, 16 and 32, pixels.
        aspect_ratios: Height over width of the anchors.
        box_head_width: Units of the two fully connected layers of the box head.
        mask_layers: Convolutions of the mask head.
        proposals: Proposals kept at inference.
        detections: Detections kept at inference.
        score_threshold: Least score of a detection at inference.
    """

    input_channels: int = 8
    num_classes: int = 7
    stem_width: int = 32
    widths: tuple[int, int, int, int] = (48, 96, 160, 256)
    pyramid_width: int = 64
    anchor_sizes: tuple[tuple[float, ...], ...] = ((16, 28), (48, 76), (120, 190))
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    box_head_width: int = 256
    mask_layers: int = 4
    proposals: int = 60
    detections: int = 40
    score_threshold: float = 0.08


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Make a block that divides the image size by `stride`."""
        super().__init__()
        self.first = _convolution(inputs, outputs, 3, stride)
        self.second = _convolution(outputs, outputs, 3, 1)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y = self.second(torch.relu(self.first(x)))
        return torch.relu(y + self.shortcut(x))


class PyramidBackbone(nn.Module):
    """Residual network with a feature pyramid on top."""

    def __init__(self, config: MaskRCNNConfig) -> None:
        """Build the four stages and the pyramid of `config`."""
        super().__init__()
        self.stem = nn.Sequential(
            _convolution(config.input_channels, config.stem_width, 3, 2), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1))
        inputs = (config.stem_width, *config.widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(ResidualBlock(i, o, 1 if level == 0 else 2), ResidualBlock(o, o, 1))
            for level, (i, o) in enumerate(zip(inputs, config.widths, strict=True)))
        self.pyramid = FeaturePyramidNetwork(list(config.widths), config.pyramid_width)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """Return the pyramid levels 'P2' to 'P5' of (B, C, H, W), strides 4 to 32."""
        features: OrderedDict[str, Tensor] = OrderedDict()
        x = self.stem(x)
        for level, stage in enumerate(self.stages):
            x = stage(x)
            features[f'P{level + 2}'] = x
        levels: OrderedDict[str, Tensor] = self.pyramid(features)
        return levels


def _overlap_share(boxes: Tensor, regions: Tensor) -> Tensor:
    """Return for each of (N, 4) boxes the largest share of it inside one of (M, 4) regions."""
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    inside = (high - low).clamp(min=0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).prod(-1)
    return (inside / area[:, None]).amax(dim=1)


class IgnoringProposals(RegionProposalNetwork):
    """Region proposals that are neither rewarded nor punished inside `ignored_boxes`.

    Hardly visible objects are no clean examples of anything: anchors on them take no part in the
    loss.
    """

    def assign_targets_to_anchors(
            self, anchors: list[Tensor],
            targets: list[Target]) -> tuple[list[Tensor], list[Tensor]]:
        """Assign anchors to objects; background anchors in ignored regions get label -1."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for label, anchor, target in zip(labels, anchors, targets, strict=True):
            if len(target['ignored_boxes']):
                ignored = _overlap_share(anchor, target['ignored_boxes']) > 0.5
                label[ignored & (label == 0)] = -1.0
        return labels, boxes


class MaskRCNN(nn.Module):
    """The `lite` Mask R-CNN on tensors of one fixed size."""

    def __init__(self, config: MaskRCNNConfig) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.config = config
        width = config.pyramid_width
        self.backbone = PyramidBackbone(config)
        anchors = AnchorGenerator(
            config.anchor_sizes, (config.aspect_ratios,) * len(config.anchor_sizes))
        self.proposals = IgnoringProposals(
            anchors, RPNHead(width, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.6, bg_iou_thresh=0.3, batch_size_per_image=128, positive_fraction=0.5,
            pre_nms_top_n={'training': 300, 'testing': 100},
            post_nms_top_n={'training': 200, 'testing': config.proposals}, nms_thresh=0.7)
        self.heads = RoIHeads(
            # A 56-pixel object takes 7 cells of P3: one bin per cell.
            box_roi_pool=MultiScaleRoIAlign(['P2', 'P3', 'P4'], 7, 1, canonical_scale=112),
            box_head=TwoMLPHead(width * 7 * 7, config.box_head_width),
            box_predictor=FastRCNNPredictor(config.box_head_width, config.num_classes),
            fg_iou_thresh=0.5, bg_iou_thresh=0.5, batch_size_per_image=64, positive_fraction=0.25,
            bbox_reg_weights=None, score_thresh=config.score_threshold, nms_thresh=0.5,
            detections_per_img=config.detections,
            mask_roi_pool=MultiScaleRoIAlign(['P2', 'P3', 'P4'], 14, 1, canonical_scale=112),
            mask_head=MaskRCNNHeads(width, [width] * config.mask_layers, 1),
            mask_predictor=MaskRCNNPredictor(width, width, config.num_classes))

    def forward(self, images: Tensor, targets: list[Target] | None = None
                ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Detect objects, or compute the losses in training mode.

        Args:
            images: (B, C, H, W) float32 from `segmentation.preprocessing`.
            targets: In training, per image: boxes (N, 4) float32 pixels, labels (N,) int64,
                masks (N, H, W) uint8, ignored_boxes (M, 4) float32.

        Returns:
            Per image (empty in training): boxes (N, 4), labels (N,), scores (N,),
            masks (N, 1, 28, 28) probabilities; and the losses by name (empty in inference).
        """
        height, width = images.shape[-2:]
        batch = ImageList(images, [(height, width)] * len(images))
        levels = self.backbone(images)
        levels = OrderedDict((name, level.float()) for name, level in levels.items())
        coarse = OrderedDict((name, levels[name]) for name in ('P3', 'P4', 'P5'))
        boxes, proposal_losses = self.proposals(batch, coarse, targets)
        detections, head_losses = self.heads(levels, boxes, batch.image_sizes, targets)
        return detections, {**proposal_losses, **head_losses}
