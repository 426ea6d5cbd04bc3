"""How DISP6D is made and taught, in one place: what a study varies is a field of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pose_estimation_ros.backends.disp6d_crops import CropSettings
from pose_estimation_ros.networks.disp6d import LITE, Disp6dConfig
from pose_estimation_ros.training.disp6d_augmentation import ViewAugmentation
from pose_estimation_ros.training.disp6d_losses import LossWeights
from pose_estimation_ros.training.disp6d_rivals import AlikeSettings, RivalSettings
from pose_estimation_ros.training.mrc_augmentation import AugmentationSettings


@dataclass(frozen=True)
class Disp6dRecipe:
    """A network and how it is taught.

    Attributes:
        network: Its configuration.
        crops: How crops are cut.
        weights: Of the losses.
        rivals: Which rotations crops are compared with, where the weight of the choice is not 0.
        together: How many pictures of one object stand together in a batch, each compared with
            plain views of all pictures of the batch; 1 = compared with rotations.
        alike: Which of those views look the same.
        keep: What part of the codes of shapes is kept in every step; as in the published code.
        augmentation: How pictures are changed.
    """

    network: Disp6dConfig = LITE
    crops: CropSettings = field(default_factory=CropSettings)
    weights: LossWeights = field(default_factory=LossWeights)
    rivals: RivalSettings = field(default_factory=RivalSettings)
    together: int = 1
    alike: AlikeSettings = field(default_factory=AlikeSettings)
    keep: float = 0.9995
    augmentation: ViewAugmentation = field(default_factory=ViewAugmentation)

    @property
    def preparation(self) -> Mapping[str, Any]:
        """How crops are cut, in plain values for a manifest."""
        return {name: value for name, value in asdict(self.crops).items() if name != 'crop'}


# Scenes are varied already, and their colours are those that a camera sees.
_CATEGORY_COLORS = AugmentationSettings(background=0.0, colors=0.7, dropout=0.1, inversion=0.1,
                                        grey=0.05)
CATEGORY = Disp6dRecipe(crops=CropSettings(background='white'),
                        weights=LossWeights(choice=0.2),
                        augmentation=ViewAugmentation(pictures=_CATEGORY_COLORS))
# Parts lie before nothing; with no mask at run time they lie before anything.
_PART_COLORS = AugmentationSettings(background=0.0, colors=0.8, dropout=0.1, inversion=0.1,
                                    grey=0.1)
PARTS = Disp6dRecipe(network=replace(LITE, crop=64),
                     crops=CropSettings(crop=64, background='black'),
                     weights=LossWeights(choice=0.2), together=8,
                     augmentation=ViewAugmentation(masked=0.6, coarse=0.5, clutter=0.8,
                                                   pictures=_PART_COLORS))

# What the paper's tables 3 and 4 vary, by short names.
VARIANTS: dict[str, Disp6dRecipe] = {
    'category': CATEGORY,
    'no-metric': replace(CATEGORY, weights=replace(CATEGORY.weights, shape=0.0)),
    'no-choice': replace(CATEGORY, weights=replace(CATEGORY.weights, choice=0.0)),
    'unconditioned': replace(CATEGORY, network=replace(CATEGORY.network, conditioning='none')),
    'parts': PARTS,
}
