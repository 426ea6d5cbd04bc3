"""Pictures of known objects whose truth is known without a renderer."""

from pathlib import Path

import numpy as np

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.mesh_archive import write_mesh_archive
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame
from pose_estimation_ros.training.mrc_objects import CadObject
from pose_estimation_ros.training.mrc_views import KIND, object_views, pack_views

K = np.array([[300.0, 0.0, 81.0], [0.0, 310.0, 58.0], [0.0, 0.0, 1.0]])
WIDTH, HEIGHT = 160, 120
# A lopsided solid of 8 to 12 cm.
CORNERS = np.array([[-0.05, -0.04, -0.03], [0.06, -0.04, -0.03], [0.0, 0.05, -0.03],
                    [0.01, 0.0, 0.05]], dtype=np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])


def wedge(name: str = 'wedge', scale: float = 1.0) -> CadObject:
    """Return an object without symmetries."""
    return CadObject(name, Mesh(scale * CORNERS, FACES), NO_SYMMETRY)


def spotted_frame(position: tuple[float, float, float] = (0.02, -0.03, 0.5),
                  half_size: int = 14, visibility: float = 1.0) -> SyntheticFrame:
    """Return a dim frame with a bright spot where an object's origin is, and a mask around it."""
    T = make_transform(axis_rotation([0.3, 0.5, 0.8], 0.9), np.array(position))
    u, v = (K @ T[:3, 3])[:2] / T[2, 3]
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    spot = np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 2.5 ** 2))
    rgb = np.repeat((40 + 200 * spot)[..., None], 3, axis=2).astype(np.uint8)
    left, top = round(u) - half_size, round(v) - half_size
    instances = np.zeros((HEIGHT, WIDTH), dtype=np.int16)
    instances[max(top, 0):top + 2 * half_size + 1, max(left, 0):left + 2 * half_size + 1] = 3
    rows, columns = np.nonzero(instances)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=float)
    instance = Instance(3, 'wedge', 'wedge', T, np.full(3, 0.1), visibility, {}, box, 1.0)
    frame = RGBDFrame(0, 'camera', rgb, None, CameraIntrinsics(WIDTH, HEIGHT, K))
    return SyntheticFrame(frame, None, instances, (instance,))


def store_views(folder: Path, names: tuple[str, ...] = ('cup', 'wedge'), count: int = 6,
                seed: int = 0) -> Path:
    """Write a folder of views of the last of the named objects, all of them wedges."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    views = [view for _ in range(count) for view in object_views(
        spotted_frame((*generator.uniform(-0.04, 0.04, 2), generator.uniform(0.4, 0.7))),
        names, 96)]
    write_mesh_archive(folder / 'meshes.npz', {name: wedge().mesh for name in names})
    categories = [Category(name, wedge().symmetry).as_plain() for name in names]
    write_shards(folder, 1, {'kind': KIND, 'categories': categories}, lambda _: pack_views(views))
    return folder
