"""A step of MRC-Net: crop, coarse pose, rendering of that, rest of the pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_estimation_ros.backends.mrc_crops import rendering_input
from pose_estimation_ros.core.so3_grid import so3_grid
from pose_estimation_ros.networks.mrc import MRCNet, PoseLogits, Pyramid
from pose_estimation_ros.rendering.view_renderer import (
    ViewRenderer,
    Views,
    make_view_renderer,
    rendering_device,
)
from pose_estimation_ros.training.mrc_batches import CropBatch
from pose_estimation_ros.training.mrc_labels import (
    ObjectTables,
    RotationLabels,
    cell_labels,
    depth_labels,
)
from pose_estimation_ros.training.mrc_losses import (
    coordinate_loss,
    depth_distance,
    one_of_many_loss,
    position_distance,
    rotation_bin_loss,
    rotation_distance,
    rotation_of,
    tau_of,
    translation_of,
)
from pose_estimation_ros.training.mrc_objects import CadObject
from pose_estimation_ros.training.mrc_recipes import CoarseSettings, MRCRecipe
from pose_estimation_ros.training.task import Losses

# Stride of the finest features.
_FINEST = 4


class Pose(NamedTuple):
    """Poses of B objects as their crops see them.

    Attributes:
        R: (B, 3, 3) rotations.
        tau: (B, 3) positions, see `core.site_translation`.
    """

    R: Tensor
    tau: Tensor


class Prediction(NamedTuple):
    """Poses of B objects in the cameras of their crops.

    Attributes:
        R: (B, 3, 3) rotations.
        t: (B, 3) positions, metres.
        rotation_logit: (B,) of the most likely rotation bin.
    """

    R: Tensor
    t: Tensor
    rotation_logit: Tensor


class Labels(NamedTuple):
    """What the classifier should say: (B, K), (B, bins) and (B, cells^2)."""

    rotation: Tensor
    depth: Tensor
    xy: Tensor


class CoarseRenderer:
    """Renderings of coarse poses as the network's input, on the device that it is on."""

    def __init__(self, objects: Sequence[CadObject]) -> None:
        """Take the objects; the renderer is made when it is first needed.

        Worker processes are forked before that, and those of a renderer would not survive it.
        """
        self._meshes = [known.mesh for known in objects]
        self._renderers: dict[str, ViewRenderer] = {}

    def __call__(self, index: Tensor, R: Tensor, t: Tensor, K_crop: Tensor, crop: int) -> Tensor:
        """Return the (B, 4, crop, crop) input that shows objects in (B, 3, 3), (B, 3) poses."""
        views = self._rendered(index, R, t, K_crop, crop)
        return torch.from_numpy(np.stack([
            rendering_input(shade, depth)
            for shade, depth in zip(views.shade, views.depth, strict=True)])).to(index.device)

    def points(self, index: Tensor, R: Tensor, t: Tensor, K_crop: Tensor, crop: int) -> Tensor:
        """Return the points of the objects that pixels of a quarter of the crop's size show.

        Returns:
            (B, 3, crop/4, crop/4) metres, object frame; NaN where there is no object.
        """
        size = crop // _FINEST
        # The crop's pixel i lies at i, that of the rendering at i + 0.5.
        K = K_crop.clone()
        K[:, :2, 2] += 0.5
        K[:, :2] /= _FINEST
        depth = torch.from_numpy(self._rendered(index, R, t, K, size).depth).to(index.device)
        centers = torch.arange(size, device=depth.device) + 0.5
        across = ((centers - K[:, :1, 2]) / K[:, :1, 0])[:, None, :]
        down = ((centers - K[:, 1:2, 2]) / K[:, 1:2, 1])[:, :, None]
        rays = torch.stack([across.expand_as(depth), down.expand_as(depth),
                            torch.ones_like(depth)], dim=1)
        seen = torch.where(depth > 0, depth, torch.nan)[:, None] * rays
        return torch.einsum('bji,bjhw->bihw', R, seen - t[:, :, None, None])

    def _rendered(self, index: Tensor, R: Tensor, t: Tensor, K: Tensor, size: int) -> Views:
        device = str(index.device)
        if device not in self._renderers:
            self._renderers[device] = make_view_renderer(self._meshes, rendering_device(device))
        T = np.tile(np.eye(4), (len(index), 1, 1))
        T[:, :3, :3], T[:, :3, 3] = R.cpu().numpy(), t.cpu().numpy()
        return self._renderers[device].render(index.cpu().numpy(), T, K.cpu().numpy(), size)


