"""A DISP6D model, checked and loaded: encoder, codes of rotations, decoder of depth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.disp6d_codebook import unit_length
from pose_estimation_ros.backends.disp6d_crops import CropSettings
from pose_estimation_ros.backends.disp6d_depth_alignment import DecodedView
from pose_estimation_ros.backends.disp6d_rotation_search import RotationMatch, RotationSearch
from pose_estimation_ros.backends.disp6d_stance import stance_preference
from pose_estimation_ros.core.errors import ModelError, PoseEstimationError
from pose_estimation_ros.core.hyperspherical_harmonics import encode_rotations
from pose_estimation_ros.core.reference_rotations import ReferenceRotations, reference_rotations
from pose_estimation_ros.runtime import InferenceSession, Model, ModelManifest, ModelStore

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

BACKEND, _DEFAULT_MODEL = 'disp6d', 'disp6d_lite'
ENCODER, CONDITIONED_CODES, DEPTH_DECODER = 'encoder', 'conditioned_codes', 'depth_decoder'
SHAPE, POSE = 'z_obj', 'z_pose'
_ROTATIONS = 'rotations'
_PERSPECTIVES = ('exact', 'published')
# As many crops go through the encoder at once.
_BATCH = 32
# Splits and turns of the rotations that are looked at first: 504.
_COARSE = (1, 12)


@dataclass(frozen=True)
class ViewSettings:
    """How views of known objects are taken; written in the manifest of their encoder.

    Attributes:
        view_distance: From the camera to the middle of the object's box, in diameters of the
            sphere about it.
        splits: Of the icosahedron whose corners the cameras are in.
        turns: Of each camera about its optical axis.
    """

    view_distance: float = 5.0
    splits: int = 3
    turns: int = 32

    @classmethod
    def of(cls, manifest: ModelManifest) -> ViewSettings:
        """Return the settings of a manifest; what it does not name has its default.

        Raises:
            ModelError: If an entry is no number that makes sense.
        """
        return cls(_number(manifest, 'view_distance', cls.view_distance),
                   _count(manifest, 'splits', cls.splits), _count(manifest, 'turns', cls.turns))

    def rotations(self) -> ReferenceRotations:
        """Return the rotations of the views."""
        return reference_rotations(self.splits, self.turns)


@dataclass(frozen=True, eq=False)
class Codes:
    """What the encoder says of N crops.

    Attributes:
        shape: (N, D) float32, what it is.
        pose: (N, D) float32, how it is turned.
    """

    shape: Float32Array
    pose: Float32Array

    def row(self, number: int) -> Codes:
        """Return the codes of one crop, N = 1."""
        return Codes(self.shape[number:number + 1], self.pose[number:number + 1])


class ViewEncoder:
    """The encoder of a model, and how its crops are made.

    Attributes:
        manifest: Of the model.
        crops: How crops are cut.
        views: How views of known objects are taken.
        fingerprint: Of everything on which codes of views depend.
    """

    def __init__(self, model: Model, device: str, threads: int) -> None:
        """Load the encoder.

        Args:
            model: Of the backend 'disp6d'.
            device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
            threads: CPU threads; 0 = one per core.

        Raises:
            ModelError: If the encoder is missing, damaged, or does not fit the manifest.
            ConfigurationError: If the device is not there.
        """
        entries = model.manifest.parameters
        self.manifest = model.manifest
        self.crops = CropSettings.of(model.manifest.name, entries)
        self.views = ViewSettings.of(model.manifest)
        self.fingerprint = fingerprint_of(model.manifest)
        path = model.file(ENCODER)
        self._session = InferenceSession(path, device, threads)
        _check_tensors(self.manifest, ENCODER, self._session, {'image'}, {SHAPE, POSE})
        self.provider = self._session.providers[0]
        side = self.crops.crop
        try:
            self.encode(np.zeros((1, 3, side, side), np.float32))
        except PoseEstimationError as error:
            self._session.close()
            raise ModelError(f'the encoder of model {self.manifest.name!r} does not take crops of '
                             f'{side} pixels, as its manifest says ({error}); export the model '
                             'again') from error

    def encode(self, images: Float32Array) -> Codes:
        """Return the codes of crops.

        Args:
            images: (N, 3, crop, crop) of `encoder_input`; N is not 0.
        """
        answers = [self._session.run({'image': images[first:first + _BATCH]})
                   for first in range(0, len(images), _BATCH)]
        return Codes(*(np.concatenate([answer[name] for answer in answers])
                       for name in (SHAPE, POSE)))

    def close(self) -> None:
        """Free the network."""
        self._session.close()


class CategoryDecoder:
    """What a model says of objects of its categories, without CAD models.

    Attributes:
        view: How depth is decoded.
    """

    def __init__(self, model: Model, device: str, threads: int) -> None:
        """Load both networks and encode the rotations.

        Raises:
            ModelError: If something is missing, damaged, or does not fit the manifest.
            ConfigurationError: If the device is not there.
        """
        self.view = DecodedView(*(
            _number(model.manifest, name, default) for name, default in (
                ('depth_focal', DecodedView.focal), ('depth_distance', DecodedView.distance),
                ('depth_background', DecodedView.background))))
        self._search = RotationSearch(*_category_rotations(model))
        try:
            encoding = model.manifest.parameters['encoding']
            self._encoding, self._coarse_encoding = (
                encode_rotations(R, encoding).astype(np.float32)
                for R in (self._search.rotations, self._search.coarse))
        except (KeyError, PoseEstimationError) as error:
            raise ModelError(f'model {model.manifest.name!r}: its manifest must give the '
                             f'parameters.encoding of rotations ({error}); export it '
                             'again') from error
        self._conditioned = InferenceSession(model.file(CONDITIONED_CODES), device, threads)
        self._decoder = InferenceSession(model.file(DEPTH_DECODER), device, threads)
        _check_tensors(model.manifest, CONDITIONED_CODES, self._conditioned,
                       {SHAPE, 'encoding'}, {'codes'})
        _check_tensors(model.manifest, DEPTH_DECODER, self._decoder, {SHAPE, POSE}, {'depth'})

    def rotation(self, shape: Float32Array, pose: Float32Array,
                 up: FloatArray | None = None) -> RotationMatch:
        """Return the rotation whose code, given the shape, is nearest to that of the pose.

        Args:
            shape: (D,) code of the shape.
            pose: (D,) code of the pose.
            up: (3,) unit direction away from the ground in the frame of the rotations: likely
                stances are then preferred. None = codes alone count.
        """
        def cosines(encoding: Float32Array) -> Float32Array:
            codes = self._conditioned.run({SHAPE: shape[None], 'encoding': encoding})['codes'][0]
            return np.asarray(unit_length(codes) @ unit_length(pose))

        preferred = (np.zeros(len(self._search.rotations)) if up is None
                     else stance_preference(self._search.rotations, up))
        # Coarse rotations are farther apart than stances are wide.
        among = self._search.promising(
            lambda: cosines(self._coarse_encoding) + self._search.best_nearby(preferred))
        found = cosines(self._encoding[among])
        best = int((found + preferred[among]).argmax())
        return RotationMatch(self._search.rotations[among[best]], float(found[best]))

    def depth(self, codes: Codes) -> Float32Array:
        """Return the (N, S, S) decoded depth images, 0 to 1, of N objects."""
        answer = self._decoder.run({SHAPE: codes.shape, POSE: codes.pose})
        return np.asarray(answer['depth'][:, 0])

    def close(self) -> None:
        """Free the networks."""
        self._conditioned.close()
        self._decoder.close()


def find_disp6d_model(name: str) -> Model:
    """Return the model of that name or folder; '' = the default one.

    Raises:
        ModelError: If it is missing, damaged, or made for another backend.
    """
    store = ModelStore()
    if not name and _DEFAULT_MODEL not in store.names():
        raise ModelError(
            f'the backend {BACKEND!r} needs a model: none is named, and its default, '
            f'{_DEFAULT_MODEL!r}, is in none of {", ".join(map(str, store.folders))}; train one '
            'and export it, or `pose-estimation import disp6d` a published checkpoint, and give '
            'its folder (model:=<folder>, --model <folder>; docs/disp6d.md)')
    model = store.find(name or _DEFAULT_MODEL, task='pose')
    if model.manifest.backend != BACKEND:
        raise ModelError(f'model {model.manifest.name!r} is made for the backend '
                         f'{model.manifest.backend!r}, not for {BACKEND!r}; choose that backend, '
                         'or a model of DISP6D (docs/disp6d.md)')
    return model


def fingerprint_of(manifest: ModelManifest) -> str:
    """Return a hash of a model's encoder and of how its crops and views are made.

    Raises:
        ModelError: If the manifest names no encoder or makes no sense.
    """
    if ENCODER not in manifest.files:
        raise ModelError(f'model {manifest.name!r} has no file {ENCODER!r}; its manifest lists '
                         f'{", ".join(manifest.files) or "none"}: export it again')
    content: Mapping[str, Any] = {
        'encoder': manifest.files[ENCODER].sha256,
        **asdict(CropSettings.of(manifest.name, manifest.parameters)),
        **asdict(ViewSettings.of(manifest))}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def is_for_categories(manifest: ModelManifest) -> bool:
    """Return whether a model knows categories, and not CAD objects alone."""
    return bool(manifest.categories)


def turns_as_published(manifest: ModelManifest) -> bool:
    """Return whether a model's rotations are turned to the line of sight as in published code.

    Raises:
        ModelError: If the manifest says neither so nor otherwise.
    """
    value = manifest.parameters.get('perspective', _PERSPECTIVES[0])
    if value not in _PERSPECTIVES:
        raise ModelError(f'model {manifest.name!r}: its manifest says parameters.perspective = '
                         f'{value!r}, which must be one of {", ".join(_PERSPECTIVES)}; export '
                         'the model again')
    return bool(value == _PERSPECTIVES[1])


def _number(manifest: ModelManifest, name: str, default: float) -> float:
    value = manifest.parameters.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ModelError(f'model {manifest.name!r}: its manifest says parameters.{name} = '
                         f'{value!r}, which must be a positive number; export the model again')
    return float(value)


def _count(manifest: ModelManifest, name: str, default: int) -> int:
    value = manifest.parameters.get(name, default)
    if type(value) is not int or value < 0:
        raise ModelError(f'model {manifest.name!r}: its manifest says parameters.{name} = '
                         f'{value!r}, which must be a whole number; export the model again')
    return value


def _category_rotations(model: Model) -> tuple[FloatArray, FloatArray]:
    """Return (K, 3, 3) rotations of categories and (C, 3, 3) to look at first, C = 0: all.

    They are the model's own, else evenly spread ones.
    """
    manifest = model.manifest
    if _ROTATIONS not in manifest.files:
        fine = reference_rotations(_count(manifest, 'category_splits', 3),
                                   _count(manifest, 'category_turns', 32))
        return fine.matrices(), reference_rotations(*_COARSE).matrices()
    path = model.file(_ROTATIONS)
    try:
        with np.load(path, allow_pickle=False) as archive:
            own = np.asarray(archive['matrix'], dtype=np.float64).reshape(-1, 3, 3)
            return own, own[:0]
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise ModelError(f'{path} holds no rotations named matrix ({error}); export or import '
                         'the model again') from error


def _check_tensors(manifest: ModelManifest, role: str, session: InferenceSession,
                   takes: set[str], gives: set[str]) -> None:
    """Check that a network takes exactly these tensors and gives at least those.

    Raises:
        ModelError: If it does not.
    """
    taken = {spec.name for spec in session.inputs}
    given = {spec.name for spec in session.outputs}
    if taken != takes or not gives <= given:
        raise ModelError(
            f'the {role} of model {manifest.name!r} takes {", ".join(sorted(taken))} and gives '
            f'{", ".join(sorted(given))}; it must take {", ".join(sorted(takes))} and give '
            f'{", ".join(sorted(gives))}: export the model again')
