"""Curves and bars of an evaluation as PNG files, readable without colour vision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.atomic_files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]

# A curve of this name is drawn in black and over the others.
MEAN = 'mean'
_MEAN_COLOR = '#000000'
# Okabe and Ito's palette, as the categories have it; it repeats with other line styles.
_PALETTE = tuple('#{:02x}{:02x}{:02x}'.format(*category.color) for category in CATEGORIES)
_COLORS = {category.name: color for category, color in zip(CATEGORIES, _PALETTE, strict=True)}
_LINES = ('-', '--', ':', '-.')
_MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X', '*')
_MARKS_PER_CURVE = 8
_PANEL = (4.6, 3.7)  # inches
_DOTS_PER_INCH = 110
# A name is written into a bar that is a larger share of the picture than this.
_NAMED_SHARE = 0.045
# With more bars than this in a row, their figures would run into each other.
_MOST_NUMBERED_BARS = 28


@dataclass(frozen=True)
class Bar:
    """A stretch of time.

    Attributes:
        lane: What it belongs to, such as a thread.
        depth: How many others of its lane it is a part of.
        name: What happens.
        start: When, any unit.
        length: How long, the same unit.
    """

    lane: str
    depth: int
    name: str
    start: float
    length: float


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes.

    Attributes:
        title: What is shown.
        x_label: Name and unit of the horizontal axis.
        y_label: Name and unit of the vertical axis.
        x: (N,) positions.
        curves: (N,) heights by name; a curve named 'mean' stands out.
    """

    title: str
    x_label: str
    y_label: str
    x: FloatArray
    curves: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        """Check the lengths.

        Raises:
            InvalidInputError: If a curve has another length than `x`.
        """
        for name, curve in self.curves.items():
            if np.shape(curve) != np.shape(self.x):
                raise InvalidInputError(f'curve {name!r} of {self.title!r} has {np.size(curve)} '
                                        f'points, its axis {np.size(self.x)}; give as many')


