"""Folders of meshes as objects: layout, rules, canonical frame, sides, faults."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mesh_files import save_boxes_and_tubes, save_mesh

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.primitives import box, cylinder
from pose_estimation_ros.synthetic.crops import iterate_crops, write_crop_shards
from pose_estimation_ros.synthetic.frame_cache import FrameShards, write_frame_shards
from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder, split_names
from pose_estimation_ros.synthetic.object_rules import read_rules
from pose_estimation_ros.synthetic.object_source import categories_of, procedural_objects
from pose_estimation_ros.synthetic.shard_files import read_description

pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')


@pytest.fixture
def folder(tmp_path):
    return save_boxes_and_tubes(tmp_path / 'meshes')


def test_categories_are_the_subfolders_with_their_symmetries(folder):
    source = open_mesh_folder(folder)
    assert [category.name for category in source.categories] == ['box', 'tube']
    one, tube = (category.symmetry for category in source.categories)
    assert tube.axis == (0.0, 1.0, 0.0)
    assert len(tube.rotations) == 2
    # Two half turns bring a third with them.
    assert len(one.rotations) == 4
    assert [category.mirrors for category in source.categories] == [True, False]


def test_a_mesh_changed_within_its_length_is_other_data(folder):
    path = folder / 'tube' / 'tube_0.stl'
    before, length = open_mesh_folder(folder).describe(), path.stat().st_size
    save_mesh(path, cylinder(0.04, 0.15, 24), 1000.0)
    assert path.stat().st_size == length
    assert open_mesh_folder(folder).describe()['objects'] != before['objects']


def test_objects_are_metres_in_their_canonical_frame(folder):
    tube = open_mesh_folder(folder).model('tube', 'train', 0)
    np.testing.assert_allclose(tube.size, (0.06, 0.15, 0.06), atol=1e-6)
    np.testing.assert_allclose(tube.mesh.bounds.mean(axis=0), 0.0, atol=1e-7)
    # STL repeats vertices; they are joined again: 24 on each rim and perhaps the two centres.
    assert len(tube.mesh.vertices) <= 50
    volume = np.einsum('fc,fc->', tube.mesh.face_normals * tube.mesh.face_areas[:, None],
                       tube.mesh.vertices[tube.mesh.faces].mean(axis=1)) / 3
    assert volume == pytest.approx(np.pi * 0.03 ** 2 * 0.15, rel=0.05)


def test_an_inside_out_surface_is_turned_round(tmp_path):
    mesh = box((0.1, 0.2, 0.3))
    save_mesh(tmp_path / 'thing.ply', Mesh(mesh.vertices, mesh.faces[:, ::-1].copy()))
    found = open_mesh_folder(tmp_path).model('thing', 'train', 0).mesh
    centres = found.vertices[found.faces].mean(axis=1)
    assert (np.einsum('fc,fc->f', found.face_normals, centres) > 0).all()


def test_front_and_up_turn_the_files_axes(tmp_path):
    save_mesh(tmp_path / 'thing.ply', box((0.1, 0.2, 0.3)))
    (tmp_path / 'objects.yaml').write_text('up: x\nfront: -z\n')
    np.testing.assert_allclose(open_mesh_folder(tmp_path).model('thing', 'val', 0).size,
                               (0.3, 0.1, 0.2), atol=1e-6)


def test_a_box_rests_on_its_sides_upright_first(folder):
    rotations = open_mesh_folder(folder).model('box', 'train', 0).resting_rotations
    np.testing.assert_allclose(rotations[0] @ (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), atol=1e-9)
    down = np.array([rotation.T @ (0.0, 0.0, -1.0) for rotation in rotations])
    assert len(down) == 6
    np.testing.assert_allclose(np.sort(np.abs(down), axis=1)[:, 2], 1.0, atol=1e-6)
    assert len(np.unique(np.round(down), axis=0)) == 6


def test_resting_upright_means_only_upright(folder):
    (folder / 'objects.yaml').write_text('resting: upright\ncategories: {tube: {unit: mm}}\n')
    assert len(open_mesh_folder(folder).model('box', 'train', 0).resting_rotations) == 1


def test_what_cannot_stand_lies(tmp_path):
    rod = cylinder(0.01, 0.3, 16)
    pointed = np.where(rod.vertices[:, 2:] < 0, rod.vertices * (0.01, 0.01, 1), rod.vertices)
    save_mesh(tmp_path / 'rod.ply', Mesh(pointed, rod.faces))
    (tmp_path / 'objects.yaml').write_text('up: z\n')
    first = open_mesh_folder(tmp_path).model('rod', 'train', 0).resting_rotations[0]
    assert abs((first @ (0.0, 1.0, 0.0))[2]) < 0.3


def test_a_mesh_in_the_folder_itself_is_a_category_seen_in_every_split(tmp_path):
    save_mesh(tmp_path / 'drill.ply', box((0.1, 0.2, 0.3)))
    source = open_mesh_folder(tmp_path)
    assert [source.count('drill', split) for split in ('train', 'val', 'test')] == [1, 1, 1]


def test_a_folder_named_like_one_of_the_six_has_its_symmetry(tmp_path):
    for name in ('can', 'mug'):
        save_mesh(tmp_path / name / 'a.ply', box((0.1, 0.1, 0.1)))
    assert [category.symmetry for category in open_mesh_folder(tmp_path).categories] == [
        Y_AXIS_SYMMETRY, NO_SYMMETRY]


@pytest.mark.parametrize('symmetry', [
    '{axis: y}', '{axis: z, discrete: {about: x, fold: 2}}', '{axis: [1, 1, 0]}',
    '{discrete: [{about: y, fold: 4}, {about: x, fold: 2}]}', '{discrete: {about: z, fold: 3}}'])
def test_mirror_images_of_the_same_symmetry_belong(tmp_path, symmetry):
    rules = f'categories: {{box: {{mirrors: yes, symmetry: {symmetry}}}}}'
    (tmp_path / 'objects.yaml').write_text(rules)
    assert read_rules(tmp_path, ['box'])['box'].category.mirrors


def test_splits_are_disjoint_whole_and_independent_of_the_order():
    names = [f'thing/{index}.ply' for index in range(23)]
    splits = split_names(names)
    assert splits == split_names(names[::-1])
    assert sorted(sum(splits.values(), ())) == sorted(names)
    assert [len(splits[split]) for split in ('train', 'val', 'test')] == [19, 2, 2]


@pytest.mark.parametrize(('text', 'complaint'), [
    ('categories: [', 'not valid YAML'),
    ('- unit', 'must be a mapping'),
    ('units: mm', 'unknown entries units'),
    ('unit: inch', "unit of 'box' is 'inch'; it must be one of m, mm, cm"),
    ('up: y\nfront: -y', 'not along up'),
    ('categories: {cone: {}}', 'unknown entries cone'),
    ('categories: {box: {symmetry: {axis: up}}}', 'axis must be x, y, z or three'),
    ('categories: {box: {symmetry: {discrete: {about: y, fold: 1}}}}', 'fold from 2'),
    ('categories: {box: {symmetry: {discrete: [{about: y, fold: 7}, {about: x, fold: 5}]}}}',
     'generate more than'),
    ('categories: {box: {mirrors: yes, symmetry: {axis: [1, 0, 1]}}}',
     "'box' has mirrors, but its mirror image .* write \"mirrors: no\""),
    ('categories: {box: {mirrors: yes, symmetry: {discrete: {about: [0, 1, 1], fold: 3}}}}',
     "'box' has mirrors, but its mirror image"),
])
def test_wrong_rules_are_named_with_their_file(folder, text, complaint):
    (folder / 'objects.yaml').write_text(text)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        open_mesh_folder(folder)
    assert 'objects.yaml' in str(caught.value)


def test_millimetres_where_metres_are_declared_are_found_before_work_begins(folder):
    (folder / 'objects.yaml').unlink()
    with pytest.raises(InvalidInputError, match=r'tube_.\.stl is 150 m long.*"unit: mm"'):
        open_mesh_folder(folder).check()


def test_metres_where_millimetres_are_declared_are_found(folder):
    (folder / 'objects.yaml').write_text('unit: mm\n')
    with pytest.raises(InvalidInputError, match=r'box_.\.ply is 0\.0002 m long.*"unit: m"'):
        open_mesh_folder(folder, ['box']).check()


def test_a_damaged_mesh_is_named(folder):
    (folder / 'box' / 'broken.ply').write_text('not a mesh')
    with pytest.raises(InvalidInputError, match=r'broken\.ply'):
        open_mesh_folder(folder).check()


@pytest.mark.parametrize(('make', 'complaint'), [
    (lambda root: None, 'holds no meshes'),
    (lambda root: (root / 'cone').mkdir(), "category 'cone' has no mesh"),
    (lambda root: save_mesh(root / 'table' / 'a.ply', box((1, 1, 1))), 'another name'),
    (lambda root: root.rmdir(), 'is no folder'),
])
def test_a_wrong_folder_is_named(tmp_path, make, complaint):
    root = tmp_path / 'objects'
    root.mkdir()
    make(root)
    with pytest.raises(ConfigurationError, match=complaint):
        open_mesh_folder(root)


@pytest.mark.parametrize(('one', 'other'), [('drill/bit_1.ply', 'drill_bit/1.ply'),
                                            ('box/x.ply', 'box/x.stl')])
def test_two_files_that_would_have_one_name_are_refused(tmp_path, one, other):
    save_mesh(tmp_path / one, box((0.1, 0.1, 0.1)))
    save_mesh(tmp_path / other, box((0.02, 0.2, 0.02)))
    with pytest.raises(ConfigurationError, match=f'{one} and {other} would both be called'):
        open_mesh_folder(tmp_path)


def test_categories_can_be_chosen_and_unknown_ones_are_named(folder):
    assert [category.name for category in open_mesh_folder(folder, ['tube']).categories] == [
        'tube']
    with pytest.raises(ConfigurationError, match='no category cone; it has box, tube'):
        open_mesh_folder(folder, ['cone'])
    with pytest.raises(ConfigurationError, match='unicorn cannot be generated'):
        procedural_objects('primary', ['unicorn'])


def test_sources_travel_to_workers(folder):
    source = open_mesh_folder(folder)
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy.model('box', 'val', 0).mesh.vertices,
                                  source.model('box', 'val', 0).mesh.vertices)


def test_crops_of_meshes_fit_their_poses_and_belong_to_their_split(folder):
    source = open_mesh_folder(folder)
    samples = iterate_crops('primary', 'val', 0, point_count=128, source=source)
    seen = set()
    for sample in (next(samples) for _ in range(8)):
        seen.add(sample.category)
        assert sample.name == source.model(
            source.categories[sample.category].name, 'val', 0).name
        placed = sample.nocs * np.linalg.norm(sample.size) @ sample.T_camera_object[:3, :3].T
        error = np.linalg.norm(placed + sample.T_camera_object[:3, 3] - sample.points, axis=1)
        assert np.median(error[sample.inlier]) < 0.01
    assert seen == {0, 1}


def test_stored_data_tells_its_categories_and_refuses_other_objects(folder, tmp_path):
    source = open_mesh_folder(folder)
    stored = tmp_path / 'crops'
    write_crop_shards(stored, 2, 'primary', 'val', point_count=64, shard_size=2, source=source)
    description = read_description(stored)
    assert categories_of(description) == source.categories
    assert json.dumps(description)
    save_mesh(folder / 'box' / 'another.ply', box((0.1, 0.1, 0.1)))
    with pytest.raises(ConfigurationError, match='holds other data'):
        write_crop_shards(stored, 2, 'primary', 'val', point_count=64, shard_size=2,
                          source=open_mesh_folder(folder))


def test_frames_show_the_meshes_and_some_of_the_six_if_only_those_are_wanted(folder, tmp_path):
    for name, source, wanted in (
            ('own', open_mesh_folder(folder), {'box', 'tube'}),
            ('some', procedural_objects('primary', ['mug', 'can']), {'mug', 'can'})):
        write_frame_shards(tmp_path / name, 3, 'primary', 'train', (80, 60), shard_size=3,
                           source=source)
        frames = FrameShards(tmp_path / name)
        labels = {item.category for index in range(3) for item in frames[index].instances}
        assert labels and labels <= wanted
