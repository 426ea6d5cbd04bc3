"""Every network as a training task of a size that tests can afford."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.networks.acr import ACRConfig
from pose_estimation_ros.networks.acr_lite import ACRLiteConfig
from pose_estimation_ros.networks.crnet_lite import CRNetLiteConfig
from pose_estimation_ros.networks.lite_encoder import EncoderConfig
from pose_estimation_ros.networks.mask_rcnn import MaskRCNNConfig
from pose_estimation_ros.networks.neural_mesh import NeuralMeshConfig
from pose_estimation_ros.networks.spd_lite import SpdLiteConfig
from pose_estimation_ros.segmentation.preprocessing import InputSize
from pose_estimation_ros.synthetic.crop_samples import Crops
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training.acr_full_training import ACRFullTask
from pose_estimation_ros.training.acr_lite_training import ACRLiteTask, AdversarialSettings
from pose_estimation_ros.training.batch_plan import PassOrder
from pose_estimation_ros.training.color_crops import ColorCrops
from pose_estimation_ros.training.crnet_lite_training import CRNetLiteTask
from pose_estimation_ros.training.crop_batches import take
from pose_estimation_ros.training.lite_task import LiteData
from pose_estimation_ros.training.maskrcnn_training import MaskRCNNTask
from pose_estimation_ros.training.neural_mesh_recipes import LITE
from pose_estimation_ros.training.neural_mesh_training import NeuralMeshTask
from pose_estimation_ros.training.object_pictures import KIND, PictureShards, pack_pictures
from pose_estimation_ros.training.picture_placement_training import PicturePlacementTask
from pose_estimation_ros.training.shape_prior_training import AutoEncoderTask
from pose_estimation_ros.training.shape_priors import ShapePriors
from pose_estimation_ros.training.sources import StoredSamples
from pose_estimation_ros.training.spd_full_training import SpdFullTask
from pose_estimation_ros.training.spd_lite_training import SpdLiteTask
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingSettings
from test.support.box_pictures import box_picture, standing_pose
from test.training.test_maskrcnn_data import frame

TINY_DETECTOR = MaskRCNNConfig(stem_width=8, widths=(8, 8, 16, 16), pyramid_width=16,
                               box_head_width=16, mask_layers=1)

# With fewer channels oneDNN 3.10, of torch 2.11, writes beyond its memory: in strided 1x1
# convolutions in channels_last.
TINY_NEURAL_MESH = replace(
    LITE, network=NeuralMeshConfig(pyramid='own', features=16, widths=(32, 32, 32, 32),
                                   blocks=(1, 1, 1, 1), decoder=16),
    windows=replace(LITE.windows, width=96, height=96, sides=(40.0, 80.0), colors=0.0,
                    patches=0.0, turned=0.0, mirrored=0.0, shift=0.1),
    vertices=60, held=2, clutter=32)
BOX_SIZES = np.array([(0.1, 0.25, 0.1), (0.16, 0.07, 0.16), (0.1, 0.09, 0.13),
                      (0.07, 0.1, 0.07), (0.25, 0.2, 0.3), (0.11, 0.1, 0.08)])

FULL_PRIORS = np.random.default_rng(1).uniform(-0.4, 0.4, (6, 1024, 3)).astype(np.float32)


def settings(steps: int, batch: int, **changes: object) -> TrainingSettings:
    """Return settings for a few steps on the CPU."""
    stages = (StageSettings(steps, 1e-3, 'cosine', warm_up=2),)
    return TrainingSettings(**{'stages': stages, 'batch': batch, 'device': 'cpu', 'threads': 1,
                               'log_every': 2, 'validate_every': 2, 'clip': 5.0, **changes})


def random_crops(count: int = 24, points: int = 48, seed: int = 0) -> Crops:
    """Return exact points of random boxes, all categories in turn."""
    generator = np.random.default_rng(seed)
    size = generator.uniform(0.05, 0.3, (count, 3))
    nocs = generator.uniform(-0.5, 0.5, (count, points, 3))
    nocs *= (size / np.linalg.norm(size, axis=1, keepdims=True))[:, None]
    T = np.stack([make_transform(random_rotation(generator), (0.1, 0.1, 0.8))
                  for _ in range(count)])
    metric = nocs * np.linalg.norm(size, axis=1)[:, None, None]
    metric = np.einsum('bij,bnj->bni', T[:, :3, :3], metric) + T[:, None, :3, 3]
    return Crops(metric.astype(np.float32), nocs.astype(np.float32),
                 np.ones((count, points), bool), np.arange(count) % 6, T, size,
                 nocs.astype(np.float32), np.ones(count, np.float32),
                 np.full(count, np.nan, np.float32), np.array(['box'] * count),
                 np.tile((0.0, -0.8, -0.6), (count, 1)),
                 generator.integers(0, 255, (count, points, 9), dtype=np.uint8),
                 np.arange(count) % 4 > 0)


def stored(crops: Crops) -> StoredSamples:
    """Return crops as a source."""
    return StoredSamples(partial(take, crops), PassOrder(len(crops)))


def boxes(sources: int = 1) -> LiteData:
    """Return the data of a lite network: random boxes."""
    priors = np.random.default_rng(0).uniform(-0.3, 0.3, (6, 32, 3)).astype(np.float32)
    return LiteData(tuple(stored(random_crops(seed=seed)) for seed in range(sources)),
                    random_crops(12, seed=9), ShapePriors(priors, CATEGORIES), 32)


def spd_lite(sources: int = 1) -> SpdLiteTask:
    """SPD lite on random boxes."""
    return SpdLiteTask(boxes(sources), SpdLiteConfig(stages=1, width=16, latents=4, heads=2,
                                                     embedding=8))


def crnet_lite(picture: str = 'off') -> CRNetLiteTask:
    """CR-Net lite on random boxes of random colours."""
    encoder = EncoderConfig(stages=1, width=16, latents=4, heads=2,
                            instance_relation='transformer', picture=picture)
    return CRNetLiteTask(boxes(), CRNetLiteConfig(encoder, steps=1, embedding=8))


def acr_lite(weight: float = 0.03, picture: str = 'off') -> ACRLiteTask:
    """ACR-Pose lite on random boxes of random colours, with a weight of its adversary."""
    encoder = EncoderConfig(stages=1, width=16, latents=4, heads=2, picture=picture)
    return ACRLiteTask(boxes(), ACRLiteConfig(encoder, embedding=8), AdversarialSettings(weight))


def picture_placement() -> PicturePlacementTask:
    """Placements by pictures of random boxes, of which every third point is placed."""
    return PicturePlacementTask(replace(boxes(), points=12, every=3), EncoderConfig(
        width=16, picture='on'))


def autoencoder() -> AutoEncoderTask:
    """The auto-encoder on random clouds."""
    clouds = np.random.default_rng(0).uniform(-0.4, 0.4, (6, 128, 3)).astype(np.float32)
    return AutoEncoderTask(clouds, input_points=32)


def detector() -> MaskRCNNTask:
    """Mask R-CNN on one picture."""
    source = StoredSamples(lambda items: [frame() for _ in items], PassOrder(4))
    return MaskRCNNTask([source], [frame()], TINY_DETECTOR, InputSize(80, 60))


def color_views() -> tuple[list[StoredSamples], ColorCrops, NDArray[np.float32]]:
    """Return sources, validation and priors of a full network: random crops of few points."""
    generator = np.random.default_rng(0)
    count, points = 4, 24
    crops = ColorCrops(
        generator.integers(0, 255, (count, 192, 192, 3), dtype=np.uint8),
        generator.uniform(-0.1, 0.1, (count, points, 3)).astype(np.float32),
        generator.integers(0, 192 * 192, (count, points), dtype=np.int32),
        generator.uniform(-0.4, 0.4, (count, points, 3)).astype(np.float32),
        np.arange(count), np.stack([random_rotation(generator) for _ in range(count)]).astype(
            np.float32),
        generator.uniform(-0.4, 0.4, (count, 64, 3)).astype(np.float32))
    return [StoredSamples(crops.take, PassOrder(count))], crops.take(np.arange(2)), FULL_PRIORS


def spd_full() -> SpdFullTask:
    """The full SPD network on random views."""
    return SpdFullTask(*color_views())


def acr_full() -> ACRFullTask:
    """The full ACR-Pose with small groups on random views."""
    return ACRFullTask(*color_views(), ACRConfig(width=16, neighbours=8))


def write_box_pictures(folder: Path) -> None:
    """Write two pictures of a box of each category as training pictures."""
    pictures = [box_picture(number, size * (1 + 0.1 * turn), standing_pose(1.0 + turn))
                for turn in range(2) for number, size in enumerate(BOX_SIZES)]
    write_shards(folder, 1, {'kind': KIND, 'categories': [
        category.as_plain() for category in CATEGORIES]}, lambda _: pack_pictures(pictures))


def neural_mesh() -> NeuralMeshTask:
    """The features of neural meshes on pictures of boxes, whose vertices move from the start."""
    with TemporaryDirectory() as folder:
        write_box_pictures(Path(folder))
        pictures = PictureShards(Path(folder))
    return NeuralMeshTask('neural_mesh-lite', [pictures], None,
                          replace(TINY_NEURAL_MESH, held=0))
