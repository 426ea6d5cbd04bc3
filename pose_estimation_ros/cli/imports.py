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


@imports.command(epilog=examples(
    'import disp6d tless_f18/chkpt-50000',
    'import disp6d real275_ours_per/mug/chkpt-50000 --output models/disp6d_mug', docs=_DOCS))
def disp6d(
        checkpoint: Path = typer.Argument(..., help="The authors' checkpoint: the path before "
                                          '.index and .data-00000-of-00001.'),
        categories: str = typer.Option(None, help='What it knows without CAD models, with commas '
                                       'between. Default: told from its folder.'),
        output: Path = typer.Option(None, help=_FOLDER_HELP),
) -> None:
    """Import a published DISP6D checkpoint of TensorFlow, without TensorFlow."""
    _require_torch()
    from pose_estimation_ros.training.disp6d_import import import_disp6d

    _report(import_disp6d(checkpoint, output or cache_folder() / 'disp6d_published',
                          categories.split(',') if categories else None))


@imports.command('neural_mesh', epilog=examples(
    'import neural_mesh car.pth --diagonal 4.8',
    'import neural_mesh best.pth --category sofa --output models/sofa', docs=_DOCS))
def neural_mesh(
        checkpoint: Path = typer.Argument(..., help="The authors' checkpoint of one category."),
        category: str = typer.Option('', help="What it knows. Default: what the file's name "
                                     'says.'),
        cad_models: Path = typer.Option(None, help='Folder CAD of a data set like PASCAL3D+, to '
                                        "make the category's mesh from. Default: the published "
                                        'meshes of the twelve classes of PASCAL3D+.'),
        diagonal: float = typer.Option(None, help="Of a typical object's box, metres. Default: "
                                       'sizes and distances are in units of its CAD models.'),
        output: Path = typer.Option(None, help=_FOLDER_HELP),
) -> None:
    """Import a published neural mesh (C2F, NeMo) of one category.

    Its poses are in this package's frame: y up, the origin in the middle of the category's box.
    """
    _require_torch()
    from pose_estimation_ros.training.neural_mesh_import import import_neural_mesh

    _report(import_neural_mesh(
        checkpoint, output or cache_folder() / f'neural_mesh_{checkpoint.stem}', category,
        cad_models, diagonal))


def _require_torch() -> None:
    if find_spec('torch') is None:
        raise ConfigurationError('importing needs PyTorch, which is not installed; run '
                                 'make setup-test or pip install torch torchvision')


def _report(manifest: ModelManifest) -> None:
    print(f'{manifest.name}: {manifest.task} of {", ".join(manifest.categories)}; licence '
          f'{manifest.licence}')
