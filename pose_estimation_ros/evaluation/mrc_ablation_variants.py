"""The variants of MRC-Net that its ablation compares, and what the paper's order says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pose_estimation_ros.evaluation.ablation_order import Claim

BASELINE = 'lite'


@dataclass(frozen=True)
class MRCVariant:
    """One row of the ablation.

    Attributes:
        name: Short name, unless `weights` is given that of a recipe of `mrc_recipes.VARIANTS`.
        title: What a table calls it.
        weights: Name of the variant whose weights are measured; '' = its own.
        copies: From how many turned copies of a crop the surest pose is chosen.
    """

    name: str
    title: str
    weights: str = ''
    copies: int = 1

    @property
    def recipe(self) -> str:
        """Name of the recipe that its weights are trained by."""
        return self.weights or self.name


@dataclass(frozen=True)
class Training:
    """One recipe that is trained and measured.

    Attributes:
        name: Of the recipe.
        copies: From how many turned copies of a crop it is measured, in increasing order.
    """

    name: str
    copies: tuple[int, ...]


VARIANTS: tuple[MRCVariant, ...] = (
    MRCVariant(BASELINE, 'MRC-Net `lite`'),
    MRCVariant('hard', 'hard labels instead of soft ones'),
    MRCVariant('classification', 'classification only'),
    MRCVariant('parallel', 'parallel regression: no rendering, so nothing to correlate'),
    MRCVariant('single-scale', 'correlation at the coarsest scale only'),
    MRCVariant('no-perspective', 'without perspective correction'),
    MRCVariant('turned', 'four test-time rotations', weights=BASELINE, copies=4),
    MRCVariant('nside1', 'coarser grid of rotations'),
    MRCVariant('nside3', 'finer grid of rotations'),
)

CLAIMS: tuple[Claim, ...] = (
    Claim(BASELINE, 'hard', 'soft labels beat hard ones'),
    Claim(BASELINE, 'classification', 'regression adds to classification'),
    Claim(BASELINE, 'parallel', 'sequential regression beats parallel regression'),
    Claim(BASELINE, 'single-scale', 'correlation at three scales beats that at one'),
    Claim(BASELINE, 'no-perspective', 'perspective correction helps'),
    Claim('turned', BASELINE, 'test-time rotations help'),
    Claim(BASELINE, 'nside1', 'more rotation bins help, from the coarser grid to ours'),
    Claim('nside3', BASELINE, 'more rotation bins help, from ours to the finer grid'),
)


def trainings(variants: Sequence[MRCVariant]) -> list[Training]:
    """Return what must be trained for some variants, each recipe once."""
    copies: dict[str, set[int]] = {}
    for variant in variants:
        copies.setdefault(variant.recipe, set()).add(variant.copies)
    return [Training(name, tuple(sorted(counts))) for name, counts in copies.items()]
