"""What `pose-estimation view --save` writes, read back with Rerun's own reader."""

import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('rerun', reason='Rerun is optional, and not there for Python 3.10')

from rerun.chunk import RrdReader
from result_bags import PERIOD_NS, START_NS, detection, write_result_bag
from ros_harness import (
    DISCOVERED_SECONDS,
    DOMAIN_ID,
    RED,
    ROOT,
    STAND_IN,
    Client,
    Frame,
    NodeProcess,
    environment,
)
from typer.testing import CliRunner

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.viewing.live_view import LiveView
from pose_estimation_ros.viewing.rerun_log import RerunLog


def entities(file):
    """Return {entity: {component: [(time, value) of each row, by time and order of writing]}}."""
    found = {}
    for chunk in RrdReader(str(file)).stream():
        batch = chunk.to_record_batch()
        stamps = (batch.column('stamp').cast('int64').to_pylist()
                  if 'stamp' in batch.schema.names else [0] * batch.num_rows)
        rows = batch.column(next(name for name in batch.schema.names if 'RowId' in name))
        for name in batch.schema.names:
            if ':' in name:
                values = found.setdefault(chunk.entity_path, {}).setdefault(name, [])
                values += zip(stamps, rows.to_pylist(), batch.column(name).to_pylist(),
                              strict=True)
    return {entity: {name: [(stamp, value) for stamp, _, value in sorted(
        values, key=lambda entry: entry[:2])] for name, values in components.items()}
        for entity, components in found.items()}


def shown_at(values, stamp):
    """Return what Rerun shows at a time: the last that was written for it or before."""
    return [value for time, value in values if time <= stamp][-1]


def test_a_recording_becomes_a_file_of_rerun_with_everything_in_it(tmp_path):
    write_result_bag(tmp_path / 'bag', [[detection()], [detection(x=0.02), detection(
        'mug_2', 'mug', 0.1)]], ['depth is late'])
    answer = CliRunner().invoke(app, ['view', str(tmp_path / 'bag'), '--save',
                                      str(tmp_path / 'bag.rrd')], catch_exceptions=False)
    assert '2 frames' in answer.output
    found = entities(tmp_path / 'bag.rrd')
    boxes = found['/objects/boxes']
    assert [stamp for stamp, _ in boxes['Boxes3D:labels']] == [START_NS, START_NS + 100_000_000]
    assert boxes['Boxes3D:labels'][1][1] == ['can_1 0.75', 'mug_2 0.75']
    np.testing.assert_allclose(boxes['Boxes3D:centers'][1][1], [[0.02, 0, 0.5], [0.1, 0, 0.5]])
    np.testing.assert_allclose(boxes['Boxes3D:half_sizes'][0][1], [[0.05, 0.06, 0.05]])
    assert len(found['/objects/axes']['Arrows3D:vectors'][1][1]) == 6
    vectors, origins = (shown_at(found['/objects/grasps'][f'Arrows3D:{name}'], START_NS)
                        for name in ('vectors', 'origins'))
    np.testing.assert_allclose(vectors, [[0, 0, 0.08]], atol=1e-7)
    np.testing.assert_allclose(np.add(origins, vectors), [[0, 0, 0.5]], atol=1e-7)
    points = np.array(found['/cloud']['Points3D:positions'][0][1])
    np.testing.assert_allclose(points[:, 2], 0.5)
    assert len(found['/camera/color']['EncodedImage:blob']) == 2
    assert len(found['/camera/depth']['DepthImage:buffer']) == 2
    latencies = found['/plots/milliseconds/image_to_result']['Scalars:scalars']
    assert [value for _, value in latencies] == [[pytest.approx(40.0)]] * 2
    assert found['/plots/milliseconds/pose']['Scalars:scalars'][0][1] == [12.5]
    assert 'depth is late' in found['/warnings']['TextLog:text'][0][1][0]


