"""The mean shape of each category, which SPD deforms into the object it sees.

Two ways lead to them: `medoid` takes the one training instance that is closest to all others
(no training, seconds), `autoencoder` decodes the mean embedding (the paper's way).

Usage::

    python -m pose_estimation_ros.training.shape_priors --method medoid --out priors.npz
    python -m pose_estimation_ros.training.shape_priors --objects meshes --out priors.npz
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.core.farthest_points import farthest_point_order
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.renderer import Rays
from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder
from pose_estimation_ros.synthetic.object_model import ObjectModel
from pose_estimation_ros.synthetic.object_source import ObjectSource, ProceduralObjects
from pose_estimation_ros.training.shape_prior_training import (
    PUBLISHED_STEPS,
    AutoEncoderTraining,
    decoded_mean_shape,
    train_autoencoder,
)

PRIOR_POINTS = 1024
METHODS = ('medoid', 'autoencoder')

# Points per cloud when clouds are compared, when they train the auto-encoder, and when the
# prior's points are chosen among them.
_COMPARED_POINTS = 256
_TRAINING_POINTS = 4096
_DENSE_POINTS = 8 * PRIOR_POINTS

_VIEW_COUNT = 64


def _spread_directions(count: int) -> NDArray[np.float32]:
    """Return (count, 3) unit vectors spread over the sphere, a Fibonacci lattice."""
    index = np.arange(count)
    height = 1.0 - (2.0 * index + 1.0) / count
    angle = np.pi * (1.0 + np.sqrt(5.0)) * index
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1).astype(
        np.float32
    )


_VIEW_DIRECTIONS = _spread_directions(_VIEW_COUNT)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ShapePriors:
    """The mean shapes of C categories.

    Attributes:
        points: (C, V, 3) float32 NOCS coordinates.
        categories: What they are of.
    """

    points: NDArray[np.float32]
    categories: tuple[Category, ...]


GENERATED = ProceduralObjects('primary')


def category_priors(instances: int = 200,
                    source: ObjectSource = GENERATED) -> NDArray[np.float32]:
    """Return the medoid prior of every category over its training instances.

    Args:
        instances: Most training instances looked at per category.
        source: The objects.

    Returns:
        (C, 1024, 3) float32 NOCS coordinates in [-0.5, 0.5], categories in the order of
        the source; points in farthest-point order, so that the first K cover the shape
        evenly for any K.
    """
    priors = []
    for category in source.categories:
        models = training_instances(category.name, instances, source)
        medoid = models[chamfer_medoid(_clouds(models, _COMPARED_POINTS))]
        _logger.info(
            '%s: the medoid of %d instances is %s', category.name, len(models), medoid.name
        )
        dense = surface_points(medoid, _DENSE_POINTS, np.random.default_rng(0))
        priors.append(dense[farthest_point_order(dense, PRIOR_POINTS)])
    return np.stack(priors)


def autoencoder_priors(
    training: AutoEncoderTraining, instances: int = 200, source: ObjectSource = GENERATED
) -> NDArray[np.float32]:
    """Train the auto-encoder, or go on, and return its priors in the form of `category_priors`."""
    clouds = [
        _clouds(training_instances(category.name, instances, source), _TRAINING_POINTS)
        for category in source.categories
    ]
    model = train_autoencoder(np.concatenate(clouds), training)
    shapes = [decoded_mean_shape(model, category_clouds) for category_clouds in clouds]
    return np.stack([shape[farthest_point_order(shape, PRIOR_POINTS)] for shape in shapes])


def training_instances(
    category: str, count: int, source: ObjectSource = GENERATED
) -> list[ObjectModel]:
    """Return the first instances of the category's training split, `count` or all there are."""
    return [
        source.model(category, 'train', number)
        for number in range(min(count, source.count(category, 'train')))
    ]


