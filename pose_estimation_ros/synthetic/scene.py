"""Random tabletop scenes: the objects to be found among other things, and a camera.

World frame: z up, table top at z = 0, metres. A scene depends only on its domain, split, seed
and source of objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.renderer import RayCaster
from pose_estimation_ros.synthetic.color_camera import ColorCamera, sample_color_camera
from pose_estimation_ros.synthetic.colors import luminance
from pose_estimation_ros.synthetic.depth_sensor import DepthSensor, sample_depth_sensor
from pose_estimation_ros.synthetic.layout import (
    KNOWN_OBJECTS,
    LAYOUT_STYLES,
    LayoutStyle,
    count,
    sample_stance,
)
from pose_estimation_ros.synthetic.lighting import Lighting, sample_lighting
from pose_estimation_ros.synthetic.materials import (
    Material,
    sample_colored_material,
    sample_material,
    sample_object_materials,
)
from pose_estimation_ros.synthetic.object_model import DOMAINS
from pose_estimation_ros.synthetic.object_source import ObjectSource, ProceduralObjects
from pose_estimation_ros.synthetic.placement import Placed, Stance, place_group, stack_on
from pose_estimation_ros.synthetic.solids import Solid, SolidCache
from pose_estimation_ros.synthetic.splits import BACKGROUND_ROLES, DISTRACTOR, ROOM_ROLES, SPLITS
from pose_estimation_ros.synthetic.surroundings import (
    DESKS,
    SURROUNDINGS_STYLES,
    Room,
    Table,
    sample_board,
    sample_clutter,
    sample_room,
    sample_table,
)
from pose_estimation_ros.synthetic.viewpoints import (
    KNOWN_OBJECT_VIEWS,
    VIEWPOINT_STYLES,
    View,
    ViewpointStyle,
    sample_view,
)

FloatArray = NDArray[np.float64]

# Scenes of neighbouring seeds draw from one pool of objects, since making objects costs.
SCENES_PER_POOL = 48
_POOL_SIZE = 10
# A pool draws its objects by numbers below this one.
_INSTANCES = 1_000_000
_CAMERA_CLEARANCE = 0.12
_LUMINANCE_SAMPLES = 12
# Share of coloured meshes that are seen in their colours, not in any material.
_OWN_COLORS = 0.9
_MIDDLE = np.full((1, 2), 1 / 3, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Body:
    """A solid in the world with its materials.

    Attributes:
        solid: What it is.
        T_world_object: (4, 4) where it is.
        domain: Whose materials it has.
        look_seed: What its materials are made from; they are made when they are first seen.
    """

    solid: Solid
    T_world_object: FloatArray
    domain: str
    look_seed: int

    @cached_property
    def materials(self) -> tuple[Material, ...]:
        """One material per part of the solid."""
        generator = np.random.default_rng(self.look_seed)
        roles = self.solid.part_names
        if self.solid.vertex_colors is not None and generator.random() < _OWN_COLORS:
            return tuple(sample_colored_material(self.domain, generator) for _ in roles)
        if self.solid.category in BACKGROUND_ROLES:
            return tuple(sample_material(role, self.domain, generator) for role in roles)
        return sample_object_materials(roles, self.domain, generator)

    @property
    def center(self) -> FloatArray:
        """(3,) origin of the solid, metres, world."""
        return self.T_world_object[:3, 3]

    @cached_property
    def part_luminance(self) -> NDArray[np.float32]:
        """(P,) float32 mean luminance of each part, 0 to 1."""
        values = np.zeros(len(self.materials), dtype=np.float32)
        points = self.solid.surface_samples
        part = self.solid.face_parts[points.faces]
        for number, material in enumerate(self.materials):
            chosen = np.flatnonzero(part == number)[:_LUMINANCE_SAMPLES]
            if chosen.size:
                own = self.solid.colors_at(points.faces[chosen], _MIDDLE)
                values[number] = luminance(material.albedo(
                    points.points[chosen], points.normals[chosen], self.solid.size, own)).mean()
        return values


@dataclass(frozen=True, eq=False)
class FaceTables:
    """All faces of a scene, body after body.

    Attributes:
        start: (B,) index of the first face of each body.
        corner_normals: (F, 3, 3) float32 shading normals of the faces' corners, world frame.
        parts: (F,) int32 part of its body that a face belongs to.
    """

    start: NDArray[np.intp]
    corner_normals: NDArray[np.float32]
    parts: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a camera can see, and the camera.

    Attributes:
        domain: 'primary' or 'second'.
        split: Where the objects are from.
        seed: What it was made from.
        categories: Names of all categories that the source of objects has.
        bodies: Everything; the instances of these categories first.
        instance_count: How many of `bodies` are instances. Instance k has id k + 1.
        lighting: The lights.
        room: Floor, walls and furniture.
        view: The camera.
        color_camera: Its imager.
        depth_sensor: Its depth sensor.
        viewpoints: How cameras are placed around it.
        has_sensor_depth: Whether its pictures have the depth sensor's faults. Those of known
            objects have none: they are for networks that look at colour only.
    """

    domain: str
    split: str
    seed: int
    categories: tuple[str, ...]
    bodies: tuple[Body, ...]
    instance_count: int
    lighting: Lighting
    room: Room
    view: View
    color_camera: ColorCamera
    depth_sensor: DepthSensor
    viewpoints: ViewpointStyle
    has_sensor_depth: bool

    @property
    def instances(self) -> tuple[Body, ...]:
        """The bodies that are to be found."""
        return self.bodies[:self.instance_count]

    @cached_property
    def face_tables(self) -> FaceTables:
        """What rendering looks up by face."""
        solids = [body.solid for body in self.bodies]
        # One product of tall matrices per body: stacks of 3x3 products are ten times slower.
        normals = [body.solid.corner_normals.reshape(-1, 3)
                   @ body.T_world_object[:3, :3].T.astype(np.float32) for body in self.bodies]
        counts = [len(solid.mesh.faces) for solid in solids]
        return FaceTables(np.cumsum([0, *counts[:-1]]), np.concatenate(normals).reshape(-1, 3, 3),
                          np.concatenate([solid.face_parts for solid in solids]))

    @cached_property
    def caster(self) -> RayCaster:
        """Caster of the whole scene in the world frame; hits name bodies by their index."""
        return Open3DRayCaster([body.solid.mesh.transformed(body.T_world_object)
                                for body in self.bodies])

    def generator(self, purpose: int) -> np.random.Generator:
        """Return a source of randomness of this scene for one numbered purpose."""
        return _generator(self.domain, self.split, self.seed, purpose)

    def views(self, count: int) -> tuple[View, ...]:
        """Return the scene's camera and others, `count` in all."""
        generator = self.generator(2)
        return (self.view, *(_view(self.viewpoints, self.bodies, self.instance_count, self.room,
                                   generator) for _ in range(count - 1)))

    def seen_from(self, view: View) -> Scene:
        """Return the same scene with another camera; what was built for casting is kept."""
        scene = replace(self, view=view)
        scene.__dict__.update(caster=self.caster, face_tables=self.face_tables)
        return scene


