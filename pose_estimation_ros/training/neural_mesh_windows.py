"""Windows of pictures at any scale, turn and side, with textures where the picture ends.

Source: the object-centred scale augmentation with padding textures of spec 2.6; ours are made by
`synthetic.patterns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic import patterns
from pose_estimation_ros.synthetic.textures import Surface
from pose_estimation_ros.training.maskrcnn_augmentation import augment_color
from pose_estimation_ros.training.mrc_augmentation import patch_shape
from pose_estimation_ros.training.object_pictures import ObjectPicture

FloatArray = NDArray[np.float64]

# What stands before the objects, in the map of objects.
COVERED = 255
# Pictures are seen as if they were so wide.
STANDARD_WIDTH = 640
_TEXTURES, _TEXTURE_SIDE = 48, 96
_MAKERS = ((3.0, patterns.clouds), (2.0, patterns.speckle), (2.0, patterns.wood),
           (1.0, patterns.marble), (2.0, patterns.weave), (2.0, patterns.tiles),
           (1.0, patterns.plain))
_MOST_PATCHES = 3


@dataclass(frozen=True)
class WindowSettings:
    """How windows are drawn.

    Attributes:
        width: Of a window, pixels.
        height: Of a window, pixels.
        scales: Least and greatest factor of the scale, beside that of a picture `STANDARD_WIDTH`
            pixels wide.
        sides: Least and greatest longer side of the object in the middle, pixels.
        shift: How far its middle comes to lie off that of the window, as share of the window.
        turned: Largest turn of the picture, radians.
        mirrored: Chance of a mirror image.
        colors: Chance that colours are changed.
        patches: Chance that textured patches stand before the objects.
    """

    width: int = 224
    height: int = 224
    scales: tuple[float, float] = (0.55, 1.45)
    sides: tuple[float, float] = (28.0, 260.0)
    shift: float = 0.3
    turned: float = 0.2
    mirrored: float = 0.5
    colors: float = 0.8
    patches: float = 0.3


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a picture.

    Attributes:
        rgb: (h, w, 3) uint8.
        object_map: (h, w) uint8, 0 = no object, `COVERED`, or an object's id.
        from_picture: (2, 3) affine map from pixels of the picture to those of the window.
        mirrored: Whether it is a mirror image.
    """

    rgb: NDArray[np.uint8]
    object_map: NDArray[np.uint8]
    from_picture: FloatArray
    mirrored: bool

    @property
    def scale(self) -> float:
        """Window pixels per picture pixel."""
        return float(np.sqrt(abs(np.linalg.det(self.from_picture[:, :2]))))


def random_window(picture: ObjectPicture, focus: int, settings: WindowSettings,
                  generator: np.random.Generator) -> Window:
    """Return a changed window around an object.

    Args:
        picture: What is shown.
        focus: Which of its objects is in the middle.
        settings: How windows are drawn.
        generator: Source of randomness.
    """
    box = picture.objects.box[focus]
    side = float((box[2:] - box[:2]).max())
    natural = STANDARD_WIDTH / picture.rgb.shape[1]
    low, high = np.log(settings.scales)
    scale = natural * float(np.exp(generator.uniform(low, high)))
    scale = float(np.clip(scale, settings.sides[0] / side, settings.sides[1] / side))
    shift = settings.shift * generator.uniform(-1.0, 1.0, 2) * (settings.width, settings.height)
    affine = _affine(box, scale, float(generator.uniform(-1.0, 1.0)) * settings.turned, shift,
                     (settings.width, settings.height))
    mirrored = bool(generator.random() < settings.mirrored)
    if mirrored:
        affine[0] = -affine[0]
        affine[0, 2] += settings.width - 1
    window = _cut(picture, affine, (settings.width, settings.height), generator,
                  mirrored=mirrored)
    rgb, object_map = window.rgb, window.object_map
    if generator.random() < settings.patches:
        rgb, object_map = _with_patches(rgb, object_map, side * scale, generator)
    if generator.random() < settings.colors:
        rgb = augment_color(rgb, object_map.astype(np.int16), generator)
    return Window(rgb, object_map, affine, mirrored)


