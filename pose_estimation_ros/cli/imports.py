"""`pose-estimation import`: published checkpoints become models of this package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import typer

from pose_estimation_ros.cli.teaching import examples
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.runtime.manifest import ModelManifest
from pose_estimation_ros.runtime.model_store import cache_folder

_DOCS = 'docs/models.md'

imports = typer.Typer(no_args_is_help=True,
                      help='Turn published checkpoints into models (needs PyTorch).',
                      epilog=examples('import spd --help', docs=_DOCS))

_PRIORS_HELP = ('mean_points_emb.npy it was trained with. Default: the one beside the checkpoint '
                'or in the folder assets of its repository.')
_FOLDER_HELP = "Folder to write; its name is the model's. Default: the user's cache."


@imports.command('maskrcnn-coco', epilog=examples(
    'import maskrcnn-coco maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth', docs=_DOCS))
def maskrcnn_coco(
        weights: Path = typer.Argument(..., help="torchvision's maskrcnn_resnet50_fpn_coco file."),
        output: Path = typer.Option(None, help=_FOLDER_HELP),
) -> None:
    """Import torchvision's COCO weights; bottle, bowl, cup and laptop become ours."""
    _require_torch()
    from pose_estimation_ros.training.maskrcnn_import import import_coco_weights

    _report(import_coco_weights(weights, output))


@imports.command(epilog=examples(
    'import spd real/model_50.pth --priors mean_points_emb.npy',
    'import spd camera/model_50.pth --priors mean_points_emb.npy --output models/spd_camera',
    docs=_DOCS))
def spd(
        checkpoint: Path = typer.Argument(..., help="The authors' checkpoint, model_50.pth."),
        priors: Path = typer.Option(None, help=_PRIORS_HELP),
        output: Path = typer.Option(None, help=_FOLDER_HELP),
) -> None:
    """Import a published SPD checkpoint.

    Its weights belong to the published mean shapes and their frame of mugs; both go into the
    model, whose poses are in this package's frame.
    """
    _require_torch()
    from pose_estimation_ros.training.spd_import import import_spd

    _report(import_spd(checkpoint, priors, output or cache_folder() / 'spd_published'))


@imports.command(epilog=examples(
    'import crnet models/real.pth --priors assets/mean_points_emb.npy',
    'import crnet models/camera.pth --output models/crnet_camera',
    docs=_DOCS))
def crnet(
        checkpoint: Path = typer.Argument(..., help="The authors' checkpoint, real.pth."),
        priors: Path = typer.Option(None, help=_PRIORS_HELP),
        output: Path = typer.Option(None, help=_FOLDER_HELP),
) -> None:
    """Import a published CR-Net checkpoint.

    As with SPD, the published mean shapes and their frame of mugs go into the model, whose poses
    are in this package's frame.
    """
    _require_torch()
    from pose_estimation_ros.training.crnet_import import import_crnet

    _report(import_crnet(checkpoint, priors, output or cache_folder() / 'crnet_published'))


@imports.command('spd-autoencoder', epilog=examples(
    'import spd-autoencoder model_50.pth', docs=_DOCS))
def spd_autoencoder(
        checkpoint: Path = typer.Argument(..., help="The auto-encoder's checkpoint."),
        output: Path = typer.Option(None, help=_FOLDER_HELP),
) -> None:
    """Import a checkpoint of the auto-encoder that SPD's shape priors come from."""
    _require_torch()
    from pose_estimation_ros.training.autoencoder_import import import_autoencoder

    _report(import_autoencoder(checkpoint, output or cache_folder() / 'spd_autoencoder'))


@imports.command(epilog=examples(
    'import mrc chkpt_lmo/model.pth --models lmo/models',
    'import mrc chkpt_tless/model.pth --models tless/models_cad --dataset tless', docs=_DOCS))
def mrc(
        checkpoint: Path = typer.Argument(..., help="The authors' checkpoint, model.pth."),
        models: Path = typer.Option(..., help='Folder of the CAD models it knows, with their '
                                    'models_info.json.'),
        dataset: str = typer.Option('lmo', help='What it was trained for: lmo, tless, ycbv or '
                                    'itodd.'),
        output: Path = typer.Option(None, help=_FOLDER_HELP),
) -> None:
    """Import a published MRC-Net checkpoint.

    It has as many objects as decoders. Its answers depend on what else is in the batch, as
    published; networks trained here do not.
    """
    _require_torch()
    from pose_estimation_ros.training.mrc_import import import_mrc

    _report(import_mrc(checkpoint, models, output or cache_folder() / f'mrc_{dataset}_published',
                       dataset))


def _require_torch() -> None:
    if find_spec('torch') is None:
        raise ConfigurationError('importing needs PyTorch, which is not installed; run '
                                 'make setup-test or pip install torch torchvision')


def _report(manifest: ModelManifest) -> None:
    print(f'{manifest.name}: {manifest.task} of {", ".join(manifest.categories)}; licence '
          f'{manifest.licence}')
