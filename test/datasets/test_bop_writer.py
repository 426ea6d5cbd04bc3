import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bop_scenes import (
    BOX_FACES,
    CAMERA,
    IDS,
    SIZES,
    SYMMETRIES,
    VERTICES,
    make_frame,
    make_writer,
    write_scene,
)

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.datasets.bop_dataset import BopDataset, BopTarget, read_targets
from pose_estimation_ros.datasets.bop_writer import BopWriter


def read_info(root, scene=0):
    return json.loads((root / 'test' / f'{scene:06d}' / 'scene_gt_info.json').read_text())


def test_what_is_written_is_read_again(tmp_path):
    write_scene(tmp_path, 4)
    make_writer(tmp_path).finish()
    dataset = BopDataset(tmp_path, 'test')
    assert [frame.name for frame in dataset] == ['000004/000000', '000004/000001']
    for seed, frame in enumerate(dataset):
        wanted, _ = make_frame(seed)
        np.testing.assert_array_equal(frame.frame.rgb, wanted.frame.rgb)
        np.testing.assert_allclose(frame.frame.depth, wanted.frame.depth, atol=1.01e-4)
        np.testing.assert_array_equal(frame.instance_map, wanted.instance_map)
        np.testing.assert_allclose(frame.frame.intrinsics.K, CAMERA.K, atol=1e-12)
        for found, true in zip(frame.objects, wanted.objects, strict=True):
            np.testing.assert_allclose(found.T_camera_object, true.T_camera_object, atol=1e-12)
            np.testing.assert_allclose(found.size, true.size, atol=1e-12)
            assert found.label == true.label
            assert found.model == f'obj_{IDS[true.model]:06d}'
            assert found.symmetry == SYMMETRIES[true.model]


def test_models_are_millimetres_with_their_diameter(tmp_path):
    write_scene(tmp_path, 0)
    make_writer(tmp_path).finish()
    models = BopDataset(tmp_path, 'test').models
    for name, obj_id in IDS.items():
        np.testing.assert_allclose(models[obj_id].read_mesh().vertices, VERTICES[name], atol=1e-7)
        assert models[obj_id].diameter == pytest.approx(np.linalg.norm(SIZES[name]))
    info = json.loads((tmp_path / 'models' / 'models_info.json').read_text())
    assert info['1']['size_y'] == pytest.approx(120.0)
    assert list(info) == ['1', '12']


