"""The point-cloud auto-encoder whose decoded mean embedding is a category's shape prior.

Layer names are those of the published checkpoints.

Source: Tian, Ang, Lee: Shape Prior Deformation for Categorical 6D Object Pose and Size
Estimation, ECCV 2020, section 3.1 (spec 4.4).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EMBEDDING_SIZE = 512


class PointCloudEncoder(nn.Module):
    """Describes a cloud, whatever the order of its points, by one vector."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(3, 64, 1)
        self.conv2 = nn.Conv1d(64, 128, 1)
        self.conv3 = nn.Conv1d(256, 256, 1)
        self.conv4 = nn.Conv1d(256, 1024, 1)
        self.fc = nn.Linear(1024, EMBEDDING_SIZE)

    def forward(self, points: Tensor) -> Tensor:
        """Map (B, N, 3) NOCS coordinates to (B, 512)."""
        local = F.relu(self.conv2(F.relu(self.conv1(points.transpose(1, 2)))))
        whole = local.amax(dim=2, keepdim=True).expand_as(local)
        feature = F.relu(self.conv3(torch.cat([local, whole], dim=1)))
        return self.fc(F.relu(self.conv4(feature)).amax(dim=2))


class PointCloudDecoder(nn.Module):
    """Makes a cloud of a fixed number of points from an embedding."""

    def __init__(self, point_count: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(EMBEDDING_SIZE, 512)
        self.fc2 = nn.Linear(512, 1024)
        self.fc3 = nn.Linear(1024, 3 * point_count)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (B, 512) to (B, point_count, 3) NOCS coordinates."""
        hidden = F.relu(self.fc2(F.relu(self.fc1(embedding))))
        return self.fc3(hidden).unflatten(1, (-1, 3))


class ShapePriorAutoEncoder(nn.Module):
    """Encoder and decoder of object shapes.

    Args:
        point_count: Number of points of a decoded shape.
    """

    def __init__(self, point_count: int = 1024) -> None:
        super().__init__()
        self.encoder = PointCloudEncoder()
        self.decoder = PointCloudDecoder(point_count)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (B, 512) and the decoded cloud of (B, N, 3) NOCS points."""
        embedding = self.encoder(points)
        return embedding, self.decoder(embedding)
