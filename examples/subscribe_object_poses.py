"""Wait for an object and print where to reach for it, as a manipulation stack would.

    python examples/subscribe_object_poses.py --label mug --min-score 0.5

`object_detections` is the primary output: class, score, size and stable id in one message. A
`PoseStamped` of `object_poses` carries no identity; it has the stamp, the order and the count of
the detections, so the two can be joined when a consumer wants poses only. This script does both:
it takes identity, score and size from the detections and the pose from `object_poses`, and waits
until all poses of a frame are there.
"""

import argparse
from collections import defaultdict

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection3DArray

# Four times the most objects in a frame (parameter max_objects), so that no pose of it is lost.
POSES_QUEUE = 128
FRAMES_KEPT = 10


class ObjectListener(Node):
    """Joins detections and poses of the same image, and keeps the best object of one label."""

    def __init__(self, label, min_score):
        super().__init__('object_listener')
        self.label = label
        self.min_score = min_score
        self.target = None
        self._detections = {}
        self._poses = defaultdict(list)
        self.create_subscription(Detection3DArray, 'object_detections', self.on_detections, 10)
        self.create_subscription(PoseStamped, 'object_poses', self.on_pose,
                                 QoSProfile(depth=POSES_QUEUE))

    def on_detections(self, message):
        """Keep the detections of an image."""
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        self._detections[stamp] = message.detections
        self.join(stamp)

    def on_pose(self, message):
        """Keep one pose of an image."""
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        self._poses[stamp].append(message)
        self.join(stamp)

    def join(self, stamp):
        """Look for the target once all poses of an image have come."""
        for kept in (self._detections, self._poses):
            # By arrival, not by stamp: a bag that starts over brings old stamps.
            while len(kept) > FRAMES_KEPT:
                del kept[next(iter(kept))]
        detections = self._detections.get(stamp)
        poses = self._poses.get(stamp, [])
        if detections is None or len(poses) < len(detections):
            return
        # The same stamp may come again, and must not meet what is left of this one.
        del self._detections[stamp]
        self._poses.pop(stamp, None)
        for detection, pose in zip(detections, poses, strict=False):
            hypothesis = detection.results[0].hypothesis
            if hypothesis.class_id == self.label and hypothesis.score >= self.min_score:
                self.target = (detection, pose)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--label', default='mug')
    parser.add_argument('--min-score', type=float, default=0.5)
    arguments, ros_arguments = parser.parse_known_args()
    rclpy.init(args=ros_arguments)
    node = ObjectListener(arguments.label, arguments.min_score)
    try:
        while node.target is None:
            rclpy.spin_once(node)
        detection, pose = node.target
        position, size = pose.pose.position, detection.bbox.size
        print(f'{detection.id} in {pose.header.frame_id}: '
              f'x={position.x:.3f} y={position.y:.3f} z={position.z:.3f} m, '
              f'size {size.x:.3f} x {size.y:.3f} x {size.z:.3f} m, '
              f'score {detection.results[0].hypothesis.score:.2f}')
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
