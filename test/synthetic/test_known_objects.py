"""Known CAD models: frames, colours, symmetries, scenes, and the picture to confirm them by."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mesh_files import save_boxes_and_tubes

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.mesh_files import read_mesh, write_ply
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.synthetic.colors import color_change, linear_to_srgb, srgb_to_linear
from pose_estimation_ros.synthetic.dataset_writing import write_bop
from pose_estimation_ros.synthetic.frame_cache import read_frames, write_frame_shards
from pose_estimation_ros.synthetic.materials import sample_colored_material
from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder
from pose_estimation_ros.synthetic.recipe import FrameRecipe
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.synthetic.shard_files import read_description
from pose_estimation_ros.synthetic.solids import Solid
from pose_estimation_ros.synthetic.splits import BACKGROUND_ROLES
from pose_estimation_ros.synthetic.symmetry_picture import (
    PICTURE,
    equivalent_rotations,
    symmetry_picture,
    write_symmetry_picture,
)
from pose_estimation_ros.synthetic.textures import Surface, own_colors

pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')

RED, BLUE = (200, 30, 20), (10, 40, 220)
SIZES = {'obj_000002': (0.10, 0.06, 0.03), 'obj_000005': (0.12, 0.07, 0.05)}
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


def save_bop_models(folder: Path, with_symmetry: bool) -> Path:
    """Write two boxes, red below and blue above, whose frames are at a corner of them."""
    infos = {}
    for name, size in SIZES.items():
        mesh = box(size)
        vertices = mesh.vertices.astype(float)
        if not with_symmetry:
            vertices = vertices + np.array(size) / 2
        colors = np.where(mesh.vertices[:, 2:] > 0, BLUE, RED).astype(np.uint8)
        folder.mkdir(parents=True, exist_ok=True)
        write_ply(folder / f'{name}.ply', vertices, mesh.faces, 0.001, colors)
        low = 1000 * vertices.min(axis=0)
        infos[str(int(name[4:]))] = {
            'diameter': 1000 * float(np.linalg.norm(size)),
            **{f'min_{axis}': low[index] for index, axis in enumerate('xyz')},
            **{f'size_{axis}': 1000 * size[index] for index, axis in enumerate('xyz')}}
    if with_symmetry:
        infos['5']['symmetries_discrete'] = [HALF_TURN.ravel().tolist()]
    (folder / 'models_info.json').write_text(json.dumps(infos))
    return folder


@pytest.fixture(scope='module')
def stated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bop_models(tmp_path_factory.mktemp('stated') / 'models', with_symmetry=True)


def test_bop_models_keep_millimetres_names_and_the_frame_of_the_file(tmp_path):
    source = open_mesh_folder(save_bop_models(tmp_path / 'models', with_symmetry=False))
    assert source.is_known
    assert [category.name for category in source.categories] == ['obj_000002', 'obj_000005']
    model = source.model('obj_000005', 'test', 0)
    assert model.name == 'obj_000005'
    np.testing.assert_allclose(model.mesh.bounds, [(0, 0, 0), SIZES['obj_000005']], atol=1e-6)
    np.testing.assert_allclose(model.size, SIZES['obj_000005'], atol=1e-6)
    # +z of the file is up when it stands upright.
    np.testing.assert_allclose(model.resting_rotations[0][2], (0, 0, 1), atol=1e-9)


def test_vertex_colours_stay_with_their_vertices(stated):
    model = open_mesh_folder(stated).model('obj_000002', 'train', 0)
    above = model.mesh.vertices[:, 2] > 0
    srgb = 255 * linear_to_srgb(model.vertex_colors)
    np.testing.assert_allclose(srgb[above], np.tile(BLUE, (above.sum(), 1)), atol=0.5)
    np.testing.assert_allclose(srgb[~above], np.tile(RED, ((~above).sum(), 1)), atol=0.5)
    solid = Solid.of_model(model)
    side = np.flatnonzero(above[model.mesh.faces].sum(axis=1) == 1)[:1]
    for corner, weights in enumerate(((0, 0), (1, 0), (0, 1))):
        np.testing.assert_allclose(
            solid.colors_at(side, np.array([weights], np.float32))[0],
            model.vertex_colors[model.mesh.faces[side[0], corner]], atol=1e-6)


def test_meshes_without_colours_have_none(tmp_path):
    folder = save_boxes_and_tubes(tmp_path / 'meshes')
    assert open_mesh_folder(folder).model('box', 'train', 0).vertex_colors is None


def test_models_info_decides_for_all_objects_if_it_states_any_symmetry(stated):
    rules = open_mesh_folder(stated).rules
    assert all(entry.is_symmetry_known for entry in rules.values())
    assert rules['obj_000002'].category.symmetry == NO_SYMMETRY
    np.testing.assert_allclose(rules['obj_000005'].category.symmetry.rotations[1],
                               HALF_TURN[:3, :3], atol=1e-9)


def test_symmetries_nobody_stated_are_proposed_and_objects_yaml_has_the_last_word(tmp_path):
    root = tmp_path / 'cad'
    for name in ('plate', 'slab'):
        root.mkdir(exist_ok=True)
        mesh = box((0.1, 0.06, 0.03))
        write_ply(root / f'{name}.ply', mesh.vertices, mesh.faces, 1.0)
    (root / 'objects.yaml').write_text('frame: cad\ncategories:\n'
                                       '  slab: {symmetry: {discrete: {about: [0, 0, 2], fold: 2'
                                       '}}}\n')
    source = open_mesh_folder(root)
    assert source.is_known
    plate, slab = (source.rules[name] for name in ('plate', 'slab'))
    assert not plate.is_symmetry_known
    # A box has three half turns, the third being the product of the others.
    assert len(plate.category.symmetry.rotations) == 4
    for R in plate.category.symmetry.rotations[1:]:
        assert np.degrees(angle_between(np.eye(3), R)) == pytest.approx(180, abs=0.5)
    assert slab.is_symmetry_known
    np.testing.assert_allclose(slab.category.symmetry.rotations[1], HALF_TURN[:3, :3], atol=1e-9)


def test_a_known_object_is_one_mesh(tmp_path):
    folder = save_boxes_and_tubes(tmp_path / 'meshes')
    text = (folder / 'objects.yaml').read_text()
    (folder / 'objects.yaml').write_text(f'frame: cad\n{text}')
    with pytest.raises(ConfigurationError, match='one mesh each, but .* has .*, .*; keep one'):
        open_mesh_folder(folder)


def test_colours_of_the_mesh_are_what_an_unchanging_material_shows():
    points = np.zeros((3, 3), np.float32)
    colors = srgb_to_linear(np.array([RED, BLUE, (90, 90, 90)]) / 255)
    surface = Surface(points, points, np.ones(3, np.float32), colors)
    unchanged = color_change(0.0, 1.0, np.ones(3))
    np.testing.assert_allclose(own_colors(1.0, unchanged, surface), colors, atol=1e-6)
    grey = own_colors(1.0, color_change(0.0, 0.0, np.ones(3)), surface)
    np.testing.assert_allclose(grey, np.repeat(grey[:, :1], 3, axis=1), atol=1e-6)


def test_most_colours_of_known_objects_stay_near_their_own():
    generator = np.random.default_rng(0)
    own = srgb_to_linear(np.array([RED]) / 255)
    seen = np.concatenate([sample_colored_material('primary', generator).albedo(
        np.zeros((1, 3)), np.array([[0.0, 0.0, 1.0]]), np.ones(3), own) for _ in range(100)])
    assert np.mean(seen.argmax(axis=1) == 0) > 0.9
    assert np.std(np.log(seen[:, 0])) > 0.15


def test_scenes_show_each_known_object_at_most_once_among_other_things(stated):
    source = open_mesh_folder(stated)
    scenes = SceneGenerator('primary', 'train', source)
    both = 0
    for seed in range(6):
        scene = scenes.scene(seed)
        names = [body.solid.category for body in scene.instances]
        assert len(set(names)) == len(names)
        both += set(names) == set(SIZES)
        others = [body.solid.category for body in scene.bodies[scene.instance_count:]]
        assert any(category not in BACKGROUND_ROLES for category in others)
        for body in scene.instances:
            vertices = body.solid.mesh.vertices @ body.T_world_object[:3, :3].T
            assert (vertices[:, 2] + body.T_world_object[2, 3]).min() > -1e-3
    assert both >= 4


def test_frames_of_known_objects_have_exact_depth_and_poses_of_the_cad_frame(stated):
    frame = render_frame(SceneGenerator('primary', 'val', open_mesh_folder(stated)).scene(1),
                         (160, 120))
    np.testing.assert_array_equal(frame.frame.depth, frame.clean_depth)
    instance = max(frame.instances, key=lambda item: item.visibility * item.in_image)
    rows, columns = np.nonzero(frame.instance_map == instance.id)
    assert rows.size > 20
    points = frame.frame.intrinsics.back_project(
        np.stack([columns, rows], axis=-1).astype(float), frame.frame.depth[rows, columns])
    T = instance.T_camera_object
    own = (points - T[:3, 3]) @ T[:3, :3]
    off = np.abs(own) - np.array(SIZES[instance.category]) / 2
    # All on the surface of the box about the origin of the file.
    np.testing.assert_allclose(off.max(axis=1), 0.0, atol=1e-4)


def test_shards_say_that_they_are_of_known_objects(stated, tmp_path):
    folder = tmp_path / 'frames'
    write_frame_shards(folder, 1, 'primary', 'val', (64, 48), shard_size=1,
                       source=open_mesh_folder(stated))
    assert read_description(folder)['scenes'] == 'known objects'
    (frame,) = read_frames(folder / 'shard_00000.npz')
    assert {item.name for item in frame.instances} <= set(SIZES)


def test_a_bop_data_set_keeps_numbers_frames_colours_and_symmetries(stated, tmp_path):
    root = tmp_path / 'data'
    recipe = FrameRecipe('primary', 'train', open_mesh_folder(stated), resolution=(64, 48))
    write_bop(root, 1, recipe, scene_size=1)
    dataset = BopDataset(root, 'train')
    given = {annotation.label for frame in dataset for annotation in frame.objects}
    assert given
    for name in given:
        number = int(name[4:])
        assert dataset.label(number) == name
        before, after = (read_mesh(folder / f'{name}.ply', 0.001)
                         for folder in (stated, root / 'models'))
        np.testing.assert_allclose(np.sort(after.vertices, axis=0),
                                   np.sort(before.vertices, axis=0), atol=1e-6)
        assert {tuple(color) for color in after.colors.tolist()} == {RED, BLUE}
        assert len(dataset.models[number].symmetry.rotations) == (2 if number == 5 else 1)


def test_the_picture_shows_each_object_as_it_is_and_turned_by_its_symmetries(stated, tmp_path):
    picture = symmetry_picture(open_mesh_folder(stated), 'objects.yaml')
    tile = 150
    # obj_000002 has no symmetry, so only one pose; obj_000005 has two, which look the same.
    blank = (picture == 255).all(axis=(0, 2))
    assert blank[4 * tile:].all()
    lower = picture[-tile:]
    assert lower[:, :2 * tile].mean() < 250
    difference = np.abs(lower[:, :2 * tile].astype(int) - lower[:, 2 * tile:4 * tile])
    assert difference.mean() < 2.0
    assert write_symmetry_picture(tmp_path, open_mesh_folder(stated)).name == PICTURE
    assert (tmp_path / PICTURE).stat().st_size > 1000


def test_symmetries_are_told_in_words_also_half_turns():
    half = Symmetry(discrete=(tuple(HALF_TURN[:3, :3].ravel()),))
    assert [words for words, _ in equivalent_rotations(half)] == [
        'as it is', '180 degrees about (0.00, 0.00, 1.00)']
    round_one = equivalent_rotations(Symmetry(axis=(0.0, 0.0, 1.0)))
    assert [words for words, _ in round_one][1:] == [
        f'any angle about (0.00, 0.00, 1.00): {angle}' for angle in (50, 130, 230)]
    assert all(np.allclose(R @ (0, 0, 1), (0, 0, 1)) for _, R in round_one)


def test_a_mesh_with_colours_is_written_and_read(tmp_path):
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    colors = np.array([RED, BLUE, (0, 255, 7)], np.uint8)
    write_ply(tmp_path / 'a.ply', mesh.vertices, mesh.faces, 1.0, colors)
    np.testing.assert_array_equal(read_mesh(tmp_path / 'a.ply', 1.0).colors, colors)


def test_a_stated_symmetry_about_an_axis_beside_the_object_is_refused(tmp_path):
    shape = box((0.1, 0.06, 0.03))
    write_ply(tmp_path / 'slab.ply', shape.vertices.astype(float) + [0.05, 0, 0], shape.faces, 1.0)
    rules = tmp_path / 'objects.yaml'
    rules.write_text('frame: cad\ncategories:\n'
                     '  slab: {symmetry: {discrete: {about: z, fold: 2}}}\n')
    with pytest.raises(InvalidInputError, match=r"symmetry of 'slab' moves it off itself.* by "
                       r'100.0 mm. Symmetries must go through the origin'):
        open_mesh_folder(tmp_path).check()
    rules.write_text('frame: cad\ncategories:\n'
                     '  slab: {symmetry: {discrete: {about: x, fold: 2}}}\n')
    open_mesh_folder(tmp_path).check()


def test_a_proposal_tells_which_symmetries_miss_the_origin(tmp_path, caplog):
    shape = box((0.1, 0.06, 0.03))
    write_ply(tmp_path / 'slab.ply', shape.vertices.astype(float) + [0.05, 0, 0], shape.faces, 1.0)
    (tmp_path / 'objects.yaml').write_text('frame: cad\n')
    source = open_mesh_folder(tmp_path)
    assert len(source.rules['slab'].category.symmetry.rotations) == 2
    assert sum('slab: half turn about' in line and 'left out: its axis passes the origin of the '
               'mesh at 50.0 mm' in line for line in caplog.messages) == 2


@pytest.mark.parametrize('off', [0.05, 0.08])
def test_an_origin_far_from_the_object_is_refused(tmp_path, off):
    """The box has a diameter of 120 mm."""
    shape = box((0.1, 0.06, 0.03))
    write_ply(tmp_path / 'slab.ply', shape.vertices.astype(float) + [0, 0, off], shape.faces, 1.0)
    (tmp_path / 'objects.yaml').write_text('frame: cad\n')
    source = open_mesh_folder(tmp_path)
    if off == 0.05:
        source.check()
        return
    with pytest.raises(InvalidInputError, match=r'slab.ply: the middle of the object, \(0.0, 0.0, '
                       r'80.0\) mm, is 80.0 mm from .* diameter of 120.4 mm.*move the origin'):
        source.check()
