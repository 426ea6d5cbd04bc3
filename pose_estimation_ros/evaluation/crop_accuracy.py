"""Pose errors of a lite network, as PyTorch holds it, on stored crops; the path of a running node.

Only the choice between placements is left out: the likeliest one counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.correspondences import solve_poses
from pose_estimation_ros.backends.point_preparation import normalize_points
from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.symmetry import nearest_equivalents
from pose_estimation_ros.evaluation.pose_accuracy import effective_symmetry
from pose_estimation_ros.synthetic.crop_samples import Crops

if TYPE_CHECKING:
    from torch import nn

_BATCH = 64


@dataclass(frozen=True, eq=False)
class CropErrors:
    """How far the poses of S crops are off.

    Attributes:
        rotation: (S,) degrees; infinite where there is no pose.
        translation: (S,) centimetres; infinite where there is no pose.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def within(self, degrees: float, centimetres: float) -> NDArray[np.bool_]:
        """Return (S,) whether both errors are within their limits."""
        return (self.rotation <= degrees) & (self.translation <= centimetres)


def crop_errors(network: nn.Module, crops: Crops, points: int,
                categories: tuple[Category, ...]) -> CropErrors:
    """Return the errors of a network's poses.

    Args:
        network: A lite network that takes colours, in evaluation mode.
        crops: Views of objects of the six categories.
        points: How many of their points, from the first, the network gets.
        categories: What the category indices of the crops mean.
    """
    parts = [_errors(network, crops, slice(start, start + _BATCH), points, categories)
             for start in range(0, len(crops), _BATCH)]
    return CropErrors(np.concatenate([part.rotation for part in parts]),
                      np.concatenate([part.translation for part in parts]))


def _errors(network: nn.Module, crops: Crops, rows: slice, points: int,
            categories: tuple[Category, ...]) -> CropErrors:
    import torch

    cloud = crops.points[rows, :points].astype(np.float64)
    prepared = normalize_points(cloud, crops.up[rows])
    color = np.where(crops.colored[rows, None, None],
                     crops.color[rows, :points] / np.float32(255.0), np.float32(np.nan))
    category = crops.category[rows]
    with torch.no_grad():
        output = network(torch.from_numpy(prepared.points), torch.from_numpy(prepared.condition),
                         torch.from_numpy(category), torch.from_numpy(color.astype(np.float32)))
        last = output.steps[-1]
        membership = torch.sigmoid(output.membership)
    poses = solve_poses(cloud, last.nocs.numpy(), membership.numpy(), last.shape.numpy())
    true = crops.T_camera_object[rows]
    symmetries = [effective_symmetry(categories[index].name, float(visible)) for index, visible in
                  zip(category, crops.handle_visibility[rows], strict=True)]
    R = nearest_equivalents(symmetries, poses.T_camera_object[:, :3, :3], true[:, :3, :3])
    rotation = np.degrees(angle_between(R, true[:, :3, :3]))
    offset = poses.T_camera_object[:, :3, 3] - true[:, :3, 3]
    translation = 100.0 * np.linalg.norm(offset, axis=1)
    return CropErrors(np.where(poses.valid, rotation, np.inf),
                      np.where(poses.valid, translation, np.inf))
