"""Poses of tracks over time: a fading least-squares fit of constant velocity on SE(3).

The sightings of the last while, weighted by their covariances and fading with age, are fitted by
a pose and, as far as the fit says that the object moves, a velocity. Without that the fit is a
fading mean, which is quieter; with it a moving object is followed without lag. The velocity is
fitted to at least half a second, so that little memory for poses does not make it noise. Sums are
kept instead of sightings, so an update costs the same however long the track is.

A pose is perturbed as `t + dt`, `exp([w]x) R`, in the frame that poses are told in, as in
`core.pose_covariance`. All residuals are relative to the last estimate; when that moves by x,
they move by -x, which for rotations is true up to second order.

Source: the fading-memory polynomial filter, N. Morrison, Introduction to Sequential Smoothing
and Prediction, 1969, chapter 13, here with covariances as weights; the shrinkage of the velocity
is ours, after James and Stein, 1961.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.pose_covariance import UNKNOWN_ANGLE, with_bounded_angles
from pose_estimation_ros.core.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.tracking.track_table import TrackTable

FloatArray = NDArray[np.float64]

# Weights of poses that come without a covariance: one centimetre, three degrees.
_USUAL_VARIANCE = np.array([0.01 ** 2] * 3 + [0.05 ** 2] * 3)
# No covariance is believed below this: a tenth of a millimetre, a hundredth of a degree.
_LEAST_VARIANCE = np.array([1e-4 ** 2] * 3 + [2e-4 ** 2] * 3)
# What is known of a velocity before it is seen: a metre and half a turn per second.
_SLOWNESS = 1.0 / np.array([1.0 ** 2] * 3 + [3.0 ** 2] * 3)
# A velocity counts as far as it explains more than noise does: three, for its three unknowns.
_NOISE_EXPLAINS = 3.0
_VELOCITY_MEMORY = 0.5
# Least share that is left of a sighting.
_FAINTEST = 1e-9
_LONGEST_PREDICTION = 0.5
# Sightings from which it is known how noisy poses are.
_NOISE_MEMORY = 20.0
_NOISE_RANGE = (0.02, 10.0)
_LARGEST_SCATTER = 4.0
# Sizes do not change: they are averaged over so many times as long.
_SIZE_PATIENCE = 5.0


@dataclass(frozen=True, eq=False)
class Motion(TrackTable):
    """What is known of the motion of N tracks at their last sightings.

    Attributes:
        T: (N, 4, 4) estimated poses.
        velocity: (N, 6) metres and radians per second, as far as it is believed.
        fitted_velocity: (N, 6) the same without doubt.
        information: (N, 2, 3, 6, 6) fading sums of the inverse covariances, times the
            sightings' ages to the power 0, 1 and 2; ages in seconds, negative. First for the
            pose, then the same with more memory, for the velocity.
        pull: (N, 2, 2, 6) fading sums of inverse covariance times residual, times ages likewise.
        covariance: (N, 6, 6) of the poses.
        sightings: (N,) fading number of sightings.
        seen: (N,) number of sightings in all.
        noise: (N, 2) how many times larger than the covariances say the scatter is, as variance;
            of the position and of the rotation.
        log_size: (N, 3) mean logarithm of the sizes, metres.
        size_sightings: (N,) fading number of them.
    """

    T: FloatArray
    velocity: FloatArray
    fitted_velocity: FloatArray
    information: FloatArray
    pull: FloatArray
    covariance: FloatArray
    sightings: FloatArray
    seen: FloatArray
    noise: FloatArray
    log_size: FloatArray
    size_sightings: FloatArray


def usable_covariances(covariances: list[FloatArray | None]) -> FloatArray:
    """Return (N, 6, 6) covariances, a usual one where none is known."""
    usual = np.diag(_USUAL_VARIANCE)
    stacked = np.stack([usual if covariance is None else covariance
                        for covariance in covariances]) if covariances else np.zeros((0, 6, 6))
    return stacked + np.diag(_LEAST_VARIANCE)


def with_settled_spin(covariance: FloatArray, axis: FloatArray) -> FloatArray:
    """Return covariances of round objects once the spin is settled by choosing the nearest pose.

    That an angle is unknown must not let errors of the tilt leak into it.

    Args:
        covariance: (N, 6, 6) with any variance about the axis.
        axis: (N, 3) unit axes of symmetry in the frame of the covariances.

    Returns:
        (N, 6, 6) with as much variance about the axis as about the others.
    """
    spin = np.zeros((len(axis), 6, 6))
    spin[:, 3:, 3:] = axis[:, :, None] * axis[:, None, :]
    rest = np.eye(6) - spin
    settled = rest @ covariance @ rest
    tilt = 0.5 * np.trace(settled[:, 3:, 3:], axis1=1, axis2=2)
    return np.asarray(settled + tilt[:, None, None] * spin)


def first_motion(T: FloatArray, covariance: FloatArray, size: FloatArray) -> Motion:
    """Return the motion of N objects that were seen once, at rest as far as is known.

    Args:
        T: (N, 4, 4) poses.
        covariance: (N, 6, 6) of the poses.
        size: (N, 3) metres.
    """
    count = len(T)
    information = np.zeros((count, 2, 3, 6, 6))
    information[:, :, 0] = _inverse(covariance)[:, None]
    still = np.zeros((count, 6))
    one = np.ones(count)
    return Motion(T, still, still, information, np.zeros((count, 2, 2, 6)), covariance, one, one,
                  np.ones((count, 2)), np.log(size), one)


def restarted(motion: Motion, T: FloatArray, covariance: FloatArray) -> Motion:
    """Return the motion of N known objects that are somewhere else all at once.

    Args:
        motion: At the last sightings; sizes and noise are kept, nothing else.
        T: (N, 4, 4) poses seen.
        covariance: (N, 6, 6) of them.
    """
    return replace(first_motion(T, covariance, np.exp(motion.log_size)),
                   seen=motion.seen + 1.0, noise=motion.noise,
                   size_sightings=motion.size_sightings)


def jumped(motion: Motion, seconds: FloatArray, T: FloatArray, covariance: FloatArray,
           memory: float) -> Motion:
    """Return the motion of N objects that moved further than was expected.

    They are where they are seen. From where they were remains whether they go on like that: the
    next sighting will tell.

    Args:
        motion: At the last sightings.
        seconds: (N,) since then, more than 0.
        T: (N, 4, 4) poses seen.
        covariance: (N, 6, 6) of them.
        memory: Seconds after which a sighting counts a third (1/e).
    """
    fresh = restarted(motion, T, covariance)
    way = _difference(T, motion.T)
    fading = _fading(seconds, memory)
    before = fading[..., None, None] * fresh.information[:, :, 0]
    ages = np.stack([seconds ** 0, -seconds, seconds ** 2], axis=1)[:, None]
    return replace(
        fresh, information=fresh.information + ages[..., None, None] * before[:, :, None],
        pull=-_times(before, way[:, None])[:, :, None] * ages[..., :2, None],
        fitted_velocity=way / seconds[:, None], sightings=1.0 + fading[:, 0])


def predicted(motion: Motion, seconds: FloatArray) -> FloatArray:
    """Return the (N, 4, 4) poses that are expected (N,) seconds after the last sightings."""
    step = motion.velocity * np.minimum(seconds, _LONGEST_PREDICTION)[:, None]
    return _moved(motion.T, step)


def surprises(motion: Motion, seconds: FloatArray, T: FloatArray, *,
              may_move: bool) -> FloatArray:
    """Return (N, 2) how far (N, 4, 4) poses seen are from where they may be expected, metres.

    First with the velocity that is believed, then with the fitted one: after a jump the object
    may have come to rest, or move on as it did. Where velocities are never believed, the second
    is the same as the first.
    """
    seconds = np.minimum(seconds, _LONGEST_PREDICTION)[:, None]
    way = T[:, :3, 3] - motion.T[:, :3, 3]
    velocities = motion.velocity, motion.fitted_velocity if may_move else motion.velocity
    return np.stack([np.linalg.norm(way - velocity[:, :3] * seconds, axis=1)
                     for velocity in velocities], axis=1)


def followed(motion: Motion, seconds: FloatArray, T: FloatArray, covariance: FloatArray,
             size: FloatArray, rotation_counts: NDArray[np.bool_], memory: float, *,
             may_move: bool = True) -> Motion:
    """Return the motion after another sighting of each object.

    Args:
        motion: At the last sightings.
        seconds: (N,) since then.
        T: (N, 4, 4) poses seen; of equal rotations those nearest to what is expected.
        covariance: (N, 6, 6) of them.
        size: (N, 3) metres.
        rotation_counts: (N,) False where the rotation is an outlier.
        memory: Seconds after which a sighting counts a third (1/e).
        may_move: Believe velocities as far as they are clear; otherwise never.
    """
    fading = _fading(seconds, memory)
    inverse_covariance = _information(covariance, rotation_counts)
    residual = _difference(T, motion.T)
    residual[~rotation_counts, 3:] = 0.0
    noise = _noise(motion, residual, inverse_covariance, seconds, fading, rotation_counts)
    information, pull = _aged(motion, seconds, fading)
    information[:, :, 0] += inverse_covariance[:, None]
    pull[:, :, 0] += _times(inverse_covariance, residual)[:, None]
    sightings = fading[:, 0] * motion.sightings + 1.0
    fit = _fit(information, pull, noise, sightings, may_move=may_move)
    size_fading = np.exp(-seconds / (_SIZE_PATIENCE * memory))
    size_sightings = size_fading * motion.size_sightings + 1.0
    log_size = motion.log_size + (np.log(size) - motion.log_size) / size_sightings[:, None]
    pull -= _times(information[:, :, :2], fit.step[:, None, None])
    return replace(
        motion, T=_moved(motion.T, fit.step), velocity=fit.trust * fit.velocity,
        fitted_velocity=fit.velocity, information=information, pull=pull,
        covariance=fit.covariance, sightings=sightings, seen=motion.seen + 1.0, noise=noise,
        log_size=log_size, size_sightings=size_sightings)


@dataclass(frozen=True, eq=False)
class _Fit:
    """Step from the last estimate, velocity, its trust (N, 6 each), covariance (N, 6, 6)."""

    step: FloatArray
    velocity: FloatArray
    trust: FloatArray
    covariance: FloatArray


def _fit(information: FloatArray, pull: FloatArray, noise: FloatArray,
         sightings: FloatArray, *, may_move: bool) -> _Fit:
    """Fit pose and velocity: both, or the pose alone, or between, as the velocity is clear."""
    # Both memories: what is left to fit once the object is taken to rest.
    covariances = _inverse(information[:, :, 0])
    levers = covariances @ information[:, :, 1]
    rests = _times(covariances, pull[:, :, 0])
    pose_covariance, lever, rest = covariances[:, 0], levers[:, 0], rests[:, 0]
    first, second = information[:, 1, 1], information[:, 1, 2]
    about_velocity = second - np.swapaxes(first, 1, 2) @ levers[:, 1]
    velocity_covariance = _inverse(about_velocity + np.diag(_SLOWNESS))
    velocity = _times(velocity_covariance, pull[:, 1, 1] - _times(first, rests[:, 1]))
    by_chance = _NOISE_EXPLAINS * noise / np.maximum(_squares(velocity, about_velocity), 1e-12)
    trust = may_move * np.repeat(np.clip(1.0 - by_chance, 0.0, 1.0), 3, axis=1)
    step = rest - trust * _times(lever, velocity)
    fitted = pose_covariance + _scaled(
        lever @ velocity_covariance @ np.swapaxes(lever, 1, 2), trust)
    # What scatters is averaged out; an error that stays the same for all sightings is not.
    scatter = np.repeat(noise, 3, axis=1)
    lasting = np.maximum(1.0 - scatter, 0.0)
    single = sightings[:, None, None] * pose_covariance
    return _Fit(step, velocity, trust, with_bounded_angles(
        _scaled(single, np.sqrt(lasting)) + _scaled(fitted, np.sqrt(scatter))))


def _noise(motion: Motion, residual: FloatArray, inverse_covariance: FloatArray,
           seconds: FloatArray, fading: FloatArray, counts: NDArray[np.bool_]) -> FloatArray:
    """Return (N, 2) how the scatter about the fit compares with the covariances so far."""
    innovation = residual - motion.fitted_velocity * seconds[:, None]
    surprise = _squares(innovation, inverse_covariance) / 3.0
    # The prediction errs as well; in the long run as much as this, relative to one sighting: the
    # mean, and the velocity over the mean's age.
    quick, slow = ((1.0 - fading) / (1.0 + fading)).T
    error = quick + 2.0 * slow ** 3 / np.maximum(1.0 - fading[:, 0], 1e-3) ** 2
    own_share = 1.0 / (1.0 + np.maximum(error, 1.0 / motion.seen))
    # A jump is no noise.
    scatter = np.minimum(own_share[:, None] * surprise, _LARGEST_SCATTER * motion.noise)
    scatter[~counts, 1] = motion.noise[~counts, 1]
    memory = np.minimum(motion.seen + 1.0, _NOISE_MEMORY)[:, None]
    return np.asarray(np.clip(motion.noise + (scatter - motion.noise) / memory, *_NOISE_RANGE))


def _squares(vector: FloatArray, weight: FloatArray) -> FloatArray:
    """Return (N, 2) weighted squares of the two halves of (N, 6) vectors."""
    return np.stack([np.einsum('ni,nij,nj->n', vector[:, half], weight[:, half, half],
                               vector[:, half]) for half in (slice(3), slice(3, 6))], axis=1)


def _scaled(covariance: FloatArray, factor: FloatArray) -> FloatArray:
    """Return (N, 6, 6) covariances of vectors multiplied by (N, 6) factors."""
    return covariance * factor[:, :, None] * factor[:, None, :]


def _aged(motion: Motion, seconds: FloatArray, fading: FloatArray
          ) -> tuple[FloatArray, FloatArray]:
    """Return information and pull after the sightings have grown older, and fainter."""
    s = seconds[:, None, None, None]
    zeroth, first, second = np.moveaxis(motion.information, 2, 0)
    information = np.stack([zeroth, first - s * zeroth,
                            second - 2.0 * s * first + s * s * zeroth], axis=2)
    pull, moment = np.moveaxis(motion.pull, 2, 0)
    pull = np.stack([pull, moment - s[..., 0] * pull], axis=2)
    return fading[..., None, None, None] * information, fading[..., None, None] * pull


def _fading(seconds: FloatArray, memory: float) -> FloatArray:
    """Return (N, 2) factors by which sightings fade, for the pose and for the velocity."""
    faded = np.exp(-seconds[:, None] / np.array([memory, max(memory, _VELOCITY_MEMORY)]))
    # What is left of a long absence can still be inverted.
    return np.asarray(np.maximum(faded, _FAINTEST))


def _information(covariance: FloatArray, rotation_counts: NDArray[np.bool_]) -> FloatArray:
    """Return (N, 6, 6) inverse covariances; a rotation that does not count may be any.

    So little is always known, however far what was seen before has faded.
    """
    information = _inverse(covariance)
    if not rotation_counts.all():
        odd = ~rotation_counts
        information[odd] = np.diag([0.0] * 3 + [1.0 / UNKNOWN_ANGLE] * 3)
        information[odd, :3, :3] = np.linalg.inv(covariance[odd, :3, :3])
    return information


def _difference(T: FloatArray, T_from: FloatArray) -> FloatArray:
    """Return the (N, 6) steps that lead from poses to others; see `_moved`."""
    turn = T[:, :3, :3] @ np.swapaxes(T_from[:, :3, :3], 1, 2)
    return np.concatenate([T[:, :3, 3] - T_from[:, :3, 3], matrix_to_axis_angle(turn)], axis=1)


def _moved(T: FloatArray, step: FloatArray) -> FloatArray:
    """Return (N, 4, 4) poses after (N, 6) steps, rotations made orthonormal again."""
    R = axis_angle_to_matrix(step[:, 3:]) @ T[:, :3, :3]
    # One step of Newton's iteration for the nearest rotation undoes what rounding adds.
    R = R @ (1.5 * np.eye(3) - 0.5 * np.swapaxes(R, 1, 2) @ R)
    return make_transform(R, T[:, :3, 3] + step[:, :3])


def _inverse(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray((matrix @ vector[..., None])[..., 0])
