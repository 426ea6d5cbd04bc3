"""What is around the objects: table, floor, walls, furniture, and small clutter.

World frame: z up, table top at z = 0, metres. The group of objects is around the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.rendering.mesh import Mesh, concatenate
from pose_estimation_ros.rendering.primitives import (
    box,
    cylinder,
    ellipsoid,
    rectangle,
    solid_of_revolution,
)
from pose_estimation_ros.synthetic.placement import Footprint, Placed
from pose_estimation_ros.synthetic.solids import Solid

FloatArray = NDArray[np.float64]

_WALL_HEIGHT = 5.0
_EDGE_MARGIN = 0.02
_BOARD_TOP = 0.0005


@dataclass(frozen=True)
class SurroundingsStyle:
    """How a domain furnishes its rooms; ranges are uniform, lengths in metres.

    Attributes:
        round_table: Share of round tables.
        endless_table: Share of tables whose edges are out of sight.
        table_length: Range of the longer side.
        table_width: Range of the shorter side.
        edge_bias: 1 puts the group anywhere on the table, below 1 rather near its edges.
        table_height: Range of the table top's height above the floor.
        near_wall: Chance for each of four walls to be right behind the table.
        wall_distance: Range of the distance of the other walls from the origin.
        furniture: Range of the number of large things in the room.
    """

    round_table: float
    endless_table: float
    table_length: tuple[float, float]
    table_width: tuple[float, float]
    edge_bias: float
    table_height: tuple[float, float]
    near_wall: float
    wall_distance: tuple[float, float]
    furniture: tuple[int, int]


SURROUNDINGS_STYLES = {
    'primary': SurroundingsStyle(0.12, 0.2, (0.7, 2.4), (0.45, 1.1), 0.6, (0.35, 1.1), 0.2,
                                 (1.9, 5.0), (2, 12)),
    'second': SurroundingsStyle(0.25, 0.1, (0.8, 1.8), (0.6, 0.9), 0.9, (0.7, 0.95), 0.3,
                                (2.0, 3.5), (4, 9)),
}
# Wide tables with the objects not at their edges.
DESKS = SurroundingsStyle(0.05, 0.5, (1.0, 2.4), (0.6, 1.2), 1.5, (0.35, 1.1), 0.2, (1.9, 5.0),
                          (2, 8))


@dataclass(frozen=True)
class Table:
    """A table with its top at z = 0.

    Attributes:
        solid: Its top and legs.
        T_world_table: (4, 4) pose; z up.
        half: (2,) half extents of the top, metres; equal for a round one.
        is_round: Whether the top is a disk.
    """

    solid: Solid
    T_world_table: FloatArray
    half: FloatArray
    is_round: bool

    def holds(self, points: FloatArray) -> NDArray[np.bool_]:
        """Return for (..., 2) world points whether they are on the table top, off its edges."""
        local = (points - self.T_world_table[:2, 3]) @ self.T_world_table[:2, :2]
        if self.is_round:
            return np.asarray(np.linalg.norm(local, axis=-1) < self.half[0] - _EDGE_MARGIN)
        return np.asarray((np.abs(local) < self.half - _EDGE_MARGIN).all(axis=-1))


@dataclass(frozen=True)
class Room:
    """Floor, walls and large things around the table.

    Attributes:
        solids: What there is.
        poses: (4, 4) pose of each, world.
        low: (3,) lowest corner of the free space, metres.
        high: (3,) highest corner.
    """

    solids: tuple[Solid, ...]
    poses: tuple[FloatArray, ...]
    low: FloatArray
    high: FloatArray

    def contains(self, point: FloatArray, margin: float) -> bool:
        """Return whether a (3,) world point is inside, `margin` metres off every wall."""
        return bool(((point > self.low + margin) & (point < self.high - margin)).all())


def sample_table(style: SurroundingsStyle, generator: np.random.Generator) -> Table:
    """Return a random table on which the world's origin lies."""
    kind = generator.random()
    thickness = generator.uniform(0.01, 0.06)
    yaw = generator.uniform(0, 2 * np.pi)
    is_round = kind < style.round_table
    if is_round:
        half = np.full(2, generator.uniform(*style.table_length) * 0.4)
        top = cylinder(half[0], thickness, 72)
    else:
        length, width = generator.uniform(*style.table_length), generator.uniform(
            *style.table_width)
        if kind < style.round_table + style.endless_table:
            length, width = 9.0, 9.0
        half = np.array([length, max(min(width, length), 0.4)]) / 2
        top = box((*(2 * half), thickness))
    # A power below 1 favours the border, since shares near 1 become more likely.
    share = generator.random(2) ** style.edge_bias * generator.choice([-1, 1], 2)
    free = np.maximum(half - 0.12, 0.0) * (0.65 if is_round else 1.0)
    turn = axis_rotation((0.0, 0.0, 1.0), yaw)
    center = -turn[:2, :2] @ (share * free)
    pose = make_transform(turn, [*center, -thickness / 2])
    solid = Solid.of_mesh('table', 'table', top)
    return Table(solid, pose, half, is_round)


