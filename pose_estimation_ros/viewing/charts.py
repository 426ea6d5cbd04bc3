"""Line charts as numbers that a page draws as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TICKS = 4
_MOST_DOTS = 60
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: For the legend.
        points: Of an SVG polyline, pixels.
        dots: Where its points are, as long as they are few.
        color: CSS colour.
    """

    name: str
    points: str
    dots: tuple[tuple[float, float], ...]
    color: str


@dataclass(frozen=True)
class Tick:
    """A mark at an axis.

    Attributes:
        place: Along the axis, pixels from the top left corner.
        text: What stands there.
    """

    place: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart with time to the right.

    Attributes:
        title: With the unit.
        lines: What is drawn.
        x_ticks: Seconds, or numbers of frames.
        y_ticks: In the unit of the title.
        width: Of the drawing area, pixels.
        height: Of the drawing area, pixels.
    """

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = 640
    height: int = 180


def line_chart(title: str, series: Mapping[str, Sequence[tuple[float, float]]],
               colors: Mapping[str, str]) -> Chart | None:
    """Return a chart, None if there is nothing to draw.

    Args:
        title: With the unit.
        series: Points (seconds, value) of each line by name; NaN is left out.
        colors: CSS colour by name.
    """
    known = {name: [point for point in points if np.isfinite(point).all()]
             for name, points in series.items()}
    known = {name: points for name, points in known.items() if points}
    if not known:
        return None
    everything = np.array([point for points in known.values() for point in points])
    x_low, x_high = _span(everything[:, 0])
    y_low, y_high = _span(np.append(everything[:, 1], 0.0))
    width, height = Chart.width, Chart.height

    def place(x: float, y: float) -> tuple[float, float]:
        return ((x - x_low) / (x_high - x_low) * width,
                height - (y - y_low) / (y_high - y_low) * height)

    lines = tuple(_line(name, [place(x, y) for x, y in points], colors[name])
                  for name, points in known.items())
    return Chart(title, lines,
                 tuple(Tick(place(x, y_low)[0], f'{x:g}') for x in _ticks(x_low, x_high)),
                 tuple(Tick(place(x_low, y)[1], f'{y:g}') for y in _ticks(y_low, y_high)))


def _line(name: str, places: Sequence[tuple[float, float]], color: str) -> Line:
    rounded = tuple((round(x, 1), round(y, 1)) for x, y in places)
    return Line(name, ' '.join(f'{x:g},{y:g}' for x, y in rounded),
                rounded if len(rounded) <= _MOST_DOTS else (), color)


def _span(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1.0)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two."""
    rough = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in _STEPS if power * factor >= rough * 0.999)
    return [float(np.round(k * step, 9)) for k in range(int(np.ceil(low / step - 1e-9)),
                                                        int(np.floor(high / step + 1e-9)) + 1)]
