"""Proposes the rotational symmetries of a mesh, for a person to confirm, and checks stated ones.

A rotation is a symmetry if it takes the surface onto itself: of points of the surface, 95 % must
land within 3 % of the object's diameter of it, and all within 10 %. The second is the bound of the
BOP challenge; the first also tells a mug from a cup without a handle. Colours are not looked at.

Every symmetry axis goes through the centroid of the surface. Its direction is sought among the
coordinate axes, the principal axes of inertia, the commonest normals, which are the axes of boxes,
and sums and products of those, and then refined.

Source: BOP challenge 2019 (Hodan et al., ECCVW 2020, section 2.3) for the definition of symmetry
by a Hausdorff distance.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import angle_between, axis_rotation
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.symmetry_elements import (
    ANY_ANGLE,
    SymmetryElement,
    SymmetryProposal,
)

FloatArray = NDArray[np.float64]

# Shares of the diameter that a rotated surface may lie beside itself: for 95 % of it, and for all.
TOLERANCE = 0.03
LARGEST = 0.10
# Symmetries are of core.symmetry if they move the origin by no more than this of the diameter.
OFF_ORIGIN = 0.02

_QUANTILE = 0.95
_POINTS = 2000
_ROUGH_POINTS = 200
# A candidate that is a few degrees off must survive until its axis is refined.
_ROUGH_MEAN = 0.035
# An axis that fits to this share of the diameter is not refined.
_FINE = 0.005
# Those looked for, the best first.
_ORDERS = (ANY_ANGLE, *range(12, 1, -1))
# Turns that a regular polygon with up to a dozen corners cannot imitate.
_ANY_ANGLES = 2 * np.pi * np.array([1, 2, 4, 5, 7, 10, 11, 13, 16]) / 34
_SAME_AXIS = np.cos(np.radians(5))
_WANDERED = np.cos(np.radians(8))
_SAME_ROTATION = np.radians(10)
_NEAR_COORDINATE_AXIS = np.cos(np.radians(2.5))
_NORMAL_CLUSTER = np.cos(np.radians(10))
_MOST_NORMALS = 6
_LARGEST_GROUP = 60
# A symmetry belongs to another point if it misses by less than this share there.
_FAR_BETTER = 0.5


def propose_symmetry(mesh: Mesh) -> SymmetryProposal:
    """Find the rotations that take a surface onto itself, by its shape alone.

    Args:
        mesh: In its object frame, metres. Which side of its faces is outside does not matter.

    Returns:
        The symmetries about the frame's origin, and those that could not be used.

    Raises:
        ConfigurationError: If Open3D is not installed.
        InvalidInputError: If the mesh has no area.
    """
    search = _Search(mesh)
    elements = search.elements()
    centred, left_out = [], []
    for element in elements:
        shift = 2 * element.offset
        if shift > OFF_ORIGIN * search.diameter:
            left_out.append(_with_reason(element, (
                f'its axis passes the origin of the mesh at {1000 * element.offset:.1f} mm; move '
                'the mesh so that its origin lies on the axis')))
        else:
            centred.append(element)
    round_axes = [element for element in centred if element.order == ANY_ANGLE]
    if round_axes:
        left_out += [_with_reason(element, 'it is a ball, of which one axis can be expressed')
                     for element in round_axes[1:]]
        symmetry, used = search.about_an_axis(round_axes[0], centred)
    else:
        symmetry, used = search.discrete(centred)
    return SymmetryProposal(symmetry, used, tuple(left_out), search.diameter)


def check_symmetry(mesh: Mesh, symmetry: Symmetry, what: str) -> None:
    """Refuse a stated symmetry of an object whose axis passes beside the frame's origin.

    A symmetry that holds in the main only, as that of a mug whose handle does not matter, is
    accepted: what is refused would fit far better about the object's own middle.

    Args:
        mesh: In its object frame, metres.
        symmetry: About the frame's origin, as stated.
        what: Says whose symmetry it is, for the message.

    Raises:
        ConfigurationError: If Open3D is not installed.
        InvalidInputError: If it moves the object off itself, or the mesh has no area.
    """
    rotations = symmetry.rotations
    if symmetry.axis is not None:
        turns = axis_rotation(symmetry.axis, _ANY_ANGLES)
        rotations = (rotations[:, None] @ turns).reshape(-1, 3, 3)
    if len(rotations) == 1:
        return
    search = _Search(mesh)
    middles = search.middles()
    shifts = np.linalg.norm(middles @ np.swapaxes(rotations - np.eye(3), 1, 2), axis=2).max(axis=0)
    if shifts.min() <= OFF_ORIGIN * search.diameter:
        return
    misfits = [search.misfit(rotations, middle) for middle in middles]
    best = int(np.argmin(misfits))
    if misfits[best] < _FAR_BETTER * search.misfit(rotations, np.zeros(3)):
        place = ', '.join(map(str, np.round(1000 * middles[best], 1) + 0.0))
        raise InvalidInputError(
            f'{what} moves it off itself: its middle, ({place}) mm, by {1000 * shifts[best]:.1f} '
            'mm. Symmetries must go through the origin: move the origin of the mesh onto the '
            'axis, or state no symmetry')


class _Search:
    """The surface of one mesh, and how far a turn moves it off itself."""

    def __init__(self, mesh: Mesh) -> None:
        from scipy.spatial.distance import pdist

        samples = mesh.sample_surface(_POINTS, np.random.default_rng(0))
        self._points = samples.points.astype(np.float64)
        self._normals = samples.normals.astype(np.float64)
        self._caster = Open3DRayCaster([mesh])
        self._centroid, self._principal_axes = _surface_moments(mesh)
        self._box_middle = mesh.bounds.mean(axis=0, dtype=np.float64)
        self.diameter = float(pdist(self._points).max())

    def elements(self) -> list[SymmetryElement]:
        """Return lines of symmetry, those of any angle and of high orders first.

        They generate all symmetries, but need not be all lines.
        """
        found: list[SymmetryElement] = []
        for axis in self._candidates():
            self._add_best(found, axis, _ORDERS)
            if found and found[-1].order == ANY_ANGLE:
                # Every other axis is across it, and one of them stands for all.
                found = found[-1:]
                self._add_best(found, _perpendicular_axes(found[0])[0], (ANY_ANGLE, 2))
                return found
        for main in [element for element in found if element.order != 2]:
            for axis in _perpendicular_axes(main):
                self._add_best(found, axis, (2,))
        return sorted(found, key=lambda element: (-element.order, element.deviation))

    def about_an_axis(self, main: SymmetryElement, others: list[SymmetryElement]) -> tuple[
            Symmetry, tuple[SymmetryElement, ...]]:
        """Return the symmetry of a body of revolution, with the half turn that swaps its ends."""
        across = [element for element in others if element.order == 2]
        if not across:
            return Symmetry(axis=main.direction), (main,)
        # Across the axis to the last digit, so that the turned axis is the axis.
        along = np.asarray(main.direction)
        flip = np.asarray(across[0].direction)
        flip = flip - (flip @ along) * along
        return (Symmetry(main.direction, (_numbers(axis_rotation(flip, np.pi)),)),
                (main, across[0]))

    def discrete(self, elements: list[SymmetryElement]) -> tuple[
            Symmetry, tuple[SymmetryElement, ...]]:
        """Return the group that turns about lines through the origin generate, and by which."""
        group = [np.eye(3)]
        used: list[SymmetryElement] = []
        generators: list[FloatArray] = []
        for element in elements:
            turn = axis_rotation(element.direction, 2 * np.pi / element.order)
            if not _is_new(turn, group):
                continue
            used.append(element)
            generators.append(turn)
            for member in group:  # It grows while it is walked through.
                products = [generator @ member for generator in generators]
                group += [product for product in products if _is_new(product, group)
                          and len(group) < _LARGEST_GROUP and self._is_symmetry(product)]
        if not used:
            return NO_SYMMETRY, ()
        return Symmetry(discrete=tuple(_numbers(R) for R in group[1:])), tuple(used)

    def middles(self) -> FloatArray:
        """Return (2, 3) points through one of which every symmetry goes: of surface and box."""
        return np.stack([self._centroid, self._box_middle])

    def misfit(self, rotations: FloatArray, centre: FloatArray) -> float:
        """Return the mean share of the diameter by which (R, 3, 3) turns about a point miss."""
        around = self._points[:_ROUGH_POINTS] - centre
        turned = around @ np.swapaxes(rotations, 1, 2)
        return float(self._distances(turned.reshape(-1, 3) + centre).mean())

    def _is_symmetry(self, R: FloatArray) -> bool:
        moved = self._distances(self._points @ R.T)
        return _accepts(float(np.quantile(moved, _QUANTILE)), float(moved.max()))

    def _add_best(self, found: list[SymmetryElement], axis: FloatArray,
                  orders: tuple[int, ...]) -> None:
        """Append the element of the highest order about an axis, unless the axis is there."""
        if _has_axis(found, axis):
            return
        means = self._rough_means(axis, orders)
        for order in [order for order, mean in zip(orders, means, strict=True)
                      if mean < _ROUGH_MEAN]:
            turned = self._rough_distances(axis, self._centroid, _turns(order))
            if turned.mean(axis=1).max() > _ROUGH_MEAN:
                continue
            element = self._element(axis, self._centroid, order)
            if element.deviation > _FINE:
                element = self._element(*self._refined(axis, order), order)
            if not _accepts(element.deviation, element.largest):
                continue
            # An axis that wandered far is another candidate's, which may be of a higher order.
            if abs(np.dot(element.direction, axis)) > _WANDERED and not _has_axis(
                    found, np.asarray(element.direction)):
                found.append(element)
            return

    def _rough_means(self, axis: FloatArray, orders: tuple[int, ...]) -> list[float]:
        """Return for each order the mean share of the diameter by which points miss."""
        turns = [_rough_turns(order) for order in orders]
        distances = self._rough_distances(axis, self._centroid, np.concatenate(turns))
        ends = np.cumsum([len(angles) for angles in turns])[:-1]
        return [float(part.mean()) for part in np.split(distances, ends)]

    def _rough_distances(self, axis: FloatArray, centre: FloatArray,
                         angles: FloatArray) -> FloatArray:
        """Return the (A, P) shares of the diameter by which a few turned points miss."""
        points = self._points[:_ROUGH_POINTS]
        moved = np.concatenate([_turned(points, axis, centre, angle) for angle in angles])
        return self._distances(moved).reshape(len(angles), -1)

    def _element(self, axis: FloatArray, centre: FloatArray, order: int) -> SymmetryElement:
        moved = np.stack([self._distances(_turned(self._points, axis, centre, angle))
                          for angle in _turns(order)])
        nearest = centre - (centre @ axis) * axis
        axis = axis * np.sign(axis[np.abs(axis).argmax()])
        return SymmetryElement(
            _triple(axis), _triple(nearest), order,
            float(np.quantile(moved, _QUANTILE, axis=1).max()), float(moved.max()))

    def _refined(self, axis: FloatArray, order: int) -> tuple[FloatArray, FloatArray]:
        """Return the axis and the point on it that fit best near a candidate.

        A coordinate axis through the centroid, or the origin, is preferred where it fits as well.
        """
        from scipy.optimize import minimize

        across = np.linalg.svd(axis[None])[2][1:]
        angles = _rough_turns(order)

        def line(x: FloatArray) -> tuple[FloatArray, FloatArray]:
            tilted = axis + x[:2] @ across
            return (tilted / np.linalg.norm(tilted),
                    self._centroid + self.diameter * x[2:] @ across)

        def misfit(x: FloatArray) -> float:
            return float(self._rough_distances(*line(x), angles).mean())

        best = minimize(misfit, np.zeros(4), method='Nelder-Mead', options={
            'maxfev': 80, 'xatol': 1e-3, 'fatol': 1e-4,
            'initial_simplex': np.vstack([np.zeros(4), 0.04 * np.eye(4)])})
        axis, centre = line(best.x)
        close = np.abs(axis) > _NEAR_COORDINATE_AXIS
        if close.any():
            straight = close.astype(np.float64)
            slack = best.fun + 0.1 * TOLERANCE
            for point in (np.zeros(3), centre, self._centroid):
                if self._rough_distances(straight, point, angles).mean() < slack:
                    return straight, point
        return axis, centre

    def _distances(self, points: FloatArray) -> FloatArray:
        distances = self._caster.surface_distances(points.astype(np.float32))
        return np.asarray(distances, dtype=np.float64) / self.diameter

    def _candidates(self) -> list[FloatArray]:
        """Return unit directions of possible axes, no two of them alike."""
        normals = self._common_normals()
        pairs = [combined for i, a in enumerate(normals) for b in normals[:i]
                 for combined in (np.cross(a, b), a + b, a - b)]
        # The diagonals of a box.
        triples = [sum(sign * normal for sign, normal in zip(signs, normals, strict=False))
                   for signs in ((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1))]
        chosen: list[FloatArray] = []
        for direction in (*np.eye(3), *self._principal_axes, *normals, *pairs, *triples):
            length = np.linalg.norm(direction)
            if length > 0.1 and all(abs(direction @ other) < _SAME_AXIS * length
                                    for other in chosen):
                chosen.append(direction / length)
        return chosen

    def _common_normals(self) -> list[FloatArray]:
        """Return the directions that most of the surface looks along, forth or back."""
        left = self._normals
        common: list[FloatArray] = []
        while len(common) < _MOST_NORMALS and len(left) > 0.02 * len(self._normals):
            cosine = left[:_ROUGH_POINTS] @ left.T
            most = int((np.abs(cosine) > _NORMAL_CLUSTER).sum(axis=1).argmax())
            near = np.abs(cosine[most]) > _NORMAL_CLUSTER
            mean = (left[near] * np.sign(cosine[most][near])[:, None]).sum(axis=0)
            common.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
            left = left[~near]
        return common


def _surface_moments(mesh: Mesh) -> tuple[FloatArray, FloatArray]:
    """Return the (3,) centroid of a surface and the (3, 3) principal axes, one per row."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    shares = mesh.face_areas / mesh.face_areas.sum()
    centroid = np.einsum('f,fcx->x', shares, corners) / 3
    around = corners - centroid
    # The second moment of a triangle is area / 12 (sum of v v^T + (sum of v)(sum of v)^T).
    sums = around.sum(axis=1)
    moments = (np.einsum('f,fcx,fcy->xy', shares, around, around)
               + np.einsum('f,fx,fy->xy', shares, sums, sums))
    return centroid, np.asarray(np.linalg.eigh(moments)[1].T)