def sample_room(style: SurroundingsStyle, table: Table, generator: np.random.Generator) -> Room:
    """Return a random room around a table."""
    floor_z = -generator.uniform(*style.table_height)
    reach = np.abs(table.T_world_table[:2, :2]) @ table.half
    distances = generator.uniform(*style.wall_distance, 4)
    near = generator.random(4) < style.near_wall
    signed_center = np.concatenate([table.T_world_table[:2, 3], -table.T_world_table[:2, 3]])
    behind_table = np.tile(reach, 2) + signed_center + generator.uniform(0.0, 0.3, 4)
    distances = np.where(near, np.minimum(behind_table, distances), distances)
    low = np.array([-distances[2], -distances[3], floor_z])
    high = np.array([distances[0], distances[1], floor_z + _WALL_HEIGHT])
    solids, poses = _floor_and_walls(low, high)
    for _ in range(generator.integers(style.furniture[0], style.furniture[1] + 1)):
        solid, pose = _furniture(low, high, table, generator)
        solids.append(solid)
        poses.append(pose)
    return Room(tuple(solids), tuple(poses), low, high)


def sample_clutter(generator: np.random.Generator) -> Solid:
    """Return a small everyday solid: a book, box, roll, ball, sheet or vase-like thing."""
    kind = generator.choice(['box', 'flat', 'cylinder', 'ball', 'turned', 'stick'],
                            p=[0.35, 0.2, 0.15, 0.1, 0.12, 0.08])
    if kind == 'box':
        mesh = box(generator.uniform((0.03, 0.03, 0.03), (0.2, 0.14, 0.24)))
    elif kind == 'flat':
        mesh = box(generator.uniform((0.07, 0.05, 0.001), (0.3, 0.22, 0.035)))
    elif kind == 'cylinder':
        mesh = cylinder(generator.uniform(0.015, 0.06), generator.uniform(0.02, 0.22), 32)
    elif kind == 'ball':
        mesh = ellipsoid(generator.uniform(0.03, 0.12) * generator.uniform(0.7, 1.3, 3))
    elif kind == 'turned':
        count = int(generator.integers(4, 9))
        heights = np.linspace(0, generator.uniform(0.05, 0.25), count)
        radii = generator.uniform(0.015, 0.06) * (1 + 0.4 * generator.standard_normal(count))
        mesh = solid_of_revolution(np.clip(radii, 0.006, 0.09), heights, 24)
    else:
        lying = make_transform(axis_rotation((0.0, 1.0, 0.0), np.pi / 2), np.zeros(3))
        mesh = cylinder(generator.uniform(0.003, 0.012), generator.uniform(0.1, 0.3), 12
                        ).transformed(lying)
    return Solid.of_mesh(f'clutter {kind}', 'clutter', mesh)