class RenderedPoseNetwork(nn.Module):
    """MRC-Net with all that a step of its training needs besides a batch."""

    cells: Tensor
    bins: Tensor

    def __init__(self, network: MRCNet, tables: ObjectTables, renderer: CoarseRenderer,
                 recipe: MRCRecipe) -> None:
        """Join them.

        Args:
            network: The network, with the configuration of the recipe.
            tables: The objects, in the order of its decoders.
            renderer: Of the same objects.
            recipe: How it is taught.
        """
        super().__init__()
        self.network, self.tables = network, tables
        self._renderer, self._recipe = renderer, recipe
        config = network.config
        rotations, grid = so3_grid(config.nside), config.translation_grid
        self._nearness = RotationLabels(tables, rotations, recipe.label_scale)
        self._rotation_labels = self._nearness if recipe.labels == 'soft' else RotationLabels(
            tables, rotations, kind=recipe.labels)
        for name, values in (('cells', grid.cell_centers()), ('bins', grid.depth_centers())):
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)),
                                 persistent=False)

    def forward(self, batch: CropBatch) -> Losses:
        """Return the loss terms of a batch, 'total' being their weighted sum."""
        network, recipe = self.network, self._recipe
        crop = network.config.crop
        real = network.encode(batch.image, batch.index)
        logits = network.classify(real, batch.aux)
        with _exact(batch.image):
            true = Pose(batch.R, tau_of(batch.t, batch.K_crop, crop))
            labels = Labels(self._rotation_labels(true.R, batch.index),
                            depth_labels(true.tau[:, 2], self.bins, recipe.labels),
                            cell_labels(true.tau[:, :2], self.cells, recipe.labels))
            losses = self._classification(real, logits, labels, batch)
            if recipe.weights.coordinates:
                losses['coordinates'] = self._coordinates(real.x4[:, :3], batch)
            nearness = (labels.rotation if recipe.labels == 'soft' else
                        self._nearness(true.R, batch.index))
            coarse = self._taught_coarse(logits, nearness, true, recipe.coarse)
        if network.config.regression != 'none':
            count = max(1, round(recipe.regressed * len(batch.index)))
            part = _first(batch, count)
            final = self._refined(Pyramid(*(level[:count] for level in real)),
                                  Pose(*(value[:count] for value in coarse)), part)
            with _exact(batch.image):
                losses |= self._regression(final, Pose(*(value[:count] for value in true)), part)
        total = sum((getattr(recipe.weights, name) * value for name, value in losses.items()),
                    torch.zeros((), device=batch.image.device))
        return {'total': total, **losses}

    def predict(self, batch: CropBatch) -> Prediction:
        """Return the poses of a batch without knowing the truth."""
        real = self.network.encode(batch.image, batch.index)
        logits = self.network.classify(real, batch.aux)
        final = self._coarse(logits)
        if self.network.config.regression != 'none':
            final = self._refined(real, final, batch)
        t = translation_of(final.tau, batch.K_crop, self.network.config.crop)
        return Prediction(final.R, t, logits.rotation.amax(dim=1))

    def _classification(self, real: Pyramid, logits: PoseLogits, labels: Labels,
                        batch: CropBatch) -> Losses:
        return {
            'rotation_bins': rotation_bin_loss(logits.rotation.float(), labels.rotation),
            'depth_bins': one_of_many_loss(logits.depth.float(), labels.depth),
            'cells': one_of_many_loss(logits.xy.float(), labels.xy),
            'mask': functional.binary_cross_entropy_with_logits(real.mask.float(), batch.mask)}

    def _coordinates(self, features: Tensor, batch: CropBatch) -> Tensor:
        # Of all equivalent poses always the same one: what looks the same has the same points.
        upright = torch.eye(3, device=batch.R.device).expand_as(batch.R)
        R = self.tables.closest(batch.R, upright, batch.index)
        points = self._renderer.points(batch.index, R, batch.t, batch.K_crop,
                                       self.network.config.crop)
        radius = 0.5 * self.tables.diameters[batch.index][:, None, None, None]
        shown = batch.mask * points[:, :1].isfinite()
        return coordinate_loss(features.float(), points.nan_to_num() / radius, shown)

    def _regression(self, final: Pose, true: Pose, batch: CropBatch) -> Losses:
        crop = self.network.config.crop
        R = self.tables.closest(true.R, final.R.detach(), batch.index)
        points = self.tables.points[batch.index]
        return {
            'rotation': rotation_distance(final.R, R, points),
            'position': position_distance(final.tau, true.tau, batch.K_crop, batch.t[:, 2], crop),
            'depth': depth_distance(final.tau, true.tau, batch.K_crop, crop)}

    def _refined(self, real: Pyramid, coarse: Pose, batch: CropBatch) -> Pose:
        """Return the coarse pose with what the regression finds left of it."""
        network, crop = self.network, self.network.config.crop
        with _exact(batch.image):
            t = translation_of(coarse.tau, batch.K_crop, crop)
            aux = torch.cat([t[:, :2] / t[:, 2:], batch.aux[:, 2:]], dim=1)
        rendered = None
        if network.config.regression == 'sequential':
            image = self._renderer(batch.index, coarse.R, t, batch.K_crop, crop)
            rendered = network.encode(image, batch.index)
        residual = network.regress(real, rendered, aux)
        with _exact(batch.image):
            rest = torch.cat([residual.xy, residual.depth], dim=1).float()
            return Pose(rotation_of(residual.rotation.float()) @ coarse.R, coarse.tau + rest)

    def _coarse(self, logits: PoseLogits) -> Pose:
        """Return the most likely pose."""
        return self._pose_of(*(part.argmax(dim=1) for part in logits))

    def _pose_of(self, rotation: Tensor, depth: Tensor, xy: Tensor) -> Pose:
        """Return the pose in the middle of (B,) bins and cells."""
        return Pose(self._nearness.grid[rotation],
                    torch.cat([self.cells[xy], self.bins[depth][:, None]], dim=1))

    def _taught_coarse(self, logits: PoseLogits, nearness: Tensor, true: Pose,
                       settings: CoarseSettings) -> Pose:
        """Return the most likely poses, some replaced by ones near the truth.

        Args:
            logits: Of the classifier.
            nearness: (B, K) soft labels of the rotation bins.
            true: The truth.
            settings: Which are replaced.
        """
        rotation, depth, xy = (part.detach().argmax(dim=1) for part in logits)
        count = len(rotation)
        found = nearness.gather(1, rotation[:, None])[:, 0]
        wrong = found < settings.least_label * nearness.amax(dim=1)
        near = torch.rand(count, device=wrong.device) < settings.near_truth
        drawn = torch.multinomial(nearness.clamp_min(1e-12) ** settings.flatness, 1)[:, 0]
        step = 1.0 / self.network.config.cells
        place = true.tau[:, :2] + settings.cells * step * torch.randn_like(true.tau[:, :2])
        range_ = true.tau[:, 2] * (1 + settings.depth * torch.randn_like(true.tau[:, 2]))
        drawn_xy = cell_labels(place, self.cells).argmax(dim=1)
        drawn_depth = depth_labels(range_, self.bins).argmax(dim=1)
        replaced = near | wrong
        return self._pose_of(torch.where(replaced, drawn, rotation),
                             torch.where(replaced, drawn_depth, depth),
                             torch.where(replaced, drawn_xy, xy))


def _first(batch: CropBatch, count: int) -> CropBatch:
    return CropBatch(*(getattr(batch, entry.name)[:count] for entry in fields(batch)))


def _exact(like: Tensor) -> torch.autocast:
    """Return a context of single precision: bfloat16 has hardly three digits for a pose."""
    return torch.autocast(like.device.type, enabled=False)