def test_pixels_are_counted_in_the_full_and_the_visible_masks(tmp_path):
    write_scene(tmp_path, 0, seeds=(0,))
    frame, full = make_frame(0)
    for annotation, info in zip(frame.objects, read_info(tmp_path)['0'], strict=True):
        silhouette, visible = full[annotation.instance_id], frame.mask(annotation)
        assert info['px_count_all'] == silhouette.sum() == info['px_count_valid']
        assert info['px_count_visib'] == visible.sum()
        assert info['visib_fract'] == pytest.approx(visible.sum() / silhouette.sum())
        x, y, width, height = info['bbox_visib']
        assert visible[y:y + height, x:x + width].sum() == visible.sum()
        assert visible[y].any()
        assert visible[:, x + width - 1].any()
        # The silhouette was drawn with rounded corners.
        np.testing.assert_allclose(info['bbox_obj'], cv2.boundingRect(silhouette.astype(np.uint8)),
                                   atol=2)
    folder = tmp_path / 'test' / '000000'
    stored = cv2.imread(str(folder / 'mask' / '000000_000000.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, full[1] * 255)


def test_without_full_masks_the_visibility_stands_in_and_no_mask_folder_is_made(tmp_path):
    with make_writer(tmp_path).scene(0) as scene:
        frame, _ = make_frame(0, visibility=0.5)
        scene.write(frame)
    info = read_info(tmp_path)['0'][0]
    visible = frame.mask(frame.objects[0]).sum()
    assert info['visib_fract'] == 0.5
    assert info['px_count_all'] == 2 * visible
    assert 'px_count_valid' not in info
    assert not (tmp_path / 'test' / '000000' / 'mask').exists()


def test_an_object_that_is_not_seen_has_no_box_and_is_no_target(tmp_path):
    writer = make_writer(tmp_path)
    with writer.scene(0) as scene:
        frame, full = make_frame(0)
        hidden = np.where(frame.instance_map == 2, 0, frame.instance_map)
        scene.write(replace(frame, instance_map=hidden), full)
    writer.finish()
    info = read_info(tmp_path)['0'][1]
    assert info['bbox_visib'] == [-1, -1, -1, -1]
    assert info['visib_fract'] == 0
    assert read_targets(tmp_path / 'test_targets_bop19.json') == (BopTarget(0, 0, 1, 1),)


def test_targets_count_the_instances_of_an_image(tmp_path):
    writer = make_writer(tmp_path)
    with writer.scene(3) as scene:
        frame, full = make_frame(0)
        twice = tuple(replace(annotation, model='brick', size=SIZES['brick'])
                      for annotation in frame.objects)
        scene.write(replace(frame, objects=twice), full)
    writer.finish()
    dataset = BopDataset(tmp_path, 'test', targets='test_targets_bop19.json')
    assert dataset.targets == (BopTarget(3, 0, 12, 2),)


def test_a_frame_without_depth_is_read_without_depth(tmp_path):
    writer = make_writer(tmp_path)
    with writer.scene(0) as scene:
        frame, full = make_frame(0)
        scene.write(replace(frame, frame=replace(frame.frame, depth=None)), full)
    writer.finish()
    assert BopDataset(tmp_path, 'test')[0].frame.depth is None


def test_the_camera_of_the_data_set_is_written(tmp_path):
    write_scene(tmp_path, 0)
    make_writer(tmp_path, depth_scale=0.2).finish()
    camera = json.loads((tmp_path / 'camera.json').read_text())
    assert camera == {'fx': 110.0, 'fy': 112.0, 'cx': 47.3, 'cy': 31.1, 'width': 96, 'height': 64,
                      'depth_scale': 0.2}


def test_processes_write_scenes_side_by_side(tmp_path):
    writer = make_writer(tmp_path)
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(2, context) as pool:
        list(pool.map(write_scene, [tmp_path] * 3, range(3)))
    writer.finish()
    dataset = BopDataset(tmp_path, 'test')
    assert [dataset.frame_name(index) for index in range(len(dataset))] == [
        f'{scene:06d}/{image:06d}' for scene in range(3) for image in range(2)]
    assert sorted(path.name for path in (tmp_path / 'models').iterdir()) == [
        'models_info.json', 'obj_000001.ply', 'obj_000012.ply']


def test_a_scene_that_failed_leaves_nothing(tmp_path):
    writer = make_writer(tmp_path)
    with pytest.raises(KeyboardInterrupt), writer.scene(0) as scene:
        scene.write(*make_frame(0))
        raise KeyboardInterrupt
    assert not writer.is_written(0)
    assert list((tmp_path / 'test').iterdir()) == []


def test_a_scene_that_two_processes_write_is_kept_once(tmp_path):
    writer = make_writer(tmp_path)
    with writer.scene(0) as late:
        write_scene(tmp_path, 0, seeds=(0,))
        late.write(*make_frame(1))
        late.write(*make_frame(2))
    writer.finish()
    assert len(BopDataset(tmp_path, 'test')) == 1
    assert [path.name for path in (tmp_path / 'test').iterdir()] == ['000000']


def test_writing_goes_on_after_an_interruption_and_after_finish(tmp_path):
    write_scene(tmp_path, 0)
    make_writer(tmp_path).finish()
    (tmp_path / 'test' / '.000001.99.partial').mkdir()
    writer = make_writer(tmp_path)
    assert writer.is_written(0)
    assert not writer.is_written(1)
    with pytest.raises(InvalidInputError, match='000000 is written already'), writer.scene(0):
        pass
    write_scene(tmp_path, 1)
    writer.finish()
    assert len(BopDataset(tmp_path, 'test')) == 4
    assert not list((tmp_path / 'test').glob('.*'))


def test_finish_needs_a_scene(tmp_path):
    with pytest.raises(InvalidInputError, match='has no scene'):
        make_writer(tmp_path).finish()


def refused(frame, full, root, **options):
    with pytest.raises(InvalidInputError) as error, make_writer(root, **options).scene(0) as scene:
        scene.write(frame, full)
    assert not (root / 'test' / '000000').exists()
    return str(error.value)


def test_what_bop_cannot_hold_is_refused(tmp_path):
    frame, full = make_frame(0)
    first = frame.objects[0]
    stretched = first.T_camera_object.copy()
    stretched[:3, :3] *= 2

    def with_first(**values):
        return replace(frame, objects=(replace(first, **values),))

    far = replace(frame, frame=replace(frame.frame, depth=frame.frame.depth + 30))
    assert 'to 30.6 m; with 0.2 mm per count 0 to 13.11 m fit' in refused(far, full, tmp_path)
    assert 'not rigid' in refused(with_first(T_camera_object=stretched), full, tmp_path)
    assert 'no scale per instance' in refused(with_first(size=first.size * 1.1), full, tmp_path)
    assert "model 'cup' has no object id" in refused(with_first(model='cup'), full, tmp_path)
    assert 'has no instance map' in refused(replace(frame, instance_map=None), full, tmp_path)
    assert 'give its full mask or its visibility' in refused(frame, None, tmp_path)
    assert 'has no full mask' in refused(frame, {1: full[1]}, tmp_path)
    assert 'every visible pixel' in refused(frame, full | {1: full[2] & ~full[1]}, tmp_path)


def test_full_masks_are_given_for_all_frames_or_none(tmp_path):
    with pytest.raises(InvalidInputError, match='for all frames of a scene or for none'), \
            make_writer(tmp_path).scene(0) as scene:
        scene.write(*make_frame(0))
        scene.write(make_frame(1, visibility=0.5)[0])


def test_a_model_must_be_added_before_it_is_used(tmp_path):
    with pytest.raises(InvalidInputError, match="call add_model for 'crate' first"), \
            BopWriter(tmp_path, 'test', IDS).scene(0) as scene:
        scene.write(*make_frame(0))


def test_a_mesh_in_millimetres_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="model 'crate'.*120 m large.*in millimetres"):
        BopWriter(tmp_path, 'test', IDS).add_model('crate', 'crate', VERTICES['crate'] * 1000,
                                                   BOX_FACES, NO_SYMMETRY)


@pytest.mark.parametrize('ids', [{'a': 1, 'b': 1}, {'a': 0}, {'a': 1_000_000}])
def test_object_ids_must_be_usable(tmp_path, ids):
    with pytest.raises(ConfigurationError, match='object ids must differ and be 1 to 999999'):
        BopWriter(tmp_path, 'test', ids)