def sample_board(generator: np.random.Generator) -> Placed:
    """Return a printed board that lies under the group of objects."""
    size = generator.uniform((0.3, 0.25, 0.002), (0.7, 0.6, 0.012))
    mesh = box(size)
    solid = Solid('clutter board', 'clutter', mesh, np.zeros(len(mesh.faces), np.int32),
                  ('board',), size)
    center, turn = generator.uniform(-0.1, 0.1, 2), axis_rotation((0.0, 0.0, 1.0),
                                                                  generator.uniform(0, 2 * np.pi))
    # Objects stand at z = 0: that the board is a hair higher is not to be seen.
    pose = make_transform(turn, [*center, _BOARD_TOP - size[2] / 2])
    return Placed(solid, pose, Footprint(center, turn[:2, :2].T, size[:2] / 2, _BOARD_TOP))


def _floor_and_walls(low: FloatArray, high: FloatArray) -> tuple[list[Solid], list[FloatArray]]:
    """Return the floor and four walls, normals inwards, centred in their own frames."""
    span, up = high - low, np.array([0.0, 0.0, 1.0])
    x, y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    planes = [('floor', low, span[0] * x, span[1] * y),
              ('wall', low, span[1] * y, span[2] * up),
              ('wall', low, span[2] * up, span[0] * x),
              ('wall', high, -span[2] * up, -span[1] * y),
              ('wall', high, -span[0] * x, -span[2] * up)]
    solids, poses = [], []
    for role, corner, first, second in planes:
        middle = corner + (first + second) / 2
        solids.append(Solid.of_mesh(role, role, rectangle(corner - middle, first, second)))
        poses.append(make_transform(np.eye(3), middle))
    return solids, poses


def _furniture(low: FloatArray, high: FloatArray, table: Table, generator: np.random.Generator
               ) -> tuple[Solid, FloatArray]:
    """Return one large thing that stands on the floor beside the table, or hangs on a wall."""
    for _ in range(30):
        size = generator.uniform((0.1, 0.1, 0.15), (0.9, 0.7, 1.9))
        spot = generator.uniform(low[:2], high[:2])
        if generator.random() < 0.6:
            side = int(generator.integers(2))
            spot[side] = (low, high)[int(generator.integers(2))][side]
        pose = make_transform(axis_rotation((0.0, 0.0, 1.0), generator.uniform(0, 2 * np.pi)),
                              [*spot, low[2] + size[2] / 2])
        radius = float(np.linalg.norm(size[:2])) / 2
        # The origin is kept clear so that furniture is never in the objects' way.
        beside = np.abs((spot - table.T_world_table[:2, 3]) @ table.T_world_table[:2, :2])
        is_clear = (beside > table.half + radius).any() and np.linalg.norm(spot) > radius + 0.35
        if is_clear or size[2] < -low[2] - 0.1:
            break
    kind = generator.random()
    if kind < 0.55:
        mesh = box(size)
    elif kind < 0.75:
        mesh = cylinder(size[0] / 2, size[2], 28)
    else:
        mesh = _shelf(size, generator)
    return Solid.of_mesh('furniture', 'clutter', mesh), pose


def _shelf(size: FloatArray, generator: np.random.Generator) -> Mesh:
    """Return boards with things of random size between them, centred on the origin."""
    boards = int(generator.integers(2, 5))
    levels = np.linspace(-0.5, 0.5, boards) * (size[2] - 0.02)
    parts = [box((size[0], size[1], 0.02)).transformed(make_transform(np.eye(3), [0, 0, z]))
             for z in levels]
    for z in levels[:-1]:
        for x in np.arange(-0.4, 0.41, 0.2) * size[0]:
            thing = generator.uniform((0.05, 0.2, 0.1), (0.18, 0.7, 0.8)) * (
                size[0], size[1], size[2] / boards)
            at = transform_points(np.eye(4), np.array([x, 0.0, z + thing[2] / 2]))
            parts.append(box(thing).transformed(make_transform(np.eye(3), at)))
    return concatenate(parts)
