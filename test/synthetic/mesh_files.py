"""Mesh files for tests."""

import numpy as np

from pose_estimation_ros.rendering.primitives import box, cylinder


def save_mesh(path, mesh, scale=1.0):
    """Write a `Mesh` with its coordinates multiplied by `scale`."""
    import open3d

    path.parent.mkdir(parents=True, exist_ok=True)
    shape = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(np.asarray(mesh.vertices, dtype=float) * scale),
        open3d.utility.Vector3iVector(mesh.faces))
    shape.compute_triangle_normals()
    assert open3d.io.write_triangle_mesh(str(path), shape)


def save_boxes_and_tubes(root, count=4):
    """Write boxes in metres, and z-up tubes in millimetres, with their objects.yaml."""
    for index in range(count):
        save_mesh(root / 'box' / f'box_{index}.ply', box((0.1 + 0.01 * index, 0.2, 0.05)))
        save_mesh(root / 'tube' / f'tube_{index}.stl', cylinder(0.03, 0.15, 24), 1000.0)
    (root / 'objects.yaml').write_text(
        'categories:\n'
        '  tube: {unit: mm, up: z, symmetry: {axis: y, discrete: [{about: x, fold: 2}]}}\n'
        '  box:\n'
        '    symmetry: {discrete: [{about: y, fold: 2}, {about: x, fold: 2}]}\n'
        '    mirrors: yes\n')
    return root
