"""How colours, 0 to 1, are normalised for the networks that are ours."""

from __future__ import annotations

COLOR_MEAN, COLOR_DEVIATION = 0.45, 0.25
