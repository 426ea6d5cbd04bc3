"""Clutter: things that are none of the six categories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pose_estimation_ros.synthetic.shapes import desk_clutter as desk
from pose_estimation_ros.synthetic.shapes import kitchen_clutter as kitchen
from pose_estimation_ros.synthetic.shapes.shape import Shape

# Boxes are what tables are most often covered with.
_SHARES: tuple[tuple[Callable[[np.random.Generator], Shape], float], ...] = (
    (kitchen.make_package, 4.0),
    (kitchen.make_carton, 1.0),
    (kitchen.make_fruit, 1.5),
    (kitchen.make_bent_fruit, 1.0),
    (kitchen.make_plate, 1.0),
    (kitchen.make_cutlery, 1.5),
    (kitchen.make_kettle, 1.0),
    (kitchen.make_board, 1.0),
    (kitchen.make_pan, 0.7),
    (kitchen.make_sponge, 1.0),
    (kitchen.make_bag, 1.0),
    (kitchen.make_lump, 1.5),
    (desk.make_book, 2.0),
    (desk.make_ball, 1.0),
    (desk.make_marker, 1.0),
    (desk.make_blocks, 2.0),
    (desk.make_cube, 0.6),
    (desk.make_phone, 1.0),
    (desk.make_remote, 1.0),
    (desk.make_keyboard, 1.0),
    (desk.make_mouse, 0.8),
    (desk.make_drill, 0.8),
    (desk.make_hammer, 0.8),
    (desk.make_scissors, 0.7),
    (desk.make_roll, 1.0),
    (desk.make_stapler, 0.7),
    (desk.make_lamp, 0.8),
    (desk.make_picture_frame, 1.2),
    (desk.make_headphones, 0.6),
    (desk.make_figure, 1.2),
)
_WEIGHTS = np.array([share for _, share in _SHARES])


def make_distractor(generator: np.random.Generator) -> Shape:
    """Return a thing that is none of the six categories."""
    chosen = int(generator.choice(len(_SHARES), p=_WEIGHTS / _WEIGHTS.sum()))
    return _SHARES[chosen][0](generator)
