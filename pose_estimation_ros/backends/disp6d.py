"""DISP6D: poses by looking up codes of pose, for categories and for known CAD objects.

An object of a category is compared with codes that are made for its own shape; decoded depth
tells how far and how large it is. A known object is compared with the codes of its views; how
large its box is tells how far it is, without depth. Known objects can be added and removed while
the backend runs, and need no training.

Source: Wen et al., DISP6D: Disentangled implicit shape and pose learning for scalable 6D pose
estimation, ECCV 2022.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from pose_estimation_ros.backends import rejections
from pose_estimation_ros.backends.base import BackendOptions, KnownObjects, Need, PoseBackend
from pose_estimation_ros.backends.box_foreground import has_no_mask, with_mask
from pose_estimation_ros.backends.depth_refinement import Refinement, chosen_refinement
from pose_estimation_ros.backends.disp6d_categories import CategoryEstimator
from pose_estimation_ros.backends.disp6d_crops import encoder_input, object_crop
from pose_estimation_ros.backends.disp6d_known_objects import best_candidate, known_object_pose
from pose_estimation_ros.backends.disp6d_model import (
    BACKEND,
    CategoryDecoder,
    Codes,
    ViewEncoder,
    find_disp6d_model,
    is_for_categories,
    turns_as_published,
)
from pose_estimation_ros.backends.disp6d_objects import ObjectFolder, default_objects_folder
from pose_estimation_ros.backends.disp6d_translation import EXACT, PUBLISHED
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.runtime.model_store import expand_home

# Least time between two looks at the folder of objects, seconds.
_LOOK_PERIOD = 0.5


class DISP6DBackend:
    """DISP6D and what is around it.

    Attributes:
        name: Name in the registry.
        needs: A frame must bring detections; objects of categories need depth as well.
    """

    name = BACKEND

    def __init__(self, encoder: ViewEncoder, categories: CategoryEstimator | None,
                 object_encoder: ViewEncoder, objects: ObjectFolder,
                 refinement: Refinement | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """Join what was loaded.

        Args:
            encoder: Of the model of categories.
            categories: Estimates objects without CAD models; None for a model that cannot.
            object_encoder: Of known objects; may be the same one.
            objects: The known objects.
            refinement: Improves the poses of known objects by depth; None = colour alone.
            clock: Seconds, for the next look at the folder of objects.
        """
        self._encoder = encoder
        self._category_estimator = categories
        self._object_encoder = object_encoder
        self._objects = objects
        self._refinement = refinement
        self._clock = clock
        self._next_look = 0.0
        self._sight, self._object_sight = (
            PUBLISHED if turns_as_published(entry.manifest) else EXACT
            for entry in (encoder, object_encoder))
        self.needs: frozenset[Need] = frozenset(
            {'detections'} if categories is None and refinement is None
            else {'detections', 'depth_if_any'})

    @property
    def categories(self) -> tuple[str, ...]:
        """Labels of detections that can get a pose, as of the last look at the folder."""
        own = () if self._category_estimator is None else self._encoder.manifest.categories
        return tuple(dict.fromkeys([*own, *self._objects.present.labels]))

    def look_for_objects(self) -> None:
        """Look at the folder of objects, but not with every frame."""
        if self._clock() >= self._next_look:
            self._objects.refresh()
            self._next_look = self._clock() + _LOOK_PERIOD

    def reload_objects(self) -> KnownObjects:
        """Look at the folder of objects now."""
        present = self._objects.refresh()
        return KnownObjects(tuple(present.objects), tuple(present.refused.values()))

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Estimate the poses of all detections of a frame; their crops are one batch."""
        labels = self.categories
        faults = [self._fault(detection, labels) for detection in detections]
        usable = [entry for entry, fault in zip(detections, faults, strict=True) if fault is None]
        poses = iter(self._poses(frame, usable) if usable else [])
        return [next(poses) if fault is None else fault for fault in faults]

    def describe(self) -> dict[str, str]:
        """Return model, provider and known objects, and why files of objects are refused."""
        present = self._objects.present
        facts = {'backend': self.name, 'model': self._encoder.manifest.name,
                 'object model': self._object_encoder.manifest.name,
                 'provider': self._encoder.provider, 'objects folder': str(self._objects.folder),
                 'objects': ', '.join(present.objects) or 'none',
                 'known objects are fitted to': (
                     'colour' if self._refinement is None else 'depth while it arrives')}
        return facts | {f'refused {name}': reason for name, reason in present.refused.items()}

    def close(self) -> None:
        """Free the networks."""
        self._encoder.close()
        self._object_encoder.close()
        if self._category_estimator is not None:
            self._category_estimator.close()

    def _fault(self, detection: Detection, labels: tuple[str, ...]) -> Rejection | None:
        if detection.label not in labels:
            return rejections.unknown_label(detection, self._encoder.manifest.name, labels)
        # The centre and the crop are of whole pixels.
        if (np.trunc(detection.box[2:] - detection.box[:2]) < 1).any():
            return rejections.no_extent(detection)
        return None

    def _poses(self, frame: RGBDFrame,
               detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        present = self._objects.present
        candidates = [present.candidates(detection.label) for detection in detections]
        if self._refinement is not None:  # Else depth is not to be looked at.
            detections = [
                with_mask(frame, detection, max(entry.surface.diagonal for entry in entries))
                if entries and has_no_mask(detection) else detection
                for detection, entries in zip(detections, candidates, strict=True)]
        codes = self._codes(frame, detections, [
            self._object_encoder if entries else self._encoder for entries in candidates])
        answers: list[ObjectPose | Rejection] = []
        for detection, entries, own in zip(detections, candidates, codes, strict=True):
            if entries:
                match = best_candidate(entries, own.pose)
                pose = known_object_pose(detection, match, frame.intrinsics.K,
                                         self._object_sight, self.name)
                answers.append(pose if self._refinement is None else
                               self._refinement(pose, match.entry.surface, frame))
            elif self._category_estimator is not None and (
                    detection.label in self._encoder.manifest.categories):
                answers.append(self._category_estimator.pose(frame, detection, own,
                                                             self._sight.turn, self.name))
            else:  # The object was removed since its label was looked up.
                answers.append(rejections.unknown_label(
                    detection, self._encoder.manifest.name, self.categories))
        return answers

    def _codes(self, frame: RGBDFrame, detections: Sequence[Detection],
               encoders: Sequence[ViewEncoder]) -> list[Codes]:
        """Return the codes of each detection by its own encoder, one batch for each encoder."""
        bgr = np.ascontiguousarray(frame.rgb[..., ::-1])
        height, width = bgr.shape[:2]
        codes: dict[int, Codes] = {}
        for encoder in dict.fromkeys(encoders):
            rows = [row for row, own in enumerate(encoders) if own is encoder]
            crops = np.stack([object_crop(bgr, detections[row].box,
                                          detections[row].full_mask(height, width), encoder.crops)
                              for row in rows])
            found = encoder.encode(encoder_input(crops, encoder.crops))
            codes |= {row: found.row(number) for number, row in enumerate(rows)}
        return [codes[row] for row in range(len(detections))]


def create_disp6d(options: BackendOptions) -> PoseBackend:
    """Create the backend for the model named in the options, or the default one.

    Raises:
        ModelError: If the model is missing, damaged, or made for another backend.
        ConfigurationError: If the device is not there.
    """
    model = find_disp6d_model(options.model)
    encoder = ViewEncoder(model, options.device, options.threads)
    categories = None
    if is_for_categories(model.manifest):
        decoder = CategoryDecoder(model, options.device, options.threads)
        categories = CategoryEstimator(model.manifest, decoder, options.disp6d,
                                       options.upright_tolerance)
    object_model, object_encoder = model, encoder
    if options.disp6d.object_model:
        object_model = find_disp6d_model(options.disp6d.object_model)
        object_encoder = ViewEncoder(object_model, options.device, options.threads)
    folder = (expand_home(options.disp6d.objects) if options.disp6d.objects
              else default_objects_folder(object_model.folder.name))
    objects = ObjectFolder(folder, object_encoder.fingerprint, object_model.manifest.name)
    return DISP6DBackend(encoder, categories, object_encoder, objects,
                         chosen_refinement(options.disp6d.refinement))
