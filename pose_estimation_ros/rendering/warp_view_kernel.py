# The kernel is in Warp's dialect of Python.
# mypy: ignore-errors
"""The Warp kernel of `warp_view_renderer`: one thread per pixel.

Warp compiles this source, so `warp` is imported here at the top and its annotations are objects,
not strings; nobody imports this module before a `WarpViewRenderer` is made.
"""

import warp as wp

from pose_estimation_ros.rendering.view_renderer import (
    AMBIENT,
    DIFFUSE,
    PIXEL_CENTRE,
    SHININESS,
    SPECULAR,
)

_AMBIENT = wp.constant(wp.float32(AMBIENT))
_DIFFUSE = wp.constant(wp.float32(DIFFUSE))
_SPECULAR = wp.constant(wp.float32(SPECULAR))
_SHININESS = wp.constant(wp.float32(SHININESS))
_PIXEL_CENTRE = wp.constant(wp.float32(PIXEL_CENTRE))
_TINY = wp.constant(wp.float32(1e-12))


@wp.kernel(enable_backward=False)
def draw_views(meshes: wp.array(dtype=wp.uint64),
               first_vertices: wp.array(dtype=wp.int32),
               vertex_normals: wp.array(dtype=wp.vec3),
               objects: wp.array(dtype=wp.int32),
               rays: wp.array(dtype=wp.mat33),
               cameras: wp.array(dtype=wp.vec3),
               lights: wp.array(dtype=wp.vec3),
               near: wp.array(dtype=wp.float32),
               far: wp.array(dtype=wp.float32),
               shade: wp.array3d(dtype=wp.float32),
               depth: wp.array3d(dtype=wp.float32)):
    """Shade pixel [view, row, column] of `shade` and `depth`, which are 0 before.

    Args:
        meshes: (M,) identifiers of the meshes, each in its object frame, metres.
        first_vertices: (M,) where the normals of each mesh begin.
        vertex_normals: Of all meshes, one after the other.
        objects: (B,) mesh of each view.
        rays: (B,) matrices that take a pixel to its direction, of depth 1, object frame.
        cameras: (B,) where the rays of a view leave the depth `near`: moved camera centres.
        lights: (B,) unit direction to the light, object frame.
        near: (B,) depth at which the rays begin, metres.
        far: (B,) depth at which they end, counted from `near`, metres.
        shade: (B, S, S) to write.
        depth: (B, S, S) to write, metres.
    """
    view, row, column = wp.tid()
    direction = rays[view] * wp.vec3(
        float(column) + _PIXEL_CENTRE, float(row) + _PIXEL_CENTRE, 1.0)
    mesh = meshes[objects[view]]
    hit = wp.mesh_query_ray(mesh, cameras[view] + near[view] * direction, direction, far[view])
    if not hit.result:
        return
    first = first_vertices[objects[view]]
    a = vertex_normals[first + wp.mesh_get_index(mesh, 3 * hit.face)]
    b = vertex_normals[first + wp.mesh_get_index(mesh, 3 * hit.face + 1)]
    c = vertex_normals[first + wp.mesh_get_index(mesh, 3 * hit.face + 2)]
    # Warp's two weights are those of the first and the second corner.
    normal = hit.u * a + hit.v * b + (1.0 - hit.u - hit.v) * c
    normal = normal / wp.max(wp.length(normal), _TINY)
    sight = wp.normalize(direction)
    light = lights[view]
    facing = wp.dot(normal, light)
    grey = _AMBIENT
    if facing > 0.0:
        # The camera is at -sight; the reflected ray is 2 (n.l) n - l.
        mirrored = wp.dot(light, sight) - 2.0 * facing * wp.dot(normal, sight)
        grey += _DIFFUSE * facing + _SPECULAR * wp.pow(wp.max(mirrored, 0.0), _SHININESS)
    shade[view, row, column] = grey
    depth[view, row, column] = near[view] + hit.t
