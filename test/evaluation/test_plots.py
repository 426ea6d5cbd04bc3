import sys

import cv2
import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.evaluation.plots import MEAN, Panel, plot_bars, plot_curves, style_of


def colors_of(path):
    picture = cv2.imread(str(path))[..., ::-1]
    return {tuple(int(value) for value in color) for color in picture.reshape(-1, 3)}


def test_no_two_names_look_alike():
    names = [*CATEGORY_NAMES, MEAN, *(f'obj_{number:06d}' for number in range(18))]
    styles = style_of(names)
    assert len({styles[name] for name in names}) == len(names)
    objects = [styles[name][:2] for name in names if name.startswith('obj')]
    assert len(set(objects)) == len(objects)


def test_curves_are_drawn_in_the_colours_of_the_categories(tmp_path):
    x = np.linspace(0, 60, 61)
    panel = Panel('rotation', 'degrees', '%', x, {'mug': x, 'can': 60 - x, MEAN: x * 0 + 30})
    path = plot_curves(tmp_path / 'deep' / 'curves.png', [panel, panel])
    colors = colors_of(path)
    assert {(0, 158, 115), (213, 94, 0), (0, 0, 0)} <= colors
    assert (0, 114, 178) not in colors
    height, width = cv2.imread(str(path)).shape[:2]
    assert width > 2 * height
    assert [entry.name for entry in path.parent.iterdir()] == ['curves.png']


def test_a_bar_is_as_high_as_its_value_and_nothing_is_drawn_for_nan(tmp_path):
    path = plot_bars(tmp_path / 'bars.png', 'recall', '%',
                     {'one': {'mug': 100.0, 'can': 50.0, 'bowl': float('nan')}})
    picture = cv2.imread(str(path))[..., ::-1]

    def longest_column(color):
        return int((picture == color).all(axis=-1).sum(axis=0).max())

    mug, can, bowl = (longest_column(color) for color in
                      ((0, 158, 115), (213, 94, 0), (230, 159, 0)))
    assert can == pytest.approx(mug / 2, abs=6)
    assert bowl < 15  # the legend's patch alone


def test_a_curve_of_another_length_is_refused():
    with pytest.raises(InvalidInputError, match="curve 'mug' .* has 3 points, its axis 2"):
        Panel('rotation', 'degrees', '%', np.arange(2.0), {'mug': np.arange(3.0)})


def test_without_matplotlib_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    with pytest.raises(ConfigurationError, match='pip install matplotlib'):
        plot_bars(tmp_path / 'bars.png', 'recall', '%', {'one': {'mug': 100.0}})
