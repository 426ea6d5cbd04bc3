"""As much of tf2_ros as the estimator uses, for machines whose ROS has none.

It knows one transform: base_link to the camera's frame, for stamps later than one hour after zero.
"""

from geometry_msgs.msg import TransformStamped
from tf2_msgs.msg import TFMessage


class TransformException(Exception):
    pass


class Buffer:
    def __init__(self):
        self.times_cleared = 0

    def clear(self):
        self.times_cleared += 1

    def lookup_transform(self, target_frame, source_frame, time, timeout):
        if (target_frame, source_frame) != ('base_link', 'camera_color_optical_frame'):
            raise TransformException(f'{target_frame} does not exist')
        if time.nanoseconds < 3600e9:
            raise TransformException('extrapolation into the past')
        message = TransformStamped()
        message.transform.translation.x = 1.0
        message.transform.translation.y = 2.0
        # A quarter turn about z.
        message.transform.rotation.z = message.transform.rotation.w = 0.5 ** 0.5
        return message


class TransformListener:
    def __init__(self, buffer, node):
        assert isinstance(buffer, Buffer)
        self.node = node
        self.subscription = node.create_subscription(TFMessage, '/tf', lambda _: None, 1)

    def unregister(self):
        self.node.destroy_subscription(self.subscription)