def style_of(names: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Return (colour, line style, marker) of each name.

    The six categories keep their colours everywhere; other names get the palette in order, and
    when it is used up other line styles, so that no two look alike.
    """
    spare = cycle([(color, line) for line in _LINES for color in _PALETTE])
    styles = {}
    for name, marker in zip(names, cycle(_MARKERS), strict=False):
        if name == MEAN:
            styles[name] = (_MEAN_COLOR, '-', '')
        elif name in _COLORS:
            styles[name] = (_COLORS[name], '-', marker)
        else:
            color, line = next(spare)
            styles[name] = (color, line, marker)
    return styles


def plot_curves(path: Path, panels: Sequence[Panel]) -> Path:
    """Draw panels of curves side by side, with one legend for all.

    Args:
        path: PNG file to write.
        panels: What to draw; vertical axes go from 0 to 100.

    Returns:
        The path.
    """
    width, height = _PANEL
    figure = _figure(width * len(panels) + 1.6, height)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    styles = style_of(names)
    lines = {}
    for place, panel in zip(axes, panels, strict=True):
        for name, curve in panel.curves.items():
            color, line, marker = styles[name]
            is_mean = name == MEAN
            lines[name], = place.plot(
                panel.x, curve, color=color, linestyle=line, marker=marker, markersize=4,
                markevery=max(len(curve) // _MARKS_PER_CURVE, 1), label=name,
                linewidth=2.6 if is_mean else 1.5, zorder=3 if is_mean else 2)
        _dress(place, panel.title)
        place.set_xlabel(panel.x_label)
        place.set_xlim(float(panel.x[0]), float(panel.x[-1]))
        place.set_ylim(0, 100)
    axes[0].set_ylabel(panels[0].y_label)
    figure.legend(lines.values(), lines.keys(), loc='outside right center', frameon=False,
                  fontsize=9)
    return _save(figure, path)


def plot_lines(path: Path, x_label: str, y_label: str, x: FloatArray,
               lines: Mapping[str, FloatArray]) -> Path:
    """Draw quantities that grow from zero, such as times over amounts of work.

    Args:
        path: PNG file to write.
        x_label: Name and unit of the horizontal axis.
        y_label: Name and unit of the vertical axis.
        x: (N,) positions.
        lines: (N,) heights by name.

    Returns:
        The path.
    """
    width, height = _PANEL
    figure = _figure(width + 1.6, height)
    place = figure.subplots()
    for name, (color, line, marker) in style_of(list(lines)).items():
        place.plot(x, lines[name], color=color, linestyle=line, marker=marker, markersize=4,
                   label=name)
    _dress(place, '')
    place.set_xlabel(x_label)
    place.set_ylabel(y_label)
    place.set_xlim(0)
    place.set_ylim(0)
    figure.legend(loc='outside right center', frameon=False, fontsize=9)
    return _save(figure, path)


def plot_timeline(path: Path, unit: str, bars: Sequence[Bar]) -> Path:
    """Draw what happens when: a row for each lane and depth, parts below what they belong to.

    Args:
        path: PNG file to write.
        unit: Of the bars' times.
        bars: What to draw.

    Returns:
        The path.
    """
    rows = sorted({(bar.lane, bar.depth) for bar in bars})
    end = max(bar.start + bar.length for bar in bars)
    figure = _figure(11.0, 0.42 * len(rows) + 1.2)
    place = figure.subplots()
    colors = {name: color for name, (color, _, _) in style_of(
        list(dict.fromkeys(bar.name for bar in bars))).items()}
    for bar in bars:
        row = rows.index((bar.lane, bar.depth))
        place.barh(row, bar.length, 0.9, bar.start, color=colors[bar.name], edgecolor='white',
                   linewidth=0.3)
        if bar.length > _NAMED_SHARE * end:
            place.text(bar.start + bar.length / 2, row, bar.name, ha='center', va='center',
                       fontsize=7, clip_on=True)
    _dress(place, '')
    place.set_yticks(range(len(rows)), [lane if depth == 0 else '' for lane, depth in rows])
    place.invert_yaxis()
    place.set_xlabel(unit)
    place.set_xlim(0, end)
    handles = [place.barh(0, 0, color=color, label=name) for name, color in colors.items()]
    figure.legend(handles=handles, loc='outside right center', frameon=False, fontsize=8)
    return _save(figure, path)


def plot_bars(path: Path, title: str, y_label: str,
              bars: Mapping[str, Mapping[str, float]]) -> Path:
    """Draw groups of bars, such as one group per figure and one bar per category.

    Args:
        path: PNG file to write.
        title: What is shown.
        y_label: Name and unit of the vertical axis; it goes from 0 to 100.
        bars: Height by bar by group; NaN = no bar. All groups name the same bars.

    Returns:
        The path.
    """
    names = list(next(iter(bars.values())))
    total = len(names) * len(bars)
    figure = _figure(min(max(0.34 * total + 2.2, 6.0), 18.0), 3.9)
    place = figure.subplots()
    width = 0.84 / len(names)
    styles = style_of(names)
    for index, name in enumerate(names):
        heights = np.array([group[name] for group in bars.values()])
        drawn = place.bar(np.arange(len(bars)) + (index - (len(names) - 1) / 2) * width, heights,
                          width, label=name, color=styles[name][0], edgecolor='white',
                          linewidth=0.5)
        if total <= _MOST_NUMBERED_BARS:
            texts = ['' if np.isnan(height) else f'{height:.0f}' for height in heights]
            place.bar_label(drawn, texts, fontsize=7, padding=1)
    _dress(place, title)
    place.set_xticks(np.arange(len(bars)), list(bars), fontsize=9)
    place.set_ylabel(y_label)
    place.set_ylim(0, 108)
    place.set_yticks(range(0, 101, 20))
    place.grid(visible=False, axis='x')
    figure.legend(loc='outside right center', frameon=False, fontsize=9)
    return _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigurationError('curves and bars need matplotlib, which is not installed; run '
                                 'pip install matplotlib and call the same again') from error

    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _dress(place: Axes, title: str) -> None:
    place.set_title(title, fontsize=11)
    place.grid(visible=True, color='#dddddd', linewidth=0.8)
    place.set_axisbelow(True)
    place.spines[['top', 'right']].set_visible(False)


def _save(figure: Figure, path: Path) -> Path:
    with replacing(path) as partial:
        figure.savefig(partial, format='png')
    return path
