"""Translation as seen by a crop: where the centre appears and how large a pixel is there.

The scale-invariant translation of MRC-Net (CVPR 2024, section 3.3, after Li et al., CDPN, ICCV
2019) makes a network's answer independent of where the crop was cut and how it was enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import FloatArray


@dataclass(frozen=True)
class TranslationGrid:
    """The cells and bins into which the translations seen by a crop are divided.

    A crop's translation `tau` is (x, y, z): x and y are where the object's centre appears, in
    parts of the crop's side from its centre; z is the length in metres that one pixel of the crop
    spans there.

    Attributes:
        crop: Side of the crop in pixels.
        cells: Cells along one side of the crop.
        depth_bins: Bins of tau's z between `nearest` and `farthest`.
        nearest: Lower end of tau's z, metres per pixel of the crop.
        farthest: Upper end of tau's z, metres per pixel of the crop.

    Raises:
        ConfigurationError: If a number is not positive or the range is empty.
    """

    crop: int
    cells: int
    depth_bins: int
    nearest: float
    farthest: float

    def __post_init__(self) -> None:
        if min(self.crop, self.cells, self.depth_bins) < 1:
            raise ConfigurationError(
                f'a translation grid needs a positive crop, cells and depth bins, not {self.crop},'
                f' {self.cells} and {self.depth_bins}')
        if not 0 <= self.nearest < self.farthest < np.inf:
            raise ConfigurationError(
                f'the depth bins cannot reach from {self.nearest} to {self.farthest} metres per '
                'pixel; give a range with nearest below farthest')

    def encode(self, translation: ArrayLike, K_crop: ArrayLike) -> FloatArray:
        """Return tau (..., 3) of translations in the camera frame.

        Args:
            translation: (..., 3) metres, object's origin in the camera's optical frame, in front.
            K_crop: (..., 3, 3) intrinsics of the crops.
        """
        t = np.asarray(translation, dtype=np.float64)
        focal, principal = _focal_and_principal(K_crop)
        position = (focal * t[..., :2] / t[..., 2:] + principal - self.crop / 2) / self.crop
        return np.concatenate([position, t[..., 2:] / focal[..., :1]], axis=-1)

    def decode(self, tau: ArrayLike, K_crop: ArrayLike) -> FloatArray:
        """Return the translations (..., 3) in metres of tau (..., 3): the inverse of `encode`."""
        tau = np.asarray(tau, dtype=np.float64)
        focal, principal = _focal_and_principal(K_crop)
        depth = tau[..., 2:] * focal[..., :1]
        lateral = depth / focal * (self.crop * tau[..., :2] + self.crop / 2 - principal)
        return np.concatenate([lateral, depth], axis=-1)

    def cell_centers(self) -> FloatArray:
        """Return tau's (x, y) in the middle of every cell, (cells^2, 2), row by row."""
        middle = (np.arange(self.cells) + 0.5) / self.cells - 0.5
        y, x = np.meshgrid(middle, middle, indexing='ij')
        return np.stack([x.ravel(), y.ravel()], axis=-1)

    def depth_centers(self) -> FloatArray:
        """Return tau's z in the middle of every depth bin, (depth_bins,) metres per pixel."""
        step = (self.farthest - self.nearest) / self.depth_bins
        return np.asarray(self.nearest + (np.arange(self.depth_bins) + 0.5) * step)


def _focal_and_principal(K_crop: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return (fx, fy) and (cx, cy), each (..., 2) in pixels."""
    K = np.asarray(K_crop, dtype=np.float64)
    return np.stack([K[..., 0, 0], K[..., 1, 1]], axis=-1), K[..., :2, 2]
