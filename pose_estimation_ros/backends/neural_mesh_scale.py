"""How large and how far an object of a neural mesh is: from its category, or from depth.

A colour image fixes an object up to a scale: one that is k times as large and k times as far
looks the same. So the pose found for the mean size of the category stands for all
(k t, k size), with k spread as sizes are in the category. Depth of the object's pixels tells k:
it is the ratio of what the sensor saw to what the cuboid of mean size would show.

Source: ours; the paper (Ma et al., ECCV 2022) evaluates in units of the CAD models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_Value = TypeVar('_Value', bound=np.generic)

# Fewer pixels with depth say nothing.
_LEAST_PIXELS = 4
# Nor does depth of a smaller share of an object's pixels: what is black, shines or is of glass has
# none, and the few at its rim are of something else.
_LEAST_SHARE = 0.3
# Neighbouring pixels of a surface deviate alike from a cuboid: so many are worth one.
_PIXELS_PER_OBSERVATION = 8.0
_TO_DEVIATION = 1.4826


@dataclass(frozen=True)
class SizeScale:
    """The factor between an object and the mean of its category.

    Attributes:
        factor: Of size and distance.
        deviation: Relative standard deviation of the factor.
        source: 'category' or 'depth'.
        observed: What depth alone says, as a factor; NaN without depth.
    """

    factor: float
    deviation: float
    source: str
    observed: float = float('nan')


def category_scale(spread: float) -> SizeScale:
    """Return what is known without depth: 1, give or take the spread of sizes."""
    return SizeScale(1.0, spread, 'category')


def depth_scale(seen: FloatArray, rendered: FloatArray, surface: float, roughness: float,
                spread: float) -> SizeScale | None:
    """Return what depth says of the scale, weighed against the spread of sizes.

    Args:
        seen: (N,) metres, depth of the object's pixels, NaN = unknown.
        rendered: (N,) metres, depth of the cuboid of mean size in the same pixels.
        surface: Metres by which surfaces of the category lie behind their cuboid, at mean size.
        roughness: Metres, standard deviation of the same from object to object.
        spread: Relative standard deviation of the category's sizes.

    Returns:
        The scale; None if fewer than four pixels have depth, or less than 0.3 of them.
    """
    shown = np.isfinite(rendered)
    known = np.isfinite(seen) & (seen > 0) & shown
    if known.sum() < max(_LEAST_PIXELS, _LEAST_SHARE * shown.sum()):
        return None
    expected = rendered[known] + surface
    ratio = np.log(seen[known] / expected)
    observed = float(np.median(ratio))
    scatter = _TO_DEVIATION * float(np.median(np.abs(ratio - observed)))
    count = max(known.sum() / _PIXELS_PER_OBSERVATION, 1.0)
    variance = scatter ** 2 / count + (roughness / float(np.median(expected))) ** 2
    # Two independent sources of one number, each with its variance.
    share = spread ** 2 / (spread ** 2 + variance)
    return SizeScale(float(np.exp(share * observed)), float(np.sqrt(share * variance)), 'depth',
                     float(np.exp(observed)))


def at_cells(image: NDArray[_Value], cells: tuple[int, int]) -> NDArray[_Value]:
    """Return the (h, w) values of an image at the centres of h x w cells that cover it.

    The nearest pixel is taken: a mean over an edge is a depth that nothing has.
    """
    rows, columns = ((np.arange(count) + 0.5) * size / count for count, size in
                     zip(cells, image.shape, strict=True))
    return image[np.ix_(rows.astype(np.intp), columns.astype(np.intp))]


def with_scale(covariance: FloatArray, t: FloatArray, deviation: float) -> FloatArray:
    """Return the (6, 6) covariance of a pose whose scale is uncertain, too.

    The position moves along the line of sight in proportion to the scale, and nothing else does,
    so the spread of scales adds a matrix of rank one.

    Args:
        covariance: (6, 6) of the pose at a fixed scale, x y z then rotations about the axes of
            the camera.
        t: (3,) metres, position.
        deviation: Relative standard deviation of the scale.
    """
    total = covariance.copy()
    total[:3, :3] += deviation ** 2 * np.outer(t, t)
    return total