def _has_axis(elements: list[SymmetryElement], axis: FloatArray) -> bool:
    return any(abs(np.dot(element.direction, axis)) > _SAME_AXIS for element in elements)


def _is_new(R: FloatArray, group: list[FloatArray]) -> bool:
    return bool((angle_between(np.stack(group), R) > _SAME_ROTATION).all())


def _accepts(deviation: float, largest: float) -> bool:
    return deviation <= TOLERANCE and largest <= LARGEST


def _turns(order: int) -> FloatArray:
    """Return the angles that a symmetry of an order must allow, radians."""
    if order == ANY_ANGLE:
        return np.asarray(_ANY_ANGLES)
    # The turns beyond a half are those before it backwards.
    return 2 * np.pi * np.arange(1, order // 2 + 1) / order


def _rough_turns(order: int) -> FloatArray:
    """Return a few of those angles: the widest, which move a surface most if it is wrong."""
    if order == ANY_ANGLE:
        return np.asarray(_ANY_ANGLES[1::3])
    widest = max(turn for turn in range(1, order // 2 + 1) if gcd(turn, order) == 1)
    return np.array([2 * np.pi * widest / order])


def _turned(points: FloatArray, axis: FloatArray, centre: FloatArray, angle: float) -> FloatArray:
    return np.asarray((points - centre) @ axis_rotation(axis, angle).T + centre)


def _perpendicular_axes(main: SymmetryElement) -> list[FloatArray]:
    """Return candidates for half turns across a main axis, which repeat around it."""
    across = np.linalg.svd(np.asarray(main.direction)[None])[2][1:]
    count = 1 if main.order == ANY_ANGLE else max(1, round(180 / main.order / 4))
    angles = np.pi * np.arange(count) / (count * max(main.order, 1))
    return [np.asarray(np.cos(angle) * across[0] + np.sin(angle) * across[1])
            for angle in angles]


def _with_reason(element: SymmetryElement, reason: str) -> SymmetryElement:
    return SymmetryElement(element.direction, element.point, element.order, element.deviation,
                           element.largest, reason)


def _triple(vector: FloatArray) -> tuple[float, float, float]:
    x, y, z = (vector + 0.0).tolist()
    return x, y, z


def _numbers(R: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in R.ravel())
