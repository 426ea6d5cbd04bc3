"""PASCAL3D+ and ObjectNet3D: photographs with CAD models aligned to them.

Nothing in them is metric: lengths are in units of the CAD models (a car is about 0.9 long), which
stand where other data sets have metres.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.frame_files import FRAME_ID, read_image
from pose_estimation_ros.datasets.pascal3d_layout import AnnotatedImage, CadModels, find_layout
from pose_estimation_ros.datasets.pascal3d_record import Pascal3dRecord, read_record

# Of an image without any usable annotation, as in all others: focal 1 times viewport 3000.
FOCAL_LENGTH = 3000.0


class Pascal3dDataset:
    """A split of PASCAL3D+ or ObjectNet3D; implements `AnnotatedDataset`.

    Frames have no depth and no masks. Their camera has the focal length of the annotations and
    its principal point in the middle of the image; `Viewpoint.pose` says how poses are carried
    over to it. Boxes, key points and flags are in `record`, where `index + 1` is the
    `instance_id` of the object.
    """

    def __init__(self, root: Path, split: str, categories: Sequence[str] = ()) -> None:
        """Find the images; annotations are read with the frames.

        Args:
            root: The unpacked data set.
            split: PASCAL3D+: 'imagenet_val' and the like; ObjectNet3D: 'train', 'val', 'test'.
            categories: Classes to read; none = all that are there.

        Raises:
            InvalidInputError: If the folder has another layout, or a class or the list of the
                split is missing.
        """
        self._layout = find_layout(Path(root))
        unknown = sorted(set(categories) - set(self._layout.categories))
        if unknown:
            raise InvalidInputError(f'{root} has no classes {", ".join(unknown)}; it has '
                                    f'{", ".join(self._layout.categories) or "none"}')
        self.split = split
        self.categories = tuple(categories) or self._layout.categories
        self.cad_models = CadModels(self._layout.cad_folder)
        self._images = self._layout.images(split, self.categories)

    @property
    def name(self) -> str:
        """Name for tables, such as 'PASCAL3D+-imagenet_val'."""
        return f'{self._layout.title}-{self.split}'

    def __len__(self) -> int:
        """Return the number of frames, those without a usable object included."""
        return len(self._images)

    def __getitem__(self, index: int) -> AnnotatedFrame:
        """Read a frame; objects without a usable pose are left out, see `record`.

        Raises:
            InvalidInputError: If a file of it is missing or wrong; names path and cure.
            IndexError: Past the end.
        """
        return read_frame(self._images[index], self.record(index), self.cad_models,
                          stamp_ns=index * 1_000_000_000)

    def __iter__(self) -> Iterator[AnnotatedFrame]:
        """Read all frames in order."""
        return (self[index] for index in range(len(self)))

    def record(self, index: int) -> Pascal3dRecord:
        """Read the annotation of a frame without its image.

        Raises:
            InvalidInputError: If the file is missing or damaged.
        """
        return read_record(self._images[index].annotation, self._images[index].categories)

    def count_skipped(self) -> Counter[str]:
        """Read all annotations and count the objects without a usable pose by reason."""
        return Counter(skipped.reason for index in range(len(self))
                       for skipped in self.record(index).skipped)


def read_frame(files: AnnotatedImage, record: Pascal3dRecord, cad_models: CadModels,
               stamp_ns: int) -> AnnotatedFrame:
    """Read an image and state its objects in its camera.

    Raises:
        InvalidInputError: If the image or a CAD model is missing or damaged.
    """
    rgb = cv2.cvtColor(read_image(files.image_file(), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    height, width = rgb.shape[:2]
    centre = width / 2, height / 2
    focal = record.objects[0].viewpoint.focal_length if record.objects else FOCAL_LENGTH
    camera = CameraIntrinsics.pinhole(width, height, focal, focal, *centre)
    objects = tuple(
        ObjectAnnotation(
            instance_id=item.index + 1, label=item.category,
            model=f'{item.category}/{item.cad_index:02d}',
            T_camera_object=item.viewpoint.pose(centre),
            size=cad_models.size(item.category, item.cad_index))
        for item in record.objects)
    return AnnotatedFrame(files.name, RGBDFrame(stamp_ns, FRAME_ID, rgb, None, camera), objects)