class SceneGenerator:
    """Makes scenes of one domain and split."""

    def __init__(self, domain: str, split: str, source: ObjectSource | None = None,
                 layout: LayoutStyle | None = None,
                 viewpoints: ViewpointStyle | None = None, lying: float | None = None) -> None:
        """Prepare empty object caches.

        Args:
            domain: 'primary', or 'second', which is made differently and never trained on.
            split: 'train', 'val' or 'test': which object instances appear.
            source: The objects to be found; None = the generated ones of the six categories.
            layout: What stands on the tables; None = as usual for the domain and the source.
            viewpoints: Where cameras stand; None likewise.
            lying: Share of objects that do not stand upright, 0 to 1; None = the layout's.

        Raises:
            ConfigurationError: If domain or split is unknown.
        """
        if domain not in DOMAINS or split not in SPLITS:
            raise ConfigurationError(
                f'unknown synthetic data {domain!r}, {split!r}; domains are '
                f'{", ".join(DOMAINS)}, splits are {", ".join(SPLITS)}')
        self.domain = domain
        self.split = split
        generated = ProceduralObjects(domain)
        source = generated if source is None else source
        self._categories = tuple(category.name for category in source.categories)
        self._is_known = source.is_known
        known = self._is_known
        layout = layout or (KNOWN_OBJECTS if known else LAYOUT_STYLES[domain])
        self._layout = layout if lying is None else layout.with_lying(lying)
        self._viewpoints = viewpoints or (KNOWN_OBJECT_VIEWS if known
                                          else VIEWPOINT_STYLES[domain])
        self._targets = SolidCache(source, split)
        self._generated = SolidCache(generated, split)

    def scene(self, seed: int) -> Scene:
        """Return the scene of a seed, 0 or more."""
        layout = _generator(self.domain, self.split, seed, 0)
        viewpoints = self._viewpoints
        surroundings = DESKS if self._is_known else SURROUNDINGS_STYLES[self.domain]
        table = sample_table(surroundings, layout)
        placed = self._furnish(self._layout, table, seed, layout)
        room = sample_room(surroundings, table, layout)
        looks = _generator(self.domain, self.split, seed, 1)
        # A stable sort: the instances come first.
        placed.sort(key=lambda thing: thing.solid.category not in self._categories)
        found = sum(thing.solid.category in self._categories for thing in placed)
        things = [(thing.solid, thing.T_world_object) for thing in placed]
        things += [(table.solid, table.T_world_table),
                   *zip(room.solids, room.poses, strict=True)]
        seeds = looks.integers(2 ** 63, size=len(things))
        bodies = [Body(solid, pose, self.domain, int(look))
                  for (solid, pose), look in zip(things, seeds, strict=True)]
        return Scene(
            self.domain, self.split, seed, self._categories, tuple(bodies), found,
            sample_lighting(self.domain, looks), room,
            _view(viewpoints, bodies, found, room, layout),
            sample_color_camera(self.domain, looks), sample_depth_sensor(self.domain, looks),
            viewpoints, not self._is_known)

    def _furnish(self, style: LayoutStyle, table: Table, seed: int,
                 generator: np.random.Generator) -> list[Placed]:
        """Return what is on the table: a group around the origin, and things elsewhere."""
        targets = [self._object(name, seed, generator)
                   for name in self._target_names(style, generator)]
        others = [self._object(DISTRACTOR, seed, generator)
                  for _ in range(count(style.distractors, generator))]
        others += [sample_clutter(generator) for _ in range(count(style.clutter, generator))]
        if style.strangers[1]:
            others += [self._stranger(seed, generator)
                       for _ in range(count(style.strangers, generator))]
        mixed = targets[1:] + others
        shuffled = [mixed[index] for index in generator.permutation(len(mixed))]
        group = [sample_stance(solid, style, generator) for solid in [targets[0], *shuffled]]
        is_stacked = generator.random(len(group)) < style.stacked
        is_stacked[0] = False
        standing = [stance for stance, up in zip(group, is_stacked, strict=True) if not up]
        stacked = [stance for stance, up in zip(group, is_stacked, strict=True) if up]
        placed = self._placed_group(standing, style, table, generator)
        for stance in stacked:
            below = placed[generator.integers(len(placed))]
            if below.footprint.half.min() > 0.03 and below.footprint.top < 0.2:
                placed.append(stack_on(stance, below, generator))
        scattered = [self._anything(seed, generator)
                     for _ in range(count(style.scattered, generator))]
        reach = max(4.0, 3.0 / max(np.sqrt(len(scattered)), 1.0) * 4.0)
        placed += place_group([sample_stance(solid, style, generator) for solid in scattered],
                              reach, table.holds, generator, placed)
        if style.board and generator.random() < style.board:
            placed.append(sample_board(generator))
        return placed

    def _placed_group(self, stances: Sequence[Stance], style: LayoutStyle, table: Table,
                      generator: np.random.Generator) -> list[Placed]:
        """Put things around the origin, all mixed, or the objects to be found in the middle."""
        spacing = generator.uniform(*style.spacing)
        if not style.gathered or generator.random() >= style.gathered:
            return place_group(stances, spacing, table.holds, generator)
        targets = [stance for stance in stances if stance.solid.category in self._categories]
        others = [stance for stance in stances if stance.solid.category not in self._categories]
        placed = place_group(targets, spacing, table.holds, generator)
        return placed + place_group(others, 1.5, table.holds, generator, placed)

    def _target_names(self, style: LayoutStyle, generator: np.random.Generator) -> Iterator[str]:
        """Yield the categories of the objects to be found; known ones occur once each.

        One by one: each object is drawn before the next category, as in all scenes so far.
        """
        if not self._is_known:
            for _ in range(count(style.targets, generator)):
                yield str(generator.choice(self._categories))
            return
        low, high = (min(limit, len(self._categories)) for limit in style.targets)
        for index in generator.permutation(len(self._categories))[:count((low, high), generator)]:
            yield self._categories[index]

    def _stranger(self, seed: int, generator: np.random.Generator) -> Solid:
        """Return an object of the six categories that is not to be found."""
        names = [name for name in CATEGORY_NAMES if name not in self._categories]
        return self._object(str(generator.choice(names)) if names else DISTRACTOR, seed,
                            generator)

    def _anything(self, seed: int, generator: np.random.Generator) -> Solid:
        kind = generator.random()
        if kind < 0.3:
            return sample_clutter(generator)
        if kind < 0.55:
            return self._object(DISTRACTOR, seed, generator)
        if self._is_known:
            return self._stranger(seed, generator)
        return self._object(str(generator.choice(self._categories)), seed, generator)

    def _object(self, category: str, seed: int, generator: np.random.Generator) -> Solid:
        pool = _generator(self.domain, self.split, seed // SCENES_PER_POOL, 3)
        members = pool.integers(_INSTANCES, size=_POOL_SIZE)
        chosen = int(members[generator.integers(_POOL_SIZE)])
        cache = self._targets if category in self._categories else self._generated
        return cache.get(category, chosen)


def _generator(domain: str, split: str, seed: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng((DOMAINS.index(domain), SPLITS.index(split), seed, purpose))


def _view(style: ViewpointStyle, bodies: Sequence[Body], instance_count: int, room: Room,
          generator: np.random.Generator) -> View:
    """Return a random camera that looks at the instances and stands in free space."""
    things = [body for body in bodies if body.solid.category not in ROOM_ROLES]
    centers = np.stack([body.center for body in things])
    radii = np.array([body.solid.diagonal / 2 for body in things])

    def is_free(point: FloatArray) -> bool:
        off = np.linalg.norm(centers - point, axis=1) - radii
        return bool(point[2] > 0.03 and (off > _CAMERA_CLEARANCE).all()
                    and room.contains(point, 0.1))

    return sample_view(style, centers[:max(instance_count, 1)], is_free,
                       generator)
