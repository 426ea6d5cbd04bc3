"""Points as a picture: where they are drawn, what cells show, and what is read of it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from pose_estimation_ros.networks.view_picture import PictureReader, draw_picture

CELLS = 32
UNKNOWN = torch.full((1, 1, 9), torch.nan)


def looking_down(sine: float) -> Tensor:
    return torch.tensor([[0.0, sine, 1.0]])


def drawn(points: list[list[float]], sine: float = 0.0) -> Tensor:
    """Return the (14, 32, 32) picture of points without colours."""
    cloud = torch.tensor([points])
    return draw_picture(cloud, looking_down(sine),
                        UNKNOWN.expand(1, len(points), 9)).channels[0]


def covered(picture: Tensor) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for row, column in picture[0].nonzero()]


def test_from_the_side_height_gives_the_row_and_x_the_column() -> None:
    assert covered(drawn([[0.01, 0.01, 5.0]])) == [(16, 16)]
    assert covered(drawn([[1.0, 0.01, 0.0]])) == [(16, 30)]
    assert covered(drawn([[0.01, 1.0, 0.0]])) == [(30, 16)]


def test_from_straight_above_it_is_what_lies_farther_away_that_is_higher() -> None:
    assert covered(drawn([[0.01, 0.7, 1.0]], sine=1.0)) == [(30, 16)]


@given(sine=st.floats(0.0, 1.0), seed=st.integers(0, 99))
def test_a_point_farther_along_the_ray_is_drawn_deeper_and_hardly_elsewhere(sine: float,
                                                                           seed: int) -> None:
    point = 0.4 * torch.randn(3, generator=torch.Generator().manual_seed(seed)).clamp(-2, 2)
    ray = torch.tensor([0.0, -sine, (1.0 - sine ** 2) ** 0.5])
    near, far = (draw_picture((point + shift * ray)[None, None], looking_down(sine), UNKNOWN)
                 for shift in (-0.05, 0.05))
    assume(near.inside.all() and far.inside.all())
    depth = [float(picture.channels[0, 4].sum()) for picture in (near, far)]
    assert depth[1] - depth[0] == pytest.approx(0.1, abs=1e-4)
    # At the edge of a cell rounding may tell them apart.
    (old,), (new,) = (covered(picture.channels[0]) for picture in (near, far))
    assert max(abs(old[0] - new[0]), abs(old[1] - new[1])) <= 1


def test_a_cell_shows_the_mean_of_its_points_and_their_colours() -> None:
    points = torch.tensor([[[0.01, 0.01, 0.2], [0.02, 0.02, 0.4], [0.5, 0.5, 0.0]]])
    color = torch.zeros(1, 3, 9)
    color[0, 0], color[0, 1], color[0, 2] = 0.2, 0.6, torch.nan

    picture = draw_picture(points, looking_down(0.0), color).channels[0]

    torch.testing.assert_close(picture[1:5, 16, 16], torch.tensor([0.015, 0.015, 0.3, 0.3]))
    # Whether colours are known, and these about the middle grey.
    torch.testing.assert_close(picture[7:, 16, 16], torch.tensor([1.0] + 6 * [-0.1]))
    row, column = next(place for place in covered(picture) if place != (16, 16))
    assert picture[7:, row, column].tolist() == 7 * [0.0]


def test_what_lies_outside_is_not_drawn_and_gets_no_features() -> None:
    points = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 3.0, 0.0]]])
    picture = draw_picture(points, looking_down(0.0), UNKNOWN.expand(1, 2, 9))
    assert picture.channels[0, 0].sum() == 1
    assert picture.inside.tolist() == [[1.0, 0.0]]
    reader = PictureReader(2).eval()
    features, _ = reader(points, looking_down(0.0), torch.tensor([0]), UNKNOWN.expand(1, 2, 9))
    assert features[0, 0].abs().max() > 0
    assert features[0, 1].abs().max() == 0


def test_relief_tells_what_stands_out_from_its_surroundings_on_any_slope() -> None:
    side = torch.linspace(-0.95, 0.95, 64)
    x, y = torch.meshgrid(side, side, indexing='ij')
    slope = torch.stack([x, y, 0.5 * x], dim=2).flatten(0, 1)
    bump = slope.clone()
    middle = (bump[:, :2].abs() < 0.07).all(dim=1)
    bump[middle, 2] -= 0.1
    flat, raised = (draw_picture(cloud[None], looking_down(0.0),
                                 UNKNOWN.expand(1, len(cloud), 9)).channels[0, 5:7]
                    for cloud in (slope, bump))

    assert flat[:, 8:24, 8:24].abs().max() < 0.15
    assert raised[:, 16, 16].max() < -0.2


def test_the_order_of_points_does_not_matter_and_every_second_is_one_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    reader = PictureReader(3).eval()
    points, color = 0.5 * torch.randn(2, 60, 3, generator=generator), torch.rand(2, 60, 9)
    condition, category = torch.rand(2, 3, generator=generator), torch.tensor([0, 2])
    order = torch.randperm(60, generator=generator)

    features, summary = reader(points, condition, category, color)
    shuffled, same = reader(points[:, order], condition, category, color[:, order])
    second, _ = reader(points, condition, category, color, 2)

    torch.testing.assert_close(shuffled, features[:, order], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(same, summary, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(second, features[:, ::2])