def view_of(tmp_path, bag):
    """Return what `view` writes of a bag."""
    answer = CliRunner().invoke(app, ['view', str(bag), '--save', str(tmp_path / 'bag.rrd')],
                                catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output, entities(tmp_path / 'bag.rrd')


def test_what_is_gone_is_no_longer_drawn(tmp_path):
    write_result_bag(tmp_path / 'bag', [[detection()], [], [detection()]])
    _, found = view_of(tmp_path, tmp_path / 'bag')
    for entity, component in (('boxes', 'Boxes3D:centers'), ('axes', 'Arrows3D:vectors'),
                              ('grasps', 'Arrows3D:vectors'), ('grasps', 'Arrows3D:origins')):
        values = found[f'/objects/{entity}'][component]
        counts = [len(shown_at(values, START_NS + number * PERIOD_NS)) for number in range(3)]
        assert counts == ([3, 0, 3] if entity == 'axes' else [1, 0, 1]), (entity, component)


def cut_off(wanted, *numbers):
    """Return how to damage some messages of a topic: of each only the beginning is left."""
    return lambda topic, number, data: (
        data[:60] if topic == wanted and number in numbers else data)


def test_the_cloud_of_another_frame_is_not_drawn_where_depth_is_damaged(tmp_path):
    write_result_bag(tmp_path / 'bag', [[detection()]] * 3,
                     spoil=cut_off('/aligned_depth_to_color/image_raw', 1))
    output, found = view_of(tmp_path, tmp_path / 'bag')
    assert '3 frames' in output
    for entity in ('/cloud', '/camera/depth'):
        assert [stamp for stamp, value in found[entity]['Clear:is_recursive']
                if value is not None] == [START_NS + PERIOD_NS]
    assert len(found['/camera/color']['EncodedImage:blob']) == 3
    assert 'depth is not shown' in found['/warnings']['TextLog:text'][0][1][0]


def test_damaged_colour_is_told_and_everything_else_is_shown(tmp_path):
    write_result_bag(tmp_path / 'bag', [[detection()]] * 4, ['depth is late'],
                     spoil=cut_off('/color/image_raw', 0, 2))
    output, found = view_of(tmp_path, tmp_path / 'bag')
    assert '2 frames' in output
    assert [stamp for stamp, _ in found['/camera/color']['EncodedImage:blob']] == [
        START_NS + PERIOD_NS, START_NS + 3 * PERIOD_NS]
    warnings = {stamp: text[0] for stamp, text in found['/warnings']['TextLog:text']}
    assert 'frame 0 (0.00 s)' in warnings[START_NS]
    assert 'a message of /color/image_raw cannot be read' in warnings[START_NS + 2 * PERIOD_NS]
    assert any('depth is late' in text for text in warnings.values())


def test_what_is_no_recording_is_refused(tmp_path):
    answer = CliRunner().invoke(app, ['view', str(tmp_path), '--save', str(tmp_path / 'a.rrd')])
    assert isinstance(answer.exception, PoseEstimationError)
    assert 'is no recording' in str(answer.exception)


def test_the_running_graph_is_shown(tmp_path):
    client = Client()
    node = NodeProcess('pose_estimator', tmp_path / 'log', STAND_IN)
    viewer = None
    try:
        client.wait_until_active()
        viewer = subprocess.Popen(
            [sys.executable, '-m', 'pose_estimation_ros.cli.main', 'view', '--save',
             str(tmp_path / 'live.rrd')], env=environment(), cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        # Of the results, two listeners are the client's.
        client.wait_for(lambda: client.node.count_subscribers('color/image_raw') >= 2
                        and client.node.count_subscribers('object_detections') >= 3,
                        'the viewer')
        frame, begun = Frame(), time.monotonic()
        while time.monotonic() < begun + DISCOVERED_SECONDS:
            client.result_of(frame)
        viewer.send_signal(2)
        output, _ = viewer.communicate(timeout=60)
        assert viewer.returncode == 0, output
    finally:
        if viewer is not None and viewer.poll() is None:
            viewer.kill()
        node.stop()
        client.close()
    found = entities(tmp_path / 'live.rrd')
    labels = [value for _, value in found['/objects/boxes']['Boxes3D:labels']]
    assert ['can_1 0.80'] in labels
    assert '/camera/color' in found
    assert '/cloud' in found


def test_grasps_of_the_running_graph_end_with_their_objects(tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(DOMAIN_ID))
    full = Frame((((20, 30, 30, 40), RED), ((60, 40, 90, 70), RED)))
    client = Client()
    node = NodeProcess('pose_estimator', tmp_path / 'log', STAND_IN)
    log = RerunLog(tmp_path / 'live.rrd')
    try:
        client.wait_until_active()
        with LiveView(log, with_grasps=True, rectified=False) as live:
            assert live.find('pose_estimator', 60.0, lambda: False)
            client.wait_for(lambda: client.node.count_subscribers('grasp_poses'), 'the viewer')
            for frame in (full, Frame(())):
                count = live.count

                def show(frame=frame):
                    client.send(frame)
                    live.show(0.1, lambda: False)

                client.wait_for(lambda count=count: live.count >= count + 3, 'frames',
                                meanwhile=show)
    finally:
        log.close()
        node.stop()
        client.close()
    found = entities(tmp_path / 'live.rrd')
    stamps = [stamp for stamp, _ in found['/objects/boxes']['Boxes3D:labels']]
    grasps = [len(shown_at(found['/objects/grasps']['Arrows3D:vectors'], stamp))
              for stamp in stamps]
    assert max(grasps) > 0
    assert grasps[-1] == 0