def plain_window(picture: ObjectPicture, focus: int, settings: WindowSettings) -> Window:
    """Return an unchanged window around an object, as seen `STANDARD_WIDTH` pixels wide."""
    box = picture.objects.box[focus]
    scale = STANDARD_WIDTH / picture.rgb.shape[1]
    scale = min(scale, settings.sides[1] / float((box[2:] - box[:2]).max()))
    size = settings.width, settings.height
    return _cut(picture, _affine(box, scale, 0.0, np.zeros(2), size), size,
                np.random.default_rng(focus), mirrored=False)


def _affine(box: FloatArray, scale: float, angle: float, shift: FloatArray,
            size: tuple[int, int]) -> FloatArray:
    """Return the map that brings the middle of a box near that of the window."""
    middle = 0.5 * (box[:2] + box[2:]) - 0.5
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    target = 0.5 * np.array(size) - 0.5 + shift
    return np.column_stack([linear, target - linear @ middle])


def _cut(picture: ObjectPicture, affine: FloatArray, size: tuple[int, int],
         generator: np.random.Generator, *, mirrored: bool) -> Window:
    # Smaller pictures would show what a lens blurs.
    rgb, before = picture.rgb, affine
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if scale < 0.7:
        target = tuple(max(1, round(scale * side)) for side in rgb.shape[1::-1])
        factors = np.array(target) / rgb.shape[1::-1]
        rgb = np.asarray(cv2.resize(rgb, target, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        back = np.column_stack([np.diag(1.0 / factors), 0.5 / factors - 0.5])
        before = np.column_stack([affine[:, :2] @ back[:, :2],
                                  affine[:, :2] @ back[:, 2] + affine[:, 2]])
    shown = cv2.warpAffine(rgb, before, size, flags=cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(picture.rgb.shape[:2], np.uint8), affine, size,
                            flags=cv2.INTER_NEAREST)
    object_map = cv2.warpAffine(picture.object_map, affine, size, flags=cv2.INTER_NEAREST)
    if not inside.all():
        shown = np.where(inside[..., None] > 0, shown, _padding(size, generator))
    return Window(np.asarray(shown, dtype=np.uint8), np.asarray(object_map, dtype=np.uint8),
                  affine, mirrored)


def _with_patches(rgb: NDArray[np.uint8], object_map: NDArray[np.uint8], side: float,
                  generator: np.random.Generator
                  ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Put textured patches before the scene, as large as parts of the object in the middle."""
    rgb, object_map = rgb.copy(), object_map.copy()
    height, width = object_map.shape
    for _ in range(int(generator.integers(1, _MOST_PATCHES + 1))):
        w, h = (int(np.clip(side * share, 6, min(width, height) - 1))
                for share in generator.uniform(0.2, 0.8, 2))
        x, y = int(generator.integers(0, width - w)), int(generator.integers(0, height - h))
        area = (slice(y, y + h), slice(x, x + w))
        shape = patch_shape((h, w), generator) > 0
        rgb[area][shape] = _padding((w, h), generator)[shape]
        object_map[area][shape] = COVERED
    return rgb, object_map


def _padding(size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return a (height, width, 3) part of a random texture."""
    texture = padding_textures()[int(generator.integers(_TEXTURES))]
    side = int(generator.integers(_TEXTURE_SIDE // 3, _TEXTURE_SIDE + 1))
    return np.asarray(cv2.resize(texture[:side, :side], size, interpolation=cv2.INTER_LINEAR),
                      dtype=np.uint8)


@lru_cache(maxsize=1)
def padding_textures() -> NDArray[np.uint8]:
    """Return (T, S, S, 3) uint8 pictures of random patterns, always the same ones."""
    generator = np.random.default_rng(0)
    style = patterns.ROOM_STYLES['primary']
    line = np.linspace(0.0, 0.4, _TEXTURE_SIDE, dtype=np.float32)
    points = np.stack([*np.meshgrid(line, line), np.zeros((_TEXTURE_SIDE, _TEXTURE_SIDE))],
                      axis=-1).reshape(-1, 3).astype(np.float32)
    surface = Surface(points, np.tile(np.array([0, 0, 1], np.float32), (len(points), 1)),
                      np.array([0.4, 0.4, 0.1], np.float32))
    colors = np.stack([patterns.sample_pattern(_MAKERS, style, generator)(surface)
                       for _ in range(_TEXTURES)])
    # From linear light to what a camera writes.
    encoded = 255.0 * np.clip(colors, 0.0, 1.0) ** (1 / 2.2)
    return encoded.reshape(_TEXTURES, _TEXTURE_SIDE, _TEXTURE_SIDE, 3).astype(np.uint8)
