"""Grasps of a running estimator: planned for those who listen, and as its parameters say."""

import numpy as np
from geometry_msgs.msg import PoseArray
from ros_harness import RED, Client, Frame
from vision_msgs.msg import Detection3DArray

from pose_estimation_ros.nodes.conversions import pose_matrix, stamp_to_ns

# Flat objects that are 3 and 10 cm wide at half a metre.
SMALL, LARGE = (20, 30, 30, 40), (60, 40, 90, 70)


def grasps_of(client, frame):
    stamp, detections = client.result_of(frame)
    arrays = client.with_stamp('grasp_poses', stamp, len(detections.detections))
    return detections.detections, arrays


def test_each_object_has_its_grasps_in_the_order_of_the_detections(client: Client, estimator):
    client.listen(PoseArray, 'grasp_poses', 200)
    client.listen(Detection3DArray, 'grasp_candidates')
    client.wait_for(lambda: client.node.count_subscribers('grasp_poses'), 'ourselves')
    detections, arrays = grasps_of(client, Frame(((SMALL, RED), (LARGE, RED)), depth=0.5))
    counts = [len(array.poses) for array in arrays]
    assert sum(counts) > 0
    stamp = stamp_to_ns(arrays[0].header.stamp)
    candidates = client.with_stamp('grasp_candidates', stamp, 1)[0].detections
    assert [sum(entry.id.startswith(f'{detection.id}/') for entry in candidates)
            for detection in detections] == counts
    for detection, array in zip(detections, arrays, strict=True):
        centre, size = detection.bbox.center.position, detection.bbox.size
        for T in map(pose_matrix, array.poses):
            # The camera looks straight at the ground: no gripper comes from below that.
            assert T[2, 2] >= np.cos(np.radians(95.0)) - 1e-6
            away = np.linalg.norm(T[:3, 3] - [centre.x, centre.y, centre.z])
            assert away < 0.5 * np.linalg.norm([size.x, size.y, size.z])

    assert client.set_parameter('grasping.opening', 0.005).successful
    _, arrays = grasps_of(client, Frame(((SMALL, RED), (LARGE, RED)), depth=0.5))
    assert [len(array.poses) for array in arrays] == [0, 0]
    assert client.set_parameter('grasping.opening', 0.08).successful

    refused = client.set_parameter('grasping.file', '/no/such/grasps.yaml')
    assert not refused.successful
    assert '/no/such/grasps.yaml' in refused.reason
    assert estimator.process.poll() is None
