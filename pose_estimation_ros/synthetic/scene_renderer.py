"""Rendering of synthetic scenes: surfaces by ray casting, colour, depth, and the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.se3 import inverse, transform_points
from pose_estimation_ros.rendering.renderer import RayHits, Rays, Window, camera_rays
from pose_estimation_ros.synthetic.color_camera import Excerpt, develop, metered_light
from pose_estimation_ros.synthetic.colors import luminance
from pose_estimation_ros.synthetic.depth_sensor import simulate_depth
from pose_estimation_ros.synthetic.lighting import background_color, shade
from pose_estimation_ros.synthetic.scene import Body, Scene
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame
from pose_estimation_ros.synthetic.viewpoints import View

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

FRAME_ID = 'camera_color_optical_frame'

_SHADOW_REACH = 1.2
_SHADOW_LIFT = 0.0015
_SHADOW_STRIDE = 2
_SHADOW_BLUR = 12.0
# Windows of single objects are sampled no finer than this for shares of visible pixels.
_SHARE_SAMPLES = 96
_MAX_PARTS = 32
# Of so many columns and rows one is metered where the whole image is not rendered.
_METERED = 16


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What the pixels of a view show.

    Attributes:
        view: The camera.
        window: The pixels.
        rays: (H, W) rays in the world frame; distances along them are depths.
        hits: What they hit; meshes are bodies of the scene.
        normals: (H, W, 3) float32 shading normals, world frame, not turned to the camera.
        part: (H, W) int32 part of the body that is hit.
    """

    view: View
    window: Window
    rays: Rays
    hits: RayHits
    normals: Float32Array
    part: NDArray[np.int32]

    @cached_property
    def depth(self) -> Float32Array:
        """(H, W) float32 metres along z, NaN where nothing is hit."""
        distance = self.hits.distance
        return np.asarray(np.where(np.isfinite(distance), distance, np.float32(np.nan)))

    @cached_property
    def view_directions(self) -> Float32Array:
        """(H, W, 3) float32 unit vectors from the surfaces to the camera, world frame."""
        directions = self.rays.directions
        length = np.sqrt(np.einsum('hwc,hwc->hw', directions, directions))
        return np.asarray(directions / -length[..., None])

    def cut(self, window: Window) -> Surfaces:
        """Return what a window shows of surfaces that were cast for the whole image."""
        rays = Rays(_cut(self.rays.origins, window), _cut(self.rays.directions, window))
        hits = RayHits(*(_cut(value, window) for value in (
            self.hits.distance, self.hits.mesh, self.hits.face, self.hits.barycentric,
            self.hits.normal)))
        return Surfaces(self.view, window, rays, hits, _cut(self.normals, window),
                        _cut(self.part, window))

    def cosine(self) -> Float32Array:
        """Return the (H, W) absolute cosine between normals and viewing rays."""
        return np.abs(np.einsum('hwc,hwc->hw', self.normals, self.view_directions))


def cast_view(scene: Scene, view: View, window: Window | None = None) -> Surfaces:
    """Return what the pixels of a view, or of a window of it, show."""
    pixels = Window.full(view.intrinsics) if window is None else window
    rays = camera_rays(view.intrinsics, view.T_world_camera, pixels)
    hits = scene.caster.cast(rays)
    tables = scene.face_tables
    # Where nothing is hit, the first face stands in; nobody looks at it.
    is_hit = hits.mesh >= 0
    face = np.where(is_hit, tables.start[np.maximum(hits.mesh, 0)] + hits.face, 0)
    return Surfaces(view, pixels, rays, hits,
                    _interpolate(tables.corner_normals[face], hits.barycentric),
                    np.where(is_hit, tables.parts[face], 0).astype(np.int32))


