"""The neural mesh's published solver: its parameters, its fixed focal length, its 300 Adam steps.

This is the road to the published numbers; `neural_mesh_refinement` is what a node uses. Lengths
are in units of the published meshes (an object's diagonal is about 1).

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022), sections 3.3 and 3.4, equations 5 and 6; what the released code does
where it differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_scores import FeatureScores
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh
from pose_estimation_ros.core.cuboid_raster import rasterize
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]

# CAD models and published meshes have z up; the renderer's world and our frames have y up:
# (x, y, z) becomes (x, z, -y).
UPRIGHT_FROM_CAD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
# The renderer's camera has x left and y up.
_OPTICAL_FROM_RENDERER = np.diag([-1.0, -1.0, 1.0])
_UP = np.array([0.0, 1.0, 0.0])
_ADAM_EPSILON = 1e-8


@dataclass(frozen=True)
class PublishedSettings:
    """The constants of the released code.

    Attributes:
        shape: (height, width) of the feature map.
        stride: Pixels of the image for each of the feature map.
        focal: Of the renderer, pixels of the feature map. The search uses `search_focal`: the
            code gives its renderer 12 where 3000 / 224 would be the same camera.
        search_focal: Of the search and of the annotations, pixels of the image.
        flow_unit: Pixels of the feature map for each unit of the parameter `flow`.
        steps: Of Adam, in each of the two passes.
        rate: Adam's learning rate.
        betas: Adam's decay of the mean and of the mean square.
        decay: Factor of the learning rate every `decay_steps` steps.
        decay_steps: See `decay`.
    """

    shape: tuple[int, int] = (40, 56)
    stride: int = 8
    focal: float = 336.0
    search_focal: float = 3000.0
    flow_unit: float = 10.0
    steps: int = 300
    rate: float = 0.05
    betas: tuple[float, float] = (0.4, 0.6)
    decay: float = 0.2
    decay_steps: int = 100

    @property
    def K(self) -> FloatArray:
        """(3, 3) camera matrix of the feature map that is rendered."""
        return _centered_camera(self.focal, self.shape)

    @property
    def image_center(self) -> tuple[float, float]:
        """(x, y) that the code takes for the middle of the image, pixels of the image."""
        return self.shape[1] * self.stride / 2, self.shape[0] * self.stride / 2


PUBLISHED = PublishedSettings()


@dataclass(frozen=True)
class PublishedPose:
    """A pose as the published code describes it.

    Attributes:
        camera: (3,) position of the camera in the renderer's world; it looks at the origin.
        theta: In-plane rotation, radians.
        flow: (2,) where each pixel looks in the rendered picture, relative to itself, along x and
            y, in `flow_unit`: minus the shift of the picture.
    """

    camera: FloatArray
    theta: float
    flow: FloatArray

    @classmethod
    def of(cls, azimuth: float, elevation: float, theta: float, distance: float,
           principal: tuple[float, float],
           settings: PublishedSettings = PUBLISHED) -> PublishedPose:
        """Return the pose of angles in radians, a distance and a principal point in pixels."""
        camera = distance * np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation),
                                      np.cos(elevation) * np.cos(azimuth)])
        flow = np.subtract(settings.image_center, principal)
        return cls(camera, theta, flow / (settings.stride * settings.flow_unit))

    def angles(self, settings: PublishedSettings = PUBLISHED) -> FloatArray:
        """Return (azimuth, elevation, theta, distance, px, py), the inverse of `of`.

        Azimuths come out between 0 and 2 pi.
        """
        x, y, z = self.camera
        distance = np.linalg.norm(self.camera)
        azimuth = np.arctan(x / z) % np.pi + np.pi * (x < 0)
        principal = settings.image_center - self.flow * settings.stride * settings.flow_unit
        return np.array([azimuth, np.arcsin(y / distance), self.theta, distance, *principal])

    @property
    def parameters(self) -> FloatArray:
        """(6,) what Adam moves: camera, theta, flow."""
        return np.concatenate([self.camera, [self.theta], self.flow])

    @classmethod
    def from_parameters(cls, parameters: FloatArray) -> PublishedPose:
        """Return the pose of (6,) parameters."""
        return cls(parameters[:3], float(parameters[3]), parameters[4:])

    @property
    def axes(self) -> FloatArray:
        """(3, 3) the camera's axes (x left, y up, z forward) as columns, in the world."""
        forward = -self.camera / np.linalg.norm(self.camera)
        left = np.cross(_UP, forward)
        left /= np.linalg.norm(left)
        level = np.stack([left, np.cross(forward, left), forward], axis=1)
        return np.asarray(level @ axis_rotation((0, 0, 1), self.theta))

    @property
    def T_camera_mesh(self) -> FloatArray:
        """(4, 4) pose in the optical frame of a camera that looks at the object's origin."""
        R = self.axes.T
        return make_transform(_OPTICAL_FROM_RENDERER @ R @ UPRIGHT_FROM_CAD,
                              -_OPTICAL_FROM_RENDERER @ R @ self.camera)

    def twist(self) -> FloatArray:
        """Return how the pose moves with camera and theta.

        Returns:
            (6, 4) derivatives of (dt, w) in the mesh's frame (see `cuboid_raster`) by the three
            coordinates of the camera and by theta.
        """
        forward = -self.camera / np.linalg.norm(self.camera)
        left = np.cross(_UP, forward)
        left /= np.linalg.norm(left)
        up = np.cross(forward, left)
        distance = np.linalg.norm(self.camera)
        # The direction of sight turns with the camera; left stays level.
        turn_of_sight = -(np.eye(3) - np.outer(forward, forward)) / distance
        omega = np.cross(forward, turn_of_sight.T).T + np.outer(
            forward, (forward @ _UP) / (up @ _UP) * (left @ turn_of_sight))
        spin = np.concatenate([omega, forward[:, None]], axis=1)
        moved = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
        # The world turns against the camera: w = -omega; dt = omega x C - dC.
        shift = np.cross(spin.T, self.camera).T - moved
        to_mesh = UPRIGHT_FROM_CAD.T
        return np.concatenate([to_mesh @ shift, to_mesh @ -spin])


