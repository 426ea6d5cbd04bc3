"""An MRC-Net model, checked and loaded: two networks, the meshes of its objects, a renderer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.mrc_poses import PoseGrid
from pose_estimation_ros.core.errors import ModelError, PoseEstimationError
from pose_estimation_ros.core.site_translation import TranslationGrid
from pose_estimation_ros.core.so3_grid import so3_grid
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.mesh_archive import read_mesh_archive
from pose_estimation_ros.rendering.model_meshes import MESHES, SHOWN
from pose_estimation_ros.rendering.view_renderer import (
    ViewRenderer,
    Views,
    make_view_renderer,
    rendering_device,
)
from pose_estimation_ros.runtime import InferenceSession, Model, ModelManifest

FloatArray = NDArray[np.float64]

IMAGE = 'image'
# What the real branch hands to the regressor.
FEATURES = ('x4', 'x8', 'x16')
# Logits of which cells show the object.
MASK = 'mask'
_CPU = 'CPUExecutionProvider'
_BATCH_NORM, _NO_REGRESSION = 'batch', 'none'
_INPUTS = (IMAGE, 'index', 'aux')
_ANSWERS = ('rotation', 'depth', 'xy')
_RESIDUAL_SIZES = (6, 1, 2)


class MRCModel:
    """What an MRC-Net model folder holds, ready to run.

    Attributes:
        manifest: Of the model.
        crop: Side of the crops, pixels.
        grid: Meaning of the classes.
        meshes: What is rendered, by the name of its object, metres.
        shown: The same with fewer triangles, for those who look at the poses.
        depends_on_batch: Whether an answer depends on what else is in the batch.
        has_regressor: Whether coarse poses are refined.
    """

    def __init__(self, model: Model, device: str, threads: int) -> None:
        """Load networks, meshes and renderer.

        Args:
            model: Of the backend 'mrc'.
            device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
            threads: CPU threads of each network and of the renderer; 0 = one per core.

        Raises:
            ModelError: If something is missing, damaged, or does not fit the manifest.
            ConfigurationError: If the device or the renderer's library is not there.
        """
        manifest = model.manifest
        self.manifest = manifest
        self.grid = _pose_grid(manifest)
        self.crop = self.grid.translation.crop
        self.depends_on_batch = manifest.parameters.get('norm') == _BATCH_NORM
        self.has_regressor = manifest.parameters.get('regression') != _NO_REGRESSION
        self.meshes = _object_meshes(model, MESHES)
        # Models of other exporters may have none that are made for this.
        self.shown = (_object_meshes(model, SHOWN)
                      if SHOWN in manifest.files else self.meshes)
        self._classifier = InferenceSession(model.file('classifier'), device, threads)
        self._regressor = None
        self._renderer: ViewRenderer | None = None
        self._draws_with = 'none'
        _check_classifier(manifest, self._classifier, self.grid)
        if self.has_regressor:
            self._regressor = InferenceSession(model.file('regressor'), device, threads)
            _check_regressor(manifest, self._regressor, self._classifier)
            if self.renders:
                self._draws_with = rendering_device(
                    'cpu' if self._classifier.providers[0] == _CPU else 'cuda')
                self._renderer = make_view_renderer(list(self.meshes.values()), self._draws_with,
                                                    threads)

    @property
    def renders(self) -> bool:
        """Whether the regressor compares with a rendering of the coarse pose."""
        return self._regressor is not None and IMAGE in _names(self._regressor.inputs)

    @property
    def gives_mask(self) -> bool:
        """Whether the classifier says which pixels show the object."""
        return MASK in _names(self._classifier.outputs)

    def classify(self, image: NDArray[np.float32], index: NDArray[np.int64],
                 aux: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Run the real branch once.

        Args:
            image: (N, 4, crop, crop) crops.
            index: (N,) objects.
            aux: (N, 3) auxiliary numbers.

        Returns:
            Logits 'rotation', 'depth' and 'xy', 'mask' (N, 1, s, s) if the model has it, and the
            features that the regressor wants.
        """
        return self._classifier.run({IMAGE: image, 'index': index, 'aux': aux})

    def render(self, index: NDArray[np.int64], T: FloatArray, K: FloatArray) -> Views:
        """Draw N objects alone, each in its own (N, 4, 4) pose and (N, 3, 3) camera."""
        if self._renderer is None:
            raise ModelError(f'model {self.manifest.name!r} compares with no rendering')
        return self._renderer.render(index, T, K, self.crop)

    def regress(self, features: Mapping[str, NDArray[Any]], image: NDArray[np.float32] | None,
                index: NDArray[np.int64], aux: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Return what is left between coarse poses and poses.

        Args:
            features: Of the real branch, of N views.
            image: (N, 4, crop, crop) renderings; None for a model that takes none.
            index: (N,) objects.
            aux: (N, 3) auxiliary numbers.
        """
        if self._regressor is None:
            raise ModelError(f'model {self.manifest.name!r} has no regressor')
        given: dict[str, NDArray[Any]] = {'index': index, 'aux': aux, **features}
        if image is not None:
            given[IMAGE] = image
        return self._regressor.run({name: given[name]
                                    for name in _names(self._regressor.inputs)})

    def describe(self) -> dict[str, str]:
        """Return the model's name, the provider that runs it and what renders."""
        return {'model': self.manifest.name, 'provider': self._classifier.providers[0],
                'renderer': self._draws_with}

    def close(self) -> None:
        """Free networks and renderer."""
        self._classifier.close()
        if self._regressor is not None:
            self._regressor.close()
        self._renderer = None


def _pose_grid(manifest: ModelManifest) -> PoseGrid:
    entries = manifest.parameters
    try:
        translation = TranslationGrid(
            int(entries['crop']), int(entries['cells']), int(entries['depth_bins']),
            float(entries['nearest']), float(entries['farthest']))
        return PoseGrid.of(so3_grid(int(entries['nside'])), translation)
    except (KeyError, TypeError, ValueError, PoseEstimationError) as error:
        raise ModelError(f'model {manifest.name!r}: its manifest must give parameters.crop, cells,'
                         f' depth_bins, nearest, farthest and nside ({error!r}); export it '
                         'again') from error


def _object_meshes(model: Model, role: str) -> dict[str, Mesh]:
    """Return the mesh of each category, in the categories' order."""
    if role not in model.manifest.files:
        raise ModelError(f'model {model.manifest.name!r} comes without the CAD models of its '
                         'objects; add them: pose-estimation models add-meshes '
                         f'{model.manifest.name} --objects <folder of the CAD models>')
    path = model.file(role)
    found = read_mesh_archive(path)
    categories = model.manifest.categories
    if missing := [name for name in categories if name not in found]:
        raise ModelError(f'model {model.manifest.name!r} knows {missing[0]!r}, but {path} has no '
                         f'mesh of it, only of {", ".join(found) or "nothing"}; export the model '
                         'with the CAD models of all its objects')
    for name in categories:
        if not len(found[name].faces) or not (np.ptp(found[name].vertices, axis=0) > 0).all():
            raise ModelError(f'the mesh of {name!r} in {path} has no faces or is flat; export the '
                             'model with the whole CAD model')
    return {name: found[name] for name in categories}


def _check_classifier(manifest: ModelManifest, session: InferenceSession, grid: PoseGrid) -> None:
    crop = grid.translation.crop
    _check_names(manifest, 'classifier', session, set(_INPUTS), set(_ANSWERS))
    _check_size(manifest, 'classifier', session.inputs, IMAGE, (None, 4, crop, crop))
    for name, size in zip(_ANSWERS, (len(grid.rotations), len(grid.depths), len(grid.cells)),
                          strict=True):
        _check_size(manifest, 'classifier', session.outputs, name, (None, size))


def _check_regressor(manifest: ModelManifest, session: InferenceSession,
                     classifier: InferenceSession) -> None:
    features = _names(classifier.outputs) & set(FEATURES)
    taken = _names(session.inputs) & {*_INPUTS, *features}
    _check_names(manifest, 'regressor', session, taken, set(_ANSWERS))
    for name, size in zip(_ANSWERS, _RESIDUAL_SIZES, strict=True):
        _check_size(manifest, 'regressor', session.outputs, name, (None, size))


def _check_names(manifest: ModelManifest, role: str, session: InferenceSession, takes: set[str],
                 gives: set[str]) -> None:
    """Check that a network takes exactly these tensors and gives at least those.

    Raises:
        ModelError: If it does not.
    """
    taken, given = _names(session.inputs), _names(session.outputs)
    if taken != takes or not gives <= given:
        raise ModelError(
            f'the {role} of model {manifest.name!r} takes {", ".join(sorted(taken))} and gives '
            f'{", ".join(sorted(given))}; it must take {", ".join(sorted(takes))} and give '
            f'{", ".join(sorted(gives))}: export the model again')


def _check_size(manifest: ModelManifest, role: str, specs: Sequence[Any], name: str,
                expected: tuple[int | None, ...]) -> None:
    """Check the fixed sizes of a tensor.

    Raises:
        ModelError: If they contradict the manifest.
    """
    shape = next(spec.shape for spec in specs if spec.name == name)
    fits = len(shape) == len(expected) and all(
        None in (own, wanted) or own == wanted
        for own, wanted in zip(shape, expected, strict=True))
    if not fits:
        raise ModelError(
            f'{name} of the {role} of model {manifest.name!r} has the shape {shape}, by its '
            f'manifest it is {expected} (None = any): the manifest belongs to another network; '
            'export the model again')


def _names(specs: Sequence[Any]) -> set[str]:
    return {spec.name for spec in specs}
