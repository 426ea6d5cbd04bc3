"""How MRC-Net is made and taught, in one place: what a study varies is a field of a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pose_estimation_ros.networks.mrc import MRCConfig
from pose_estimation_ros.training.mrc_augmentation import AugmentationSettings
from pose_estimation_ros.training.mrc_labels import LABEL_SCALE, LabelKind
from pose_estimation_ros.training.mrc_losses import MRCLossWeights

# The grid that the published reach of labels was made for.
_PUBLISHED_NSIDE = 4
# A crop is at most 1.5 * 1.25 diameters wide; published is about this for the LM-O objects.
_FARTHEST_CROP = 2.1


@dataclass(frozen=True)
class CoarseSettings:
    """Which coarse poses the regression learns from.

    The published network compares with renderings of its own most likely pose. At the beginning
    that is a random one, from which nothing can be learnt: there is no pose near the truth to
    see the difference to; the published training is long enough for that to pass. In a short
    training the regression would see few useful renderings, so a share of the coarse poses is
    drawn near the truth, in the proportions of the soft labels, as the most likely poses of a
    good classifier would be. So is what the classifier got quite wrong: a regression that looks
    for small differences can do nothing about a pose of the wrong side, which is lost anyway.

    Attributes:
        near_truth: Share of the coarse poses drawn near the truth; 0 as published.
        least_label: Rotation bins whose label is below this share of the best bin's are quite
            wrong; 0 as published: none is.
        flatness: Exponent of the labels as chances of bins; below 1 draws from farther bins.
        cells: Standard deviation of the cell drawn, in cells.
        depth: Standard deviation of the depth drawn, as share of the true one.
    """

    near_truth: float = 0.5
    least_label: float = 0.03
    flatness: float = 0.7
    cells: float = 0.7
    depth: float = 0.03


PUBLISHED_COARSE = CoarseSettings(near_truth=0.0, least_label=0.0)


@dataclass(frozen=True)
class MRCRecipe:
    """A network and how it is taught.

    Attributes:
        network: Its configuration; number of objects and range of depth come from the data.
        labels: 'soft' as published, or 'hard'.
        coarse: Which coarse poses the regression learns from.
        weights: Of the loss terms. That of the coordinates, 0 as published, has the first three
            of the fine features be the point of the object that a pixel shows: each pixel then
            teaches, not only each crop, and a short training gets much further.
        augmentation: How the pictures are changed.
        turned: Chance that a crop is turned by a random number of quarter turns; 1 as published.
        regressed: Share of a batch, from its beginning, that the regression learns from; 1 as
            published. Renderings cost as much as crops, and the classification learns slower.
        shared: How much of the gradient of all objects' decoders is added to that of each; 0 as
            published. What they have in common is then learnt from all pictures.
    """

    network: MRCConfig
    labels: LabelKind = 'soft'
    coarse: CoarseSettings = PUBLISHED_COARSE
    weights: MRCLossWeights = field(default_factory=MRCLossWeights)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    turned: float = 1.0
    regressed: float = 1.0
    shared: float = 0.0

    @property
    def label_scale(self) -> float:
        """How far rotation labels reach, as share of the diameter: as far as bins are apart."""
        return LABEL_SCALE * _PUBLISHED_NSIDE / self.network.nside

    def for_objects(self, count: int, largest: float) -> MRCConfig:
        """Return the network's configuration for some objects.

        Args:
            count: How many.
            largest: The largest of their diameters, metres.
        """
        crop = self.network.crop
        return replace(self.network, objects=count, nearest=1e-3 * largest / crop,
                       farthest=_FARTHEST_CROP * largest / crop)


FULL = MRCRecipe(MRCConfig(objects=1))
# The distances are tens of millimetres for long. With the published weights their gradients drown
# those of the classification in the encoder, and in a short training nothing gets classified.
_LITE_WEIGHTS = MRCLossWeights(rotation_bins=1.0, rotation=0.05, position=0.05, depth=0.01,
                               coordinates=20.0)
# The scenes are varied already; a short training does not get round all that is published. Boxes
# of a detector are hardly ever a quarter of an object off; with crops shifted as far, finding the
# object in them is most of what is learnt.
_LITE_AUGMENTATION = AugmentationSettings(jitter=0.1, occluders=0.25, colors=0.6, dropout=0.2,
                                          inversion=0.05, grey=0.02)
LITE = MRCRecipe(
    MRCConfig(objects=1, crop=128, width=16, encoder='detector', nside=2, depth_bins=200,
              cells=32, cells_from='map', dilations=(1, 2, 3, 4)),
    coarse=CoarseSettings(), weights=_LITE_WEIGHTS,
    augmentation=_LITE_AUGMENTATION, turned=0.2, regressed=0.25, shared=1.0)

# What the paper's tables 1 and 2 vary, by short names.
VARIANTS: dict[str, MRCRecipe] = {
    'lite': LITE,
    'hard': replace(LITE, labels='hard'),
    'classification': replace(LITE, network=replace(LITE.network, regression='none')),
    'parallel': replace(LITE, network=replace(LITE.network, regression='parallel')),
    'single-scale': replace(LITE, network=replace(LITE.network, levels=(16,))),
    'no-perspective': replace(LITE, network=replace(LITE.network, camera='hidden')),
    'nside1': replace(LITE, network=replace(LITE.network, nside=1)),
    'nside3': replace(LITE, network=replace(LITE.network, nside=3)),
}
