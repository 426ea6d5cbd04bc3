"""Hypothesis strategies for geometry."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import make_transform


@st.composite
def rotations(draw: st.DrawFn) -> NDArray[np.float64]:
    """Rotations, uniform over SO(3)."""
    return random_rotation(np.random.default_rng(draw(st.integers(0, 2**32 - 1))))


@st.composite
def poses(draw: st.DrawFn) -> NDArray[np.float64]:
    """Rigid transforms within two metres."""
    translation = draw(st.lists(st.floats(-2, 2), min_size=3, max_size=3))
    return make_transform(draw(rotations()), translation)


@st.composite
def sizes(draw: st.DrawFn) -> NDArray[np.float64]:
    """Box sizes between 1 cm and 1 m."""
    return np.array(draw(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3)))
