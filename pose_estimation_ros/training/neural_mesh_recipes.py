"""How the features of neural meshes are made and taught, `lite` and as published."""

from __future__ import annotations

from dataclasses import dataclass, field

from pose_estimation_ros.networks.neural_mesh import NeuralMeshConfig, full_config
from pose_estimation_ros.training.neural_mesh_labels import LabelSettings
from pose_estimation_ros.training.neural_mesh_losses import ContrastSettings
from pose_estimation_ros.training.neural_mesh_windows import WindowSettings


@dataclass(frozen=True)
class NeuralMeshRecipe:
    """A network and how it is taught.

    Attributes:
        network: Its configuration.
        labels: What is taken from a window.
        windows: How windows are drawn.
        contrast: How vertices are told apart.
        vertices: How many squares cover a cuboid; there are about a tenth more vertices.
        momentum: Share of the old direction of a vertex in each step.
        frequencies: Of the smooth codes that vertices begin with, see `smooth_codes`; None as
            published: they begin at random.
        held: Steps before vertices begin to move.
        clutter: Rows of clutter in the bank.
        counted: 'views': a vertex moves to the mean of its views in a batch; 'images': by the
            number of images, as published.
        lying: Chance of an object that does not stand, beside one that does, to be the one that
            a window is drawn around.
        view: Weight of telling the category and the azimuth in the cells of an object; 0 as
            published: nothing else is taught. It is left out of the exported network.
        begun_rate: Factor of the rate of layers that begin with a detector's weights.
        weight_decay: Of the weights.
    """

    network: NeuralMeshConfig
    labels: LabelSettings
    windows: WindowSettings = field(default_factory=WindowSettings)
    contrast: ContrastSettings = field(default_factory=ContrastSettings)
    vertices: int = 1000
    momentum: float = 0.96
    frequencies: tuple[float, float] | None = None
    held: int = 0
    clutter: int = 2560
    counted: str = 'images'
    lying: float = 1.0
    view: float = 0.0
    begun_rate: float = 1.0
    weight_decay: float = 1e-4


FULL = NeuralMeshRecipe(
    full_config(),
    LabelSettings(stride=8, vertices=0, clutter=5, nearness='image', hidden='none'),
    # Objects at distances of 4 to 32 in a picture of 448x320, as spec 2.6 has them.
    WindowSettings(width=448, height=320, scales=(0.3, 2.4), sides=(30.0, 320.0), shift=0.5,
                   turned=0.0, colors=0.0, patches=0.0))
# Which side of an object is seen comes slowly out of vertices alone.
# Objects that lie take any rotation, which is more than a short training can tell apart; the run
# time looks for standing ones. Small objects and odd colours would take longer, too; the scenes
# are varied already.
LITE = NeuralMeshRecipe(
    NeuralMeshConfig(), LabelSettings(stride=NeuralMeshConfig().stride, stances='standing'),
    WindowSettings(scales=(0.8, 1.5), sides=(40.0, 240.0), turned=0.08, colors=0.2, patches=0.2),
    ContrastSettings(background=0.3), momentum=0.98, frequencies=(0.4, 3.5), held=1200,
    clutter=1024, counted='views', lying=0.0, view=0.5, begun_rate=0.6)
