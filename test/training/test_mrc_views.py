"""Cutting known objects out of stored frames."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.mesh_files import write_ply
from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training.mrc_views import ViewShards, write_views

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
from mrc_views import CORNERS, FACES, K, spotted_frame

pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')


def write_cad(root, scale=1.0):
    root.mkdir()
    write_ply(root / 'wedge.ply', scale * CORNERS, FACES, 1.0)
    (root / 'objects.yaml').write_text('frame: cad\ncategories:\n  wedge:\n    symmetry: none\n')
    return open_mesh_folder(root)


def frame_shard(number):
    """Return the arrays of a shard of two frames, as `synthetic.frame_cache` stores them."""
    arrays, truths = {}, []
    for index, depth in enumerate((0.5, 0.6 + 0.1 * number)):
        frame = spotted_frame((0.0, 0.0, depth))
        arrays |= {f'rgb_{index}': frame.frame.rgb,
                   f'depth_{index}': np.zeros(frame.instance_map.shape, dtype=np.uint16),
                   f'instances_{index}': frame.instance_map.astype(np.uint8)}
        instance = frame.instances[0]
        plain = {name: getattr(instance, name) for name in (
            'id', 'category', 'name', 'visibility', 'part_visibility', 'in_image')}
        plain |= {name: getattr(instance, name).tolist()
                  for name in ('T_camera_object', 'size', 'box')}
        truths.append({'K': K.tolist(), 'instances': [plain]})
    return {**arrays, 'truth': np.array(json.dumps(truths))}


def write_frames(folder, source, count=1):
    write_shards(folder, count, {'kind': 'frames', 'shard_size': 2, **source.describe()},
                 frame_shard)
    return folder


def test_the_command_cuts_every_shard_and_goes_on_when_there_are_more(tmp_path):
    source = write_cad(tmp_path / 'cad')
    frames = write_frames(tmp_path / 'frames', source)
    command = ['dataset', 'views', str(tmp_path / 'views'), '--frames', str(frames),
               '--objects', str(tmp_path / 'cad'), '--processes', '1']
    assert CliRunner().invoke(app, command).exit_code == 0
    assert len(ViewShards(tmp_path / 'views')) == 2
    write_frames(frames, source, 2)
    assert CliRunner().invoke(app, command).exit_code == 0
    views = ViewShards(tmp_path / 'views')
    assert [views[index].T_camera_object[2, 3] for index in range(4)] == pytest.approx(
        [0.5, 0.6, 0.5, 0.7])


def test_the_folder_has_the_objects_in_their_own_frame(tmp_path):
    source = write_cad(tmp_path / 'cad')
    write_views(tmp_path / 'views', write_frames(tmp_path / 'frames', source), source)
    known, = ViewShards(tmp_path / 'views').objects
    assert known.name == 'wedge'
    order = np.lexsort(known.mesh.vertices.T)
    np.testing.assert_allclose(known.mesh.vertices[order], CORNERS[np.lexsort(CORNERS.T)],
                               atol=1e-6)


def test_frames_of_other_objects_are_refused(tmp_path):
    frames = write_frames(tmp_path / 'frames', write_cad(tmp_path / 'cad'))
    with pytest.raises(InvalidInputError, match='shows other objects'):
        write_views(tmp_path / 'views', frames, write_cad(tmp_path / 'larger', 1.5))


def test_frames_made_before_the_unit_was_corrected_are_refused(tmp_path):
    source = write_cad(tmp_path / 'cad')
    frames = write_frames(tmp_path / 'frames', source)
    rules = source.root / 'objects.yaml'
    rules.write_text('unit: cm\n' + rules.read_text())
    # The size is still that of a thing on a table.
    write_ply(source.root / 'wedge.ply', CORNERS, FACES, 0.1)
    larger = write_frames(tmp_path / 'larger', open_mesh_folder(source.root))
    rules.write_text(rules.read_text().replace('unit: cm', 'unit: m'))
    with pytest.raises(InvalidInputError, match='other versions, units or frames'):
        write_views(tmp_path / 'views', larger, open_mesh_folder(source.root))
    with pytest.raises(InvalidInputError, match='other versions, units or frames'):
        write_views(tmp_path / 'views', frames, open_mesh_folder(source.root))


def test_symmetries_may_be_corrected_after_the_frames_were_made(tmp_path):
    source = write_cad(tmp_path / 'cad')
    frames = write_frames(tmp_path / 'frames', source)
    rules = source.root / 'objects.yaml'
    rules.write_text(rules.read_text().replace('none', '{discrete: {about: z, fold: 2}}'))
    write_views(tmp_path / 'views', frames, open_mesh_folder(source.root))
    known, = ViewShards(tmp_path / 'views').objects
    assert len(known.symmetry.rotations) == 2


def test_categories_are_refused(tmp_path):
    frames = write_frames(tmp_path / 'frames', write_cad(tmp_path / 'cad'))
    (tmp_path / 'cad' / 'objects.yaml').unlink()
    with pytest.raises(ConfigurationError, match='write "frame: cad" into .*objects.yaml'):
        write_views(tmp_path / 'views', frames, open_mesh_folder(tmp_path / 'cad'))
    assert not (tmp_path / 'views').exists()
