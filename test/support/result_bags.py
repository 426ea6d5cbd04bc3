"""Bags with a camera and what an estimator said of it, without running one."""

from collections import Counter

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, PoseArray, PoseWithCovariance, Quaternion, Vector3
from rclpy.serialization import serialize_message
from ros_bags import camera_messages
from ros_harness import RED, Frame
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from pose_estimation_ros.nodes.bag_writer import BagWriter
from pose_estimation_ros.nodes.conversions import ns_to_stamp
from pose_estimation_ros.nodes.message_types import type_name

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000


def detection(identity='can_1', label='can', x=0.0, score=0.75):
    pose = Pose(position=Point(x=x, y=0.0, z=0.5), orientation=Quaternion(w=1.0))
    hypothesis = ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=label, score=score),
        pose=PoseWithCovariance(pose=pose))
    return Detection3D(id=identity, results=[hypothesis],
                       bbox=BoundingBox3D(center=pose, size=Vector3(x=0.1, y=0.12, z=0.1)))


def diagnostics(sentence, level=DiagnosticStatus.WARN):
    return DiagnosticArray(status=[DiagnosticStatus(
        level=level, name='pose_estimator: processing', message=sentence,
        values=[KeyValue(key='milliseconds.pose', value='12.5'),
                KeyValue(key='milliseconds.pose.p99', value='40.0')])])


def write_result_bag(folder, detections, sentences=(), frame_id='camera_color_optical_frame',
                     spoil=lambda topic, number, data: data):
    """Write a bag of one frame for each list of detections, the results 40 ms after the stamp.

    `spoil(topic, number, data)` returns the bytes of a topic's message of that number.
    """
    frames = [Frame((((40 + 4 * i, 30, 90 + 4 * i, 90), RED),))
              for i in range(len(detections))]
    messages = [(topic, kind, time, message) for topic, kind, time, message
                in camera_messages(frames, PERIOD_NS, START_NS, prefix='')]
    for number, found in enumerate(detections):
        stamp_ns = START_NS + number * PERIOD_NS
        header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id)
        messages.append(('/object_detections', type_name(Detection3DArray),
                         stamp_ns + 40_000_000,
                         Detection3DArray(header=header, detections=found)))
        messages += [('/grasp_poses', type_name(PoseArray), stamp_ns + 41_000_000,
                         PoseArray(header=header, poses=[entry.bbox.center]))
                        for entry in found[:1]]
    messages += [('/diagnostics', type_name(DiagnosticArray),
                  START_NS + 50_000_000 + number * PERIOD_NS, diagnostics(sentence))
                 for number, sentence in enumerate(sentences)]
    writer = BagWriter(folder, compressed=True)
    numbers = Counter()
    for topic, kind, time, message in sorted(messages, key=lambda entry: entry[2]):
        writer.add_topic(topic, kind)
        writer.write(topic, time, spoil(topic, numbers[topic], serialize_message(message)))
        numbers[topic] += 1
    writer.close()
