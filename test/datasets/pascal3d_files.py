"""Small data sets in the layouts of PASCAL3D+, ObjectNet3D and OccludedPASCAL3D+."""

import cv2
import numpy as np
from scipy.io import savemat

VIEW = {'azimuth': 30.0, 'elevation': 12.0, 'theta': -8.0, 'distance': 5.5, 'focal': 1.0,
        'px': 25.5, 'py': 14.0, 'viewport': 3000.0, 'azimuth_coarse': 40.0,
        'elevation_coarse': 10.0}
ANCHORS = {'left_wheel': {'location': np.array([[3.5, 7.25]]), 'status': 1},
           'right_wheel': {'location': np.array([[9.0, 8.0]]), 'status': 3},
           'roof': {'location': np.zeros((0, 0)), 'status': 2}}
EMPTY = np.zeros((0, 0))
IMAGE = np.full((32, 48, 3), (10, 60, 200), np.uint8)
# x, y and z extents differ; the first quad is split by the reader.
OFF = """OFF
8 6 0
-0.4 -0.2 -0.1
0.4 -0.2 -0.1
0.4 0.2 -0.1
-0.4 0.2 -0.1
-0.4 -0.2 0.1
0.4 -0.2 0.1
0.4 0.2 0.1
-0.4 0.2 0.1
4 0 3 2 1
4 4 5 6 7
4 0 1 5 4
4 1 2 6 5
4 2 3 7 6
4 3 0 4 7
"""


def entry(category='car', view=VIEW, **values):
    """Return one element of `record.objects`."""
    return {'class': category, 'bbox': np.array([[4.0, 5.0, 40.0, 28.0]]), 'cad_index': 2,
            'truncated': 0, 'occluded': 1, 'difficult': 0, 'anchors': ANCHORS,
            'viewpoint': view} | values


def without(view, *names):
    return {name: value for name, value in view.items() if name not in names}


def write_record(path, entries):
    """Write a `.mat` file with the nesting of the released ones: a 1xN struct array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(entries[0])
    objects = np.empty((1, len(entries)), dtype=[(name, object) for name in names])
    for index, values in enumerate(entries):
        for name in names:
            objects[name][0, index] = values[name]
    savemat(path, {'record': {'filename': f'{path.stem}.JPEG', 'objects': objects,
                              'imgsize': np.array([[48.0, 32.0, 3.0]])}})


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_image(path, image=IMAGE):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])


def write_pascal3d(root, names=('n01_1', 'n01_2'), entries=None):
    """Write cars of the ImageNet part; returns the root."""
    for name in names:
        write_record(root / 'Annotations' / 'car_imagenet' / f'{name}.mat', entries or [entry()])
        write_image(root / 'Images' / 'car_imagenet' / f'{name}.JPEG')
    write_text(root / 'Image_sets' / 'car_imagenet_val.txt', '\n'.join(names) + '\n')
    for index in (1, 2):
        write_text(root / 'CAD' / 'car' / f'{index:02d}.off', OFF)
    return root


def write_objectnet3d(root, entries):
    write_record(root / 'Annotations' / 'n02_7.mat', entries)
    write_image(root / 'Images' / 'n02_7.JPEG')
    write_text(root / 'Image_sets' / 'test.txt', 'n02_7\n')
    for category in ('car', 'cup'):
        write_text(root / 'CAD' / 'off' / category / '02.off', OFF)
    return root


def write_occluded(root, level='FGL1_BGL1', name='n01_2', cover=None):
    """Write one occluded image of the data set of `write_pascal3d`; returns the masks."""
    whole = np.zeros((32, 48), np.uint8)
    whole[8:24, 8:40] = 255
    cover = np.zeros((32, 48), bool) if cover is None else cover
    folder = f'car{level}'
    write_image(root / 'images' / folder / f'{name}.JPEG')
    write_text(root / 'lists' / f'{folder}.txt', f'{name}.JPEG\n')
    path = root / 'annotations' / folder / f'{name}.npz'
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, source=f'{name}.JPEG', mask=whole, occluder_mask=cover,
             box=np.array([8, 24, 8, 40, 32, 48]),
             occluder_box=np.array([{'a': 1}, None], dtype=object))
    return whole > 0, path