@dataclass(frozen=True)
class PublishedFit:
    """What the loss of equation 5 sees at one pose.

    Attributes:
        loss: 1 - (mean(max(o, c)) - mean(c)).
        gradient: (6,) by `PublishedPose.parameters`.
        object_scores: (h w,) float64 o, zero where the object is not seen.
    """

    loss: float
    gradient: FloatArray
    object_scores: FloatArray


def evaluate(pose: PublishedPose, mesh: CuboidMesh, scores: FeatureScores,
             owned: NDArray[np.bool_] | None = None,
             settings: PublishedSettings = PUBLISHED) -> PublishedFit:
    """Return loss and gradient of a pose.

    Args:
        pose: Of the object.
        mesh: Its cuboid.
        scores: Of the image.
        owned: (h w,) bool, the pixels that the object may use, in the others it scores nothing;
            None = all.
        settings: Of the released code.
    """
    raster = rasterize(mesh, pose.T_camera_mesh[None], settings.K, settings.shape)
    row_of_pixel = np.full(settings.shape[0] * settings.shape[1], -1)
    row_of_pixel[raster.pixel] = np.arange(raster.pixel.size)
    along_face = raster.motion(mesh)
    object_scores = np.zeros(row_of_pixel.size)
    by_flow = np.zeros((2, row_of_pixel.size))
    by_twist = np.zeros((6, row_of_pixel.size))
    for source, weight, slope in _warp(pose.flow * settings.flow_unit, settings.shape):
        usable = row_of_pixel[source] >= 0
        target = np.flatnonzero(usable if owned is None else usable & owned)
        row = row_of_pixel[source[target]]
        value, change = raster.sample(scores.at(target, raster.corners[row]), row)
        object_scores[target] += weight[target] * value
        by_flow[:, target] += slope[:, target] * value
        by_twist[:, target] += weight[target] * np.einsum(
            'sn,skn->kn', change, along_face[:, :, row])
    won = object_scores > scores.clutter
    gain = np.where(won, object_scores - scores.clutter, 0.0)
    gradient = np.concatenate([by_twist[:, won].sum(axis=1) @ pose.twist(),
                               settings.flow_unit * by_flow[:, won].sum(axis=1)])
    return PublishedFit(1.0 - float(gain.mean()), -gradient / won.size, object_scores)