def surface_points(
    model: ObjectModel, count: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return points spread evenly over what can be seen of the model's surface.

    Procedural objects are unions of closed surfaces that enter each other; what lies inside
    (a third of a laptop's faces) is seen by no camera and would waste points of the prior.

    Returns:
        (count, 3) float32 NOCS coordinates.
    """
    caster = Open3DRayCaster([model.mesh])
    diagonal = float(np.linalg.norm(model.size))
    found: list[NDArray[np.float32]] = []
    while sum(map(len, found)) < count:
        samples = model.mesh.sample_surface(count, generator)
        lifted = samples.points + np.float32(1e-4 * diagonal) * samples.normals
        rays = np.broadcast_to(_VIEW_DIRECTIONS * diagonal, (count, len(_VIEW_DIRECTIONS), 3))
        hidden = caster.occluded(Rays(lifted[:, None], rays)).all(axis=1)
        found.append(samples.points[~hidden] / np.float32(diagonal))
    return np.concatenate(found)[:count]


def _clouds(models: list[ObjectModel], count: int) -> NDArray[np.float32]:
    """Return (models, count, 3) surface points."""
    return np.stack([
        surface_points(model, count, np.random.default_rng(index))
        for index, model in enumerate(models)
    ])


def chamfer_medoid(clouds: NDArray[np.float32]) -> int:
    """Return the index of the cloud with the least mean squared Chamfer distance to all others.

    Args:
        clouds: (M, P, 3), about zero-centred.
    """
    count, size, _ = clouds.shape
    flat = clouds.reshape(-1, 3)
    flat_squared = (flat**2).sum(axis=1)
    to_candidate = np.empty((count, count))
    for candidate, cloud in enumerate(clouds):
        squared = (cloud**2).sum(axis=1)[:, None] - 2.0 * cloud @ flat.T
        nearest = squared.min(axis=0) + flat_squared
        to_candidate[:, candidate] = nearest.reshape(count, size).mean(axis=1)
    return int((to_candidate + to_candidate.T).sum(axis=0).argmin())


def save_priors(
    path: Path,
    priors: NDArray[np.float32],
    method: str,
    categories: tuple[Category, ...] = CATEGORIES,
) -> None:
    """Write priors, whole or not at all, to an npz file with their categories and method.

    Args:
        path: The file; its folder is made if needed.
        priors: (C, V, 3) NOCS coordinates.
        method: How they were made.
        categories: What they are of.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.partial.npz')
    np.savez_compressed(
        partial, priors=priors.astype(np.float32), method=method,
        categories=np.array([category.name for category in categories]),
        described=json.dumps([category.as_plain() for category in categories]),
    )
    partial.replace(path)


def priors_digest(priors: NDArray[np.float32]) -> str:
    """Return the SHA-256 of priors as numbers, whatever file they come from."""
    return hashlib.sha256(np.ascontiguousarray(priors, np.float32).tobytes()).hexdigest()


def load_priors(path: Path) -> NDArray[np.float32]:
    """Return the (6, V, 3) float32 priors of the six categories; see `read_priors`.

    Raises:
        ModelError: As `read_priors`, or they are of other categories.
    """
    priors = read_priors(path)
    if priors.categories != CATEGORIES:
        raise ModelError(
            f'The shape priors {path} are of {", ".join(c.name for c in priors.categories)}; this '
            'network knows the six categories of NOCS only.'
        )
    return priors.points


def read_priors(path: Path) -> ShapePriors:
    """Read an npz file of ours, or a published npy file, which is of the six categories.

    Raises:
        ModelError: The file is missing, damaged or holds something else.
    """
    categories = CATEGORIES
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            priors = content
        else:
            with content:
                priors = content['priors']
                if 'described' in content:
                    plain = json.loads(str(content['described']))
                    categories = tuple(Category.from_plain(entry) for entry in plain)
    except (OSError, ValueError, EOFError, KeyError, TypeError, InvalidInputError) as error:
        raise ModelError(
            f'The shape priors {path} cannot be read ({error}). Give an npz file written by '
            '`pose-estimation dataset priors`, or the published mean_points_emb.npy.'
        ) from error
    if priors.ndim != 3 or priors.shape[0] != len(categories) or priors.shape[2] != 3:
        raise ModelError(
            f'The shape priors {path} have the shape {priors.shape}; ({len(categories)}, points, '
            '3) is needed.'
        )
    if not np.isfinite(priors).all() or np.abs(priors).max() > 1.0:
        raise ModelError(f'The shape priors {path} are not finite NOCS coordinates within +-1.')
    return ShapePriors(priors.astype(np.float32), categories)


def main() -> None:
    """Make the priors and write them to a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--method', choices=METHODS, default='medoid')
    parser.add_argument('--out', type=Path, required=True, help='the npz file to write')
    parser.add_argument('--instances', type=int, default=200, help='instances per category')
    parser.add_argument('--objects', type=Path, help='folder of meshes instead of the generated '
                        'objects, see docs/custom_categories.md')
    training = parser.add_argument_group('autoencoder only')
    training.add_argument('--minutes', type=float, default=30.0, help='run again to go on')
    training.add_argument('--steps', type=int, default=PUBLISHED_STEPS)
    training.add_argument('--run', type=Path, default=Path('runs/shape_priors'), help='its folder')
    training.add_argument('--device', default='cpu')
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    source = open_mesh_folder(arguments.objects) if arguments.objects else GENERATED
    if arguments.method == 'medoid':
        priors = category_priors(arguments.instances, source)
    else:
        priors = autoencoder_priors(
            AutoEncoderTraining(
                arguments.run, arguments.steps, arguments.minutes, device=arguments.device
            ),
            arguments.instances,
            source,
        )
    save_priors(arguments.out, priors, arguments.method, source.categories)
    _logger.info('wrote %s', arguments.out)


if __name__ == '__main__':
    main()
