"""Rendering of synthetic scenes: surfaces by ray casting, colour, depth, and the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.se3 import inverse, transform_points
from pose_estimation_ros.rendering.renderer import RayHits, Rays, Window, camera_rays
from pose_estimation_ros.synthetic.color_camera import develop
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
_SHADOW_BLUR = 5
# Windows of single objects are sampled no finer than this for shares of visible pixels.
_SHARE_SAMPLES = 96


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

    @property
    def depth(self) -> Float32Array:
        """(H, W) float32 metres along z, NaN where nothing is hit."""
        return np.where(np.isfinite(self.hits.distance), self.hits.distance, np.float32(np.nan))

    @property
    def view_directions(self) -> Float32Array:
        """(H, W, 3) float32 unit vectors from the surfaces to the camera, world frame."""
        directions = self.rays.directions
        length = np.sqrt(np.einsum('hwc,hwc->hw', directions, directions))
        return np.asarray(-directions / length[..., None])

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
    depth = simulate_depth(surfaces.depth, surfaces.cosine(), luminance(looks.albedo),
                           looks.gloss, view.intrinsics, scene.depth_sensor, generator)
    instance_map = np.where(surfaces.hits.mesh < scene.instance_count, surfaces.hits.mesh + 1,
                            0).astype(np.int16)
    instances = [_instance(body, index, surfaces, instance_map)
                 for index, body in enumerate(scene.instances)]
    return SyntheticFrame(RGBDFrame(0, FRAME_ID, rgb, depth, view.intrinsics), surfaces.depth,
                          instance_map, tuple(item for item in instances if item is not None))


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
        albedo = np.zeros((*shape, 3), dtype=np.float32)
        gloss, metallic, specular = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        points = surfaces.rays.at(surfaces.hits.distance).reshape(-1, 3)
        normals, part = surfaces.normals.reshape(-1, 3), surfaces.part.ravel()
        for index, of_body in _pixels_by_body(surfaces.hits.mesh, len(scene.bodies)):
            body = scene.bodies[index]
            R = body.T_world_object[:3, :3].astype(np.float32)
            for number, material in enumerate(body.materials):
                chosen = of_body[part[of_body] == number]
                if not chosen.size:
                    continue
                own = (points[chosen] - body.center.astype(np.float32)) @ R
                albedo.reshape(-1, 3)[chosen] = material.albedo(
                    own, normals[chosen] @ R, body.solid.size)
                for target, value in ((gloss, material.gloss), (metallic, material.metallic),
                                      (specular, material.specular)):
                    target.ravel()[chosen] = value
        return cls(albedo, gloss, metallic, specular)


def _shade(scene: Scene, surfaces: Surfaces, looks: _Looks,
           generator: np.random.Generator) -> Float32Array:
    """Return the (H, W, 3) linear light that reaches the camera."""
    is_hit = surfaces.hits.mesh >= 0
    linear = np.empty((*is_hit.shape, 3), dtype=np.float32)
    points = surfaces.rays.at(np.where(is_hit, surfaces.hits.distance, np.float32(1.0)))
    lit = _light_visibility(scene, surfaces, points, generator)
    linear[is_hit] = shade(
        scene.lighting, looks.albedo[is_hit], surfaces.normals[is_hit],
        surfaces.view_directions[is_hit], points[is_hit], looks.gloss[is_hit],
        looks.metallic[is_hit], looks.specular[is_hit], lit[is_hit])
    if not is_hit.all():
        linear[~is_hit] = background_color(scene.lighting, -surfaces.view_directions[~is_hit])
    return linear


def _light_visibility(scene: Scene, surfaces: Surfaces, points: Float32Array,
                      generator: np.random.Generator) -> Float32Array:
    """Return the (H, W, L) share of each key light that reaches the surfaces.

    One ray per pixel goes to a random point of the light; a small blur makes the noise a soft
    shadow. Rays end before they reach the room's walls.
    """
    facing = np.einsum('hwc,hwc->hw', surfaces.hits.normal, surfaces.view_directions)
    outward = surfaces.hits.normal * np.sign(facing)[..., None]
    origins = points + np.float32(_SHADOW_LIFT) * outward
    shares = []
    for direction, radius in zip(scene.lighting.key_directions, scene.lighting.key_radii,
                                 strict=True):
        spread = radius * generator.standard_normal(points.shape, dtype=np.float32) * 0.6
        blocked = scene.caster.occluded(Rays(origins, _SHADOW_REACH * (direction + spread)))
        shares.append(cv2.blur(1.0 - blocked.astype(np.float32), (_SHADOW_BLUR, _SHADOW_BLUR)))
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
    luminances = np.zeros(surfaces.hits.mesh.shape, dtype=np.float32)
    gloss = np.zeros_like(luminances)
    for index, of_body in _pixels_by_body(surfaces.hits.mesh, len(scene.bodies)):
        body = scene.bodies[index]
        part = surfaces.part.ravel()[of_body]
        luminances.ravel()[of_body] = body.part_luminance[part]
        gloss.ravel()[of_body] = np.array([m.gloss for m in body.materials], np.float32)[part]
    return luminances, gloss


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


def _pixels_by_body(mesh: NDArray[np.int32], count: int) -> list[tuple[int, NDArray[np.intp]]]:
    """Return (body, flat pixel indices) of every body that is hit."""
    order = np.argsort(mesh, axis=None, kind='stable')
    bounds = np.searchsorted(mesh.ravel()[order], np.arange(count + 1))
    return [(index, order[bounds[index]:bounds[index + 1]]) for index in range(count)
            if bounds[index + 1] > bounds[index]]


def _interpolate(corner_normals: Float32Array, barycentric: Float32Array) -> Float32Array:
    """Return (..., 3) unit normals from the (..., 3, 3) ones of the face corners."""
    u, v = barycentric[..., 0:1], barycentric[..., 1:2]
    normal = corner_normals[..., 0, :] * (1 - u - v)
    normal += corner_normals[..., 1, :] * u
    normal += corner_normals[..., 2, :] * v
    length = np.sqrt(np.einsum('...c,...c->...', normal, normal))[..., None]
    normal /= np.maximum(length, 1e-12)
    return normal