@dataclass(frozen=True)
class Adam:
    """The optimiser's memory.

    Source: D. Kingma and J. Ba, Adam, ICLR 2015, algorithm 1.

    Attributes:
        steps: Taken so far.
        mean: (6,) decaying mean of the gradients.
        mean_square: (6,) decaying mean of their squares.
    """

    steps: int = 0
    mean: FloatArray = field(default_factory=lambda: np.zeros(6))
    mean_square: FloatArray = field(default_factory=lambda: np.zeros(6))

    def step(self, gradient: FloatArray, settings: PublishedSettings) -> tuple[Adam, FloatArray]:
        """Return the memory after a gradient and the (6,) step to take."""
        keep, keep_square = settings.betas
        after = Adam(self.steps + 1, keep * self.mean + (1 - keep) * gradient,
                     keep_square * self.mean_square + (1 - keep_square) * gradient ** 2)
        rate = settings.rate * settings.decay ** (self.steps // settings.decay_steps)
        root = np.sqrt(after.mean_square / (1 - keep_square ** after.steps))
        return after, -rate * after.mean / (1 - keep ** after.steps) / (root + _ADAM_EPSILON)


def refine(pose: PublishedPose, mesh: CuboidMesh, scores: FeatureScores,
           owned: NDArray[np.bool_] | None = None,
           settings: PublishedSettings = PUBLISHED) -> PublishedPose:
    """Minimise the loss by Adam, as published, and return the pose after the last step.

    Arguments are as for `evaluate`.
    """
    parameters, adam = pose.parameters, Adam()
    for _ in range(settings.steps):
        fit = evaluate(PublishedPose.from_parameters(parameters), mesh, scores, owned, settings)
        adam, step = adam.step(fit.gradient, settings)
        parameters = parameters + step
    return PublishedPose.from_parameters(parameters)


def _warp(flow: FloatArray, shape: tuple[int, int]) -> list[
        tuple[NDArray[np.intp], FloatArray, FloatArray]]:
    """Return source pixel, weight and (2, h w) slope of the four neighbours of a bilinear shift.

    The slopes are by the source's x and y; where the border is repeated they are zero. Where the
    shift is whole they are those towards larger x and y; in the code, rounding chooses for each
    pixel.
    """
    height, width = shape
    low, fraction, slope = [], [], []
    for size, shift in ((width, flow[0]), (height, flow[1])):
        place = np.arange(size) + shift
        clamped = np.clip(place, 0, size - 1)
        low.append(np.minimum(clamped.astype(np.intp), size - 2))
        fraction.append(clamped - low[-1])
        slope.append(((place > 0) & (place < size - 1)).astype(np.float64))
    neighbours = []
    for down in (0, 1):
        for right in (0, 1):
            along_x = fraction[0] if right else 1 - fraction[0]
            along_y = fraction[1] if down else 1 - fraction[1]
            source = (low[1] + down)[:, None] * width + low[0] + right
            by_x = along_y[:, None] * (slope[0] * (2 * right - 1))
            by_y = (slope[1] * (2 * down - 1))[:, None] * along_x
            neighbours.append((source.ravel(), np.outer(along_y, along_x).ravel(),
                               np.stack([by_x.ravel(), by_y.ravel()])))
    return neighbours


def _centered_camera(focal: float, shape: tuple[int, int]) -> FloatArray:
    return np.array([[focal, 0.0, (shape[1] - 1) / 2], [0.0, focal, (shape[0] - 1) / 2],
                     [0.0, 0.0, 1.0]])