def render_frame(scene: Scene, resolution: tuple[int, int] = (640, 480),
                 exposure: int = 0) -> SyntheticFrame:
    """Return what the scene's camera delivers, and the truth.

    Args:
        scene: What to look at.
        resolution: Width and height, pixels.
        exposure: Number of the picture; the noise of the sensors depends on it.
    """
    view = scene.view.resized(*resolution)
    surfaces = cast_view(scene, view)
    generator = scene.generator(1000 + exposure)
    looks = _Looks.of(scene, surfaces)
    linear = _shade(scene, surfaces, looks, generator)
    rgb = develop(linear, scene.color_camera, generator)
    depth = surfaces.depth
    if scene.has_sensor_depth:
        depth = simulate_depth(depth, surfaces.cosine(), luminance(looks.albedo), looks.gloss,
                               view.intrinsics, scene.depth_sensor, generator)
    instance_map = np.where(surfaces.hits.mesh < scene.instance_count, surfaces.hits.mesh + 1,
                            0).astype(np.int16)
    instances = [_instance(body, index, surfaces, instance_map)
                 for index, body in enumerate(scene.instances)]
    return SyntheticFrame(RGBDFrame(0, FRAME_ID, rgb, depth, view.intrinsics), surfaces.depth,
                          instance_map, tuple(item for item in instances if item is not None))


