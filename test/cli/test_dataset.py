"""`pose-estimation dataset`: what the options become, and faults in one sentence."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'synthetic'))

from mesh_files import save_boxes_and_tubes, save_mesh

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.synthetic import dataset_writing
from pose_estimation_ros.synthetic.crops import read_crop_shard
from pose_estimation_ros.synthetic.shard_files import read_description

pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')


def run(*arguments):
    return CliRunner().invoke(app, ['dataset', *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope='module')
def meshes(tmp_path_factory):
    return save_boxes_and_tubes(tmp_path_factory.mktemp('meshes'))


def test_crops_are_made_of_a_folder_of_meshes_and_gone_on_with(meshes, tmp_path):
    command = ('crops', tmp_path / 'crops', '--objects', meshes, '--split', 'val', '--points', 64,
               '--shard-size', 2, '--processes', 1)
    assert run(*command, '--count', 2).exit_code == 0
    first = tmp_path / 'crops' / 'shard_00000.npz'
    written = first.stat().st_mtime_ns
    answer = run(*command, '--count', 3)
    assert '2/2' in answer.output
    assert first.stat().st_mtime_ns == written
    crops = read_crop_shard(tmp_path / 'crops' / 'shard_00001.npz')
    assert crops.points.shape == (2, 64, 3)
    assert {name.split('_')[0] for name in crops.name} <= {'box', 'tube'}


def test_another_description_of_the_same_folder_is_refused(tmp_path):
    command = ('crops', tmp_path, '--count', 1, '--shard-size', 1, '--points', 64, '--processes',
               1)
    assert run(*command).exit_code == 0
    with pytest.raises(ConfigurationError, match='seed'):
        run(*command, '--seed', 1)


def test_generate_hands_the_recipe_to_the_writer(meshes, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(dataset_writing, 'generate_frames', lambda *values: given.append(values))
    run('generate', tmp_path, '--format', 'bop', '--objects', meshes, '--categories', 'box',
        '--resolution', '320x240', '--seed', 7, '--split', 'test', '--domain', 'second',
        '--count', 12, '--processes', 3, '--cluster', 'tcp://far:1', '--instances', 2)
    ((folder, layout, count, recipe, workers),) = given
    assert (folder, layout, count) == (tmp_path, 'bop', 12)
    assert (recipe.domain, recipe.split, recipe.seed) == ('second', 'test', 7)
    assert recipe.resolution == (320, 240)
    assert [category.name for category in recipe.source.categories] == ['box']
    assert recipe.source.count('box', 'train') == 2
    assert (workers.processes, workers.cluster) == (3, 'tcp://far:1')


@pytest.mark.parametrize(('layout', 'most'), [('bop', 20), ('nocs', 1_000_000)])
def test_only_bop_limits_the_generated_objects_by_itself(layout, most, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(dataset_writing, 'generate_frames', lambda *values: given.append(values))
    run('generate', tmp_path, '--format', layout)
    assert given[0][3].source.count('mug', 'train') == most


def test_generate_writes_bop_from_generated_objects(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_writing, 'SCENE_SIZE', 2)
    assert run('generate', tmp_path, '--format', 'bop', '--count', 2, '--resolution', '64x48',
               '--categories', 'can,mug', '--instances', 1, '--processes', 1).exit_code == 0
    data = BopDataset(tmp_path, 'train')
    assert len(data) == 2
    assert {item.label for frame in data for item in frame.objects} <= {'can', 'mug'}


def test_known_objects_come_with_a_picture_of_their_symmetries(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_writing, 'SCENE_SIZE', 1)
    save_mesh(tmp_path / 'cad' / 'plate.ply', box((0.1, 0.06, 0.03)))
    (tmp_path / 'cad' / 'objects.yaml').write_text(
        'frame: cad\ncategories: {plate: {symmetry: {discrete: {about: z, fold: 2}}}}\n')
    answer = run('generate', tmp_path / 'data', '--format', 'bop', '--objects', tmp_path / 'cad',
                 '--count', 1, '--resolution', '64x48', '--processes', 1)
    assert f'{tmp_path / "data" / "symmetries.png"}' in answer.output.replace('\n', '')
    assert (tmp_path / 'data' / 'symmetries.png').is_file()
    dataset = BopDataset(tmp_path / 'data', 'train')
    assert len(dataset.models[1].symmetry.rotations) == 2


def test_known_objects_cannot_be_limited_and_those_without_a_mesh_are_named(
        tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_writing, 'generate_frames', lambda *_: None)
    save_mesh(tmp_path / 'obj_000003.ply', box((0.1, 0.06, 0.03)))
    entry = {'diameter': 120.4, **{f'{kind}_{axis}': factor * size for kind, factor in (
        ('min', -0.5), ('size', 1.0)) for axis, size in zip('xyz', (100, 60, 30), strict=True)}}
    (tmp_path / 'models_info.json').write_text(json.dumps({'3': entry, '7': entry}))
    (tmp_path / 'objects.yaml').write_text('unit: m\n')
    command = ('generate', tmp_path / 'data', '--format', 'shards', '--objects', tmp_path)
    assert f'left out, for {tmp_path} has no mesh of them: obj_000007' in run(
        *command).output.replace('\n', '')
    with pytest.raises(ConfigurationError, match='--instances 5 is for categories'):
        run(*command, '--instances', 5)


def test_the_picture_of_data_that_are_there_is_not_replaced_by_that_of_others(tmp_path,
                                                                              monkeypatch):
    monkeypatch.setattr(dataset_writing, 'generate_frames', lambda *values: None)
    rules = tmp_path / 'cad' / 'objects.yaml'
    save_mesh(tmp_path / 'cad' / 'plate.ply', box((0.1, 0.06, 0.03)))
    command = ('generate', tmp_path / 'data', '--format', 'bop', '--objects', tmp_path / 'cad')
    rules.write_text('frame: cad\ncategories: {plate: {symmetry: {axis: z}}}\n')
    run(*command)
    picture = (tmp_path / 'data' / 'symmetries.png').read_bytes()
    rules.write_text('frame: cad\ncategories: {plate: {symmetry: none}}\n')
    with pytest.raises(ConfigurationError, match='holds other data'):
        run(*command)
    assert (tmp_path / 'data' / 'symmetries.png').read_bytes() == picture


def test_frames_and_shards_are_the_same_data(tmp_path, monkeypatch):
    from pose_estimation_ros.synthetic import frame_cache

    given = []
    monkeypatch.setattr(frame_cache, 'write_shards',
                        lambda folder, count, description, *_: given.append(description))
    run('frames', tmp_path, '--width', 400, '--height', 300, '--split', 'val')
    run('generate', tmp_path, '--format', 'shards', '--resolution', '400x300', '--split', 'val')
    assert given[0] == given[1]


def test_an_older_folder_of_generated_objects_can_be_continued(tmp_path):
    run('crops', tmp_path, '--count', 1, '--shard-size', 1, '--points', 64, '--processes', 1)
    assert set(read_description(tmp_path)) == {'kind', 'domain', 'split', 'seed', 'points',
                                               'shard_size'}


@pytest.mark.parametrize(('options', 'complaint'), [
    (('--resolution', 'big'), "the resolution 'big' must be WIDTHxHEIGHT"),
    (('--resolution', '8x8'), 'each from 16 to 8192'),
    (('--categories', 'mug,unicorn'), 'unicorn cannot be generated'),
    (('--objects', 'nowhere'), 'nowhere is no folder'),
    (('--cluster', 'nonsense://x'), "no Dask scheduler answers at 'nonsense://x'"),
])
def test_a_wrong_option_is_named(tmp_path, options, complaint):
    if '--cluster' in options:
        pytest.importorskip('distributed', reason='work is shared by Dask, which is optional')
    with pytest.raises(ConfigurationError, match=complaint):
        run('generate', tmp_path / 'data', '--format', 'shards', '--count', 1, *options)


def test_a_mesh_in_millimetres_is_found_before_anything_is_written(tmp_path):
    save_mesh(tmp_path / 'meshes' / 'part.ply', box((0.1, 0.1, 0.1)), 1000.0)
    with pytest.raises(InvalidInputError, match=r'part\.ply is 100 m long.*"unit: mm"'):
        run('generate', tmp_path / 'data', '--format', 'nocs', '--objects', tmp_path / 'meshes')
    assert not (tmp_path / 'data').exists()
