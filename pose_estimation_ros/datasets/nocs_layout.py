"""Where the files of the NOCS data sets lie and what they are called.

Source: Wang et al., Normalized Object Coordinate Space, CVPR 2019, and its released data; the
lists and pickles that Tian et al., ECCV 2020 (SPD) add to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.frame_files import Calibration, read_calibration, read_json
from pose_estimation_ros.datasets.nocs import REAL_CAMERA, SYNTHETIC_CAMERA

Subset = Literal['camera_train', 'camera_val', 'real_train', 'real_test']
SUBSETS: tuple[Subset, ...] = get_args(Subset)

# WordNet's number of each of the six categories, in their order.
SYNSETS = ('02876657', '02880940', '02942699', '02946921', '03642806', '03797390')
MUG = 'mug'

_TITLES = {'camera_train': 'CAMERA-train', 'camera_val': 'CAMERA25-val',
           'real_train': 'REAL-train', 'real_test': 'REAL275-test'}


@dataclass(frozen=True)
class NocsLayout:
    """The paths of one subset below a root folder.

    Attributes:
        root: Folder with `CAMERA/` or `Real/` and with `obj_models/`.
        subset: Which of the four.
    """

    root: Path
    subset: Subset

    def __post_init__(self) -> None:
        """Check the subset's name.

        Raises:
            ConfigurationError: If there is no such subset.
        """
        if self.subset not in SUBSETS:
            raise ConfigurationError(f'unknown NOCS subset {self.subset!r}; choose one of '
                                     f'{", ".join(SUBSETS)}')
        object.__setattr__(self, 'root', Path(self.root))

    @property
    def title(self) -> str:
        """Name for tables: that of the papers, but of generated data folder and subset."""
        if self.description_file.is_file():
            return f'{self.root.resolve().name}-{self.subset}'
        return _TITLES[self.subset]

    @property
    def description_file(self) -> Path:
        """What a generated subset was made from; published data have none."""
        return self.root / f'generated_{self.subset}.json'

    @property
    def is_synthetic(self) -> bool:
        """Whether the subset has the layout of CAMERA, else that of REAL."""
        return self.subset.startswith('camera')

    @property
    def split(self) -> str:
        """'train', 'val' or 'test', the first part of every frame's name."""
        return self.subset.split('_')[1]

    @property
    def source(self) -> Path:
        """Folder that the frames' names are relative to."""
        return self.root / ('CAMERA' if self.is_synthetic else 'Real')

    @property
    def list_file(self) -> Path:
        """List of the frames that have at least one labelled object."""
        return self.source / f'{self.split}_list.txt'

    @property
    def models_folder(self) -> Path:
        """Folder of the subset's meshes."""
        return self.root / 'obj_models' / (self.split if self.is_synthetic else self.subset)

    def scene_folder(self, number: int) -> Path:
        """Return the folder of a scene, such as `CAMERA/val/00012` or `Real/test/scene_12`."""
        name = f'{number:05d}' if self.is_synthetic else f'scene_{number}'
        return self.source / self.split / name

    @property
    def points_file(self) -> Path:
        """Pickle with the surface points of the subset's models."""
        return self.root / 'obj_models' / f'{self.subset}.pkl'

    @property
    def mug_file(self) -> Path:
        """Pickle that says how each mug was re-centred."""
        return self.root / 'obj_models/mug_meta.pkl'

    def file(self, frame: str, suffix: str) -> Path:
        """Return a frame's file, such as `CAMERA/val/00000/0003_mask.png` for 'mask.png'."""
        return self.source / f'{frame}_{suffix}'

    def composed_depth_file(self, frame: str) -> Path:
        """Return a CAMERA frame's depth with the real background behind the objects."""
        return self.root / 'camera_full_depths' / f'{frame}_composed.png'

    def result_name(self, frame: str) -> str:
        """Return the name of a frame's pickle of detections or results."""
        _, folder, image = frame.split('/')
        return f'results_{self.split}_{folder}_{image}.pkl'

    def truth_files(self, frame: str) -> tuple[Path, ...]:
        """Return where a frame's published ground truth may lie, the most complete first.

        The ground truth of REAL test that NOCS released (`gts/`) lacks classes and boxes; the
        result pickles released with SPD have them.
        """
        gts_file = self.gts_file(frame)
        folder, name = gts_file.parent.name, self.result_name(frame)
        # The last holds what this package generated before it knew the name in `gts/`.
        return (self.root / 'results/nocs_results' / folder / name,
                self.root.parent / 'results/nocs_results' / folder / name,
                gts_file, gts_file.with_name(name))

    def gts_file(self, frame: str) -> Path:
        """Return a frame's ground truth as NOCS released it.

        It names the subset: `gts/real_test/results_real_test_scene_1_0000.pkl`, where detections
        and results of the same frame are `results_test_scene_1_0000.pkl`.
        """
        part = self.split if self.is_synthetic else self.subset
        _, folder, image = frame.split('/')
        return self.root / 'gts' / part / f'results_{part}_{folder}_{image}.pkl'

    def frames_without_truth(self) -> tuple[str, ...]:
        """Return the frames of a test set for which there is no published ground truth."""
        if self.split == 'train':
            return ()
        return tuple(frame for frame in self.frames()
                     if not any(path.is_file() for path in self.truth_files(frame)))

    def calibration(self, frame: str) -> Calibration:
        """Return the camera of a frame: its scene's `camera.json`, else the published one.

        Raises:
            InvalidInputError: If the `camera.json` cannot be used.
        """
        path = self.file(frame, 'color.png').with_name('camera.json')
        if path.is_file():
            return read_calibration(path)
        return SYNTHETIC_CAMERA if self.is_synthetic else REAL_CAMERA

    def frames(self) -> tuple[str, ...]:
        """Return the names of the frames, such as 'val/00000/0003'.

        They are those of the list beside the split's folder; without a list all that have their
        images.

        Raises:
            InvalidInputError: If there are none.
        """
        if self.list_file.is_file():
            names = tuple(self.list_file.read_text(encoding='utf-8').split())
            wrong = next((name for name in names if name.count('/') != 2), None)
            if wrong is not None:
                raise InvalidInputError(
                    f'{self.list_file} holds {wrong!r}; each line must be <split>/<folder>/'
                    '<image>, such as train/00000/0000')
        else:
            names = self.complete_frames()
        if not names:
            raise InvalidInputError(
                f'{self.source / self.split} holds no NOCS frames; {self.root} must be the folder '
                f'with {self.source.name}/{self.split}/<folder>/0000_color.png, _depth.png, '
                '_mask.png and _meta.txt')
        return names

    def complete_frames(self) -> tuple[str, ...]:
        """Return the sorted names of all frames that have images, mask and list of objects.

        CAMERA val as released lacks files of 3792 frames.
        """
        found = []
        for color in sorted((self.source / self.split).glob('*/*_color.png')):
            name = color.relative_to(self.source).as_posix().removesuffix('_color.png')
            # A folder with a dot is still being written.
            if not color.parent.name.startswith('.') and all(self.file(name, suffix).is_file()
                   for suffix in ('depth.png', 'mask.png', 'meta.txt')):
                found.append(name)
        return tuple(found)

    @property
    def categories_file(self) -> Path:
        """Description of the categories, where they are not the six of NOCS."""
        return self.root / 'categories.json'

    def categories(self) -> tuple[Category, ...]:
        """Return the categories by class id, from 1: NOCS's six, or those of `categories.json`.

        Raises:
            InvalidInputError: If that file cannot be used.
        """
        path = self.categories_file
        if not path.is_file():
            return CATEGORIES
        try:
            return tuple(Category.from_plain(plain) for plain in read_json(path)['categories'])
        except (KeyError, TypeError) as error:
            raise InvalidInputError(
                f'{path} does not describe categories ({error!r}); it needs "categories", a list '
                'of name, symmetry and mirrors, in the order of the class ids') from error


def categories_text(categories: Sequence[Category]) -> str:
    """Return the content of a `categories.json`."""
    plain = {'categories': [category.as_plain() for category in categories]}
    return json.dumps(plain, indent=1) + '\n'