def window_rgb(scene: Scene, surfaces: Surfaces, light: float,
               generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return the (H, W, 3) uint8 colours of a window, as `render_frame` would show them.

    Args:
        scene: What to look at.
        surfaces: What the window shows.
        light: What the camera's exposure is set by, see `view_light`.
        generator: Source of the camera's noise.
    """
    full, window = surfaces.view.intrinsics, surfaces.window
    excerpt = Excerpt(window.x // window.stride, window.y // window.stride,
                      full.width // window.stride, full.height // window.stride, light)
    linear = _shade(scene, surfaces, _Looks.of(scene, surfaces), generator)
    return develop(linear, scene.color_camera, generator, excerpt)


def view_light(scene: Scene, view: View, generator: np.random.Generator) -> float:
    """Return what a camera's exposure is set by, of a view of which only windows are shown."""
    full = view.intrinsics
    coarse = Window(0, 0, full.width // _METERED, full.height // _METERED, _METERED)
    surfaces = cast_view(scene, view, coarse)
    return metered_light(_shade(scene, surfaces, _Looks.of(scene, surfaces), generator))


@dataclass(frozen=True, eq=False)
class _Looks:
    """Material values per pixel: albedo (H, W, 3) linear RGB; the others (H, W)."""

    albedo: Float32Array
    gloss: Float32Array
    metallic: Float32Array
    specular: Float32Array

    @classmethod
    def of(cls, scene: Scene, surfaces: Surfaces) -> _Looks:
        """Evaluate the materials of all surfaces in view."""
        shape = surfaces.hits.mesh.shape
        albedo = np.zeros((shape[0] * shape[1], 3), dtype=np.float32)
        scalars = np.zeros((len(scene.bodies) * _MAX_PARTS, 3), dtype=np.float32)
        points = surfaces.rays.at(surfaces.hits.distance).reshape(-1, 3)
        normals = surfaces.normals.reshape(-1, 3)
        faces, barycentric = surfaces.hits.face.ravel(), surfaces.hits.barycentric.reshape(-1, 2)
        key = _surface_keys(surfaces)
        for surface, chosen in _pixels_by_value(key):
            body = scene.bodies[surface // _MAX_PARTS]
            material = body.materials[surface % _MAX_PARTS]
            R = body.T_world_object[:3, :3].astype(np.float32)
            own = (points[chosen] - body.center.astype(np.float32)) @ R
            colors = body.solid.colors_at(faces[chosen], barycentric[chosen])
            albedo[chosen] = material.albedo(own, normals[chosen] @ R, body.solid.size, colors)
            scalars[surface] = material.gloss, material.metallic, material.specular
        of_pixel = scalars[np.maximum(key, 0)]
        return cls(albedo.reshape(*shape, 3), of_pixel[..., 0], of_pixel[..., 1],
                   of_pixel[..., 2])


def _shade(scene: Scene, surfaces: Surfaces, looks: _Looks,
           generator: np.random.Generator) -> Float32Array:
    """Return the (H, W, 3) linear light that reaches the camera."""
    is_hit = surfaces.hits.mesh >= 0
    points = surfaces.rays.at(np.where(is_hit, surfaces.hits.distance, np.float32(1.0)))
    lit = _light_visibility(scene, surfaces, points, generator)
    linear = shade(
        scene.lighting, looks.albedo.reshape(-1, 3), surfaces.normals.reshape(-1, 3),
        surfaces.view_directions.reshape(-1, 3), points.reshape(-1, 3), looks.gloss.ravel(),
        looks.metallic.ravel(), looks.specular.ravel(), lit.reshape(-1, lit.shape[-1])
    ).reshape(points.shape)
    if not is_hit.all():
        linear[~is_hit] = background_color(scene.lighting, -surfaces.view_directions[~is_hit])
    return linear


def _light_visibility(scene: Scene, surfaces: Surfaces, points: Float32Array,
                      generator: np.random.Generator) -> Float32Array:
    """Return the (H, W, L) share of each key light that reaches the surfaces.

    One ray goes from every second pixel to a random point of the light; a small blur makes the
    noise a soft shadow. Rays end before they reach the room's walls.
    """
    coarse = (slice(None, None, _SHADOW_STRIDE),) * 2
    normal = surfaces.hits.normal[coarse]
    facing = np.einsum('hwc,hwc->hw', normal, surfaces.view_directions[coarse])
    outward = normal * np.copysign(np.float32(_SHADOW_LIFT), facing)[..., None]
    origins = points[coarse] + outward
    shares = []
    for direction, radius in zip(scene.lighting.key_directions, scene.lighting.key_radii,
                                 strict=True):
        jitter = generator.uniform(-radius, radius, origins.shape).astype(np.float32)
        towards = np.float32(_SHADOW_REACH) * (direction + jitter)
        lit = 1.0 - scene.caster.occluded(Rays(origins, towards)).astype(np.float32)
        # Wide lights give noisier penumbras, which are also wider.
        side = 3 + 2 * int(_SHADOW_BLUR * radius)
        soft = cv2.blur(lit, (side, side))
        shares.append(cv2.resize(soft, points.shape[1::-1], interpolation=cv2.INTER_LINEAR))
    return np.stack(shares, axis=-1)


@dataclass(frozen=True, eq=False)
class Visibility:
    """How much of one body is to be seen.

    Attributes:
        whole: Share of the body's pixels in the image that nothing covers, 0 to 1.
        parts: The same for single parts, each seen alone.
        handle: Pixels of the surfaces that show its handle; all False if it has none.
    """

    whole: float
    parts: dict[str, float]
    handle: NDArray[np.bool_]


def visibility_of(body: Body, surfaces: Surfaces, mask: NDArray[np.bool_]) -> Visibility:
    """Return how much of a body is to be seen, by casting rays at it alone.

    Args:
        body: What to judge.
        surfaces: What a view or window shows; all of the body in the image must lie within.
        mask: Pixels of the surfaces that show the body.
    """
    step = max(1, max(mask.shape) // _SHARE_SAMPLES)
    view, window = surfaces.view, surfaces.window
    own_frame = inverse(body.T_world_object) @ view.T_world_camera
    coarse = Window(window.x, window.y, -(-window.width // step), -(-window.height // step),
                    window.stride * step)
    rays = camera_rays(view.intrinsics, own_frame, coarse)
    seen = mask[::step, ::step]
    whole = _share(seen, body.solid.caster.distances(rays))
    parts, handle = {}, np.zeros_like(mask)
    for name, caster in body.solid.part_casters.items():
        of_part = mask & (surfaces.part == body.solid.part_names.index(name))
        parts[name] = _share(of_part[::step, ::step], caster.distances(rays))
        if name == 'handle':
            handle = of_part
    return Visibility(whole, parts, handle)


def _share(seen: NDArray[np.bool_], distance_alone: Float32Array) -> float:
    alone = int(np.isfinite(distance_alone).sum())
    return min(int(seen.sum()) / alone, 1.0) if alone else 0.0


def body_looks(scene: Scene, surfaces: Surfaces) -> tuple[Float32Array, Float32Array]:
    """Return (H, W) mean luminance and gloss of the materials in view, one value per part."""
    values = np.zeros((len(scene.bodies) * _MAX_PARTS, 2), dtype=np.float32)
    key = _surface_keys(surfaces)
    for surface in np.flatnonzero(np.bincount(key[key >= 0])):
        body, part = scene.bodies[surface // _MAX_PARTS], surface % _MAX_PARTS
        values[surface] = body.part_luminance[part], body.materials[part].gloss
    of_pixel = values[np.maximum(key, 0)]
    return of_pixel[..., 0], of_pixel[..., 1]


def _instance(body: Body, index: int, surfaces: Surfaces,
              instance_map: NDArray[np.int16]) -> Instance | None:
    """Return the truth about one instance, or None if it is outside the image."""
    view = surfaces.view
    window = object_window(body, view)
    in_image = share_in_image(body, view)
    if window is None or in_image == 0.0:
        return None
    mask = _cut(instance_map, window) == index + 1
    seen = visibility_of(body, surfaces.cut(window), mask)
    rows, columns = np.nonzero(mask)
    box = np.zeros(4)
    if rows.size:
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                       ) + (window.x, window.y, window.x, window.y)
    return Instance(index + 1, body.solid.category, body.solid.name,
                    inverse(view.T_world_camera) @ body.T_world_object, body.solid.size,
                    seen.whole, seen.parts, box.astype(np.float64), in_image)


def object_window(body: Body, view: View, margin: float = 0.0) -> Window | None:
    """Return the pixels around a body, clipped to the image, or None if it is not in view.

    Args:
        body: What to look at.
        view: The camera.
        margin: Width added on each side, as a share of the window's larger side.
    """
    points = _in_camera(body, view)
    points = points[points[:, 2] > 0.02]
    if not len(points):
        return None
    uv = view.intrinsics.project(points)
    low, high = uv.min(axis=0), uv.max(axis=0)
    border = margin * float((high - low).max()) + 1.0
    limit = (view.intrinsics.width, view.intrinsics.height)
    start = np.clip(np.floor(low - border), 0, limit).astype(int)
    stop = np.clip(np.ceil(high + border) + 1, 0, limit).astype(int)
    if (stop - start < 2).any():
        return None
    return Window(int(start[0]), int(start[1]), *(int(x) for x in stop - start))


def share_in_image(body: Body, view: View) -> float:
    """Return the share of a body's surface that projects into the image, 0 to 1."""
    points = transform_points(inverse(view.T_world_camera) @ body.T_world_object,
                              body.solid.model_points[::4] * body.solid.diagonal)
    return float(_is_in_image(points, view.intrinsics).mean())


def _is_in_image(points: FloatArray, intrinsics: CameraIntrinsics) -> NDArray[np.bool_]:
    uv = intrinsics.project(np.where(points[:, 2:] > 0.02, points, (0.0, 0.0, 1.0)))
    return np.asarray((points[:, 2] > 0.02) & (uv > -0.5).all(axis=1)
                      & (uv < (intrinsics.width - 0.5, intrinsics.height - 0.5)).all(axis=1))


def _in_camera(body: Body, view: View) -> FloatArray:
    return transform_points(inverse(view.T_world_camera) @ body.T_world_object,
                            body.solid.mesh.vertices)


def _cut(image: NDArray[Any], window: Window) -> NDArray[Any]:
    return image[window.y:window.y + window.height, window.x:window.x + window.width]


def _surface_keys(surfaces: Surfaces) -> NDArray[np.int16]:
    """Return for each pixel body * _MAX_PARTS + part, or -1."""
    key = surfaces.hits.mesh * _MAX_PARTS + surfaces.part
    return np.where(surfaces.hits.mesh >= 0, key, -1).astype(np.int16)


def _pixels_by_value(image: NDArray[np.int16]) -> list[tuple[int, NDArray[np.intp]]]:
    """Return (value, flat pixel indices) of all values that occur, less the negative ones."""
    flat = image.ravel()
    # A stable sort of 16-bit numbers is a radix sort: linear in the number of pixels.
    order = np.argsort(flat, kind='stable')
    starts = np.flatnonzero(np.diff(flat[order], prepend=np.int16(-2)))
    groups = np.split(order, starts[1:])
    return [(int(flat[group[0]]), group) for group in groups if flat[group[0]] >= 0]


def _interpolate(corner_normals: Float32Array, barycentric: Float32Array) -> Float32Array:
    """Return (..., 3) unit normals from the (..., 3, 3) ones of the face corners."""
    u, v = barycentric[..., 0:1], barycentric[..., 1:2]
    normal = corner_normals[..., 0, :] * (1 - u - v)
    normal += corner_normals[..., 1, :] * u
    normal += corner_normals[..., 2, :] * v
    length = np.sqrt(np.einsum('...c,...c->...', normal, normal))[..., None]
    normal /= np.maximum(length, 1e-12)
    return normal
