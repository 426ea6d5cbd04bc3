"""Camera messages as no camera should send them: good ones mutated, and random ones. Seeded."""

from array import array

import cv2
import numpy as np
from ros_harness import RED, Frame
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from pose_estimation_ros.nodes.conversions import ns_to_stamp

WIDTH, HEIGHT = 40, 30
ENCODINGS = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', '16UC1', 'mono16', '32FC1', '8UC3', '',
             'RGB8', 'yuv422', 'bayer_rggb8', '32FC3', 'rgb8\x00', 'ünknown', '16UC1; x')
COUNTS = (0, 1, 2, 29, 31, 39, 41, 64, 80, 120, 4096, 65_535, 2 ** 31, 2 ** 32 - 1)
NUMBERS = (0.0, -0.0, -1.0, 1.0, 1e-300, 1e-9, 1e9, 1e300, -1e300, np.nan, np.inf, -np.inf)
MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant', '', 'fisheye', 'PLUMB_BOB', 'none')
LENGTHS = (0, 1, 3, 4, 5, 8, 12, 14, 100)


class Fuzzer:
    """Makes spoilt messages; equal seeds make equal messages.

    Attributes:
        spoilt: How many messages it has spoilt so far.
    """

    def __init__(self, seed):
        self.spoilt = 0
        self._random = np.random.default_rng(seed)
        self._frame = Frame((((12, 8, 26, 22), RED),), depth=0.5, size=(WIDTH, HEIGHT))

    def messages(self, header=None):
        """Return colour, depth, camera info and depth camera info, at least one of them spoilt."""
        header = header or self._header()
        color = self._frame.color_message(header)
        depth = self._frame.depth_message(header)
        info, depth_info = (self._frame.info_message(header) for _ in range(2))
        spoilers = (lambda: self._spoil_image(color), lambda: self._spoil_image(depth),
                    lambda: self._spoil_info(info), lambda: self._spoil_info(depth_info))
        chosen = self._random.choice(4, size=self._random.integers(1, 4), replace=False)
        for index in chosen:
            spoilers[index]()
        self.spoilt += len(chosen)
        return color, depth, info, depth_info

    def compressed(self, header=None):
        """Return compressed colour and depth, at least one of them spoilt, and a good info."""
        header = header or self._header()
        suffix = self._one_of(('.png', '.jpg'))
        color = cv2.imencode(suffix, self._frame.rgb)[1].tobytes()
        depth = bytes(12) + cv2.imencode('.png', self._frame.depth)[1].tobytes()
        both = self._random.random() < 0.3
        spoils_color = self._random.random() < 0.5
        self.spoilt += 1 + both
        if both or spoils_color:
            color = self._damaged(color)
        if both or not spoils_color:
            depth = self._damaged(depth)
        return (CompressedImage(header=header, format=suffix[1:], data=array('B', color)),
                CompressedImage(header=header, format=self._depth_format(),
                                data=array('B', depth)),
                self._frame.info_message(header), None)

    def _header(self):
        return Header(stamp=ns_to_stamp(int(self._random.integers(0, 2 ** 31)) * 10 ** 9),
                      frame_id='camera')

    def _one_of(self, values):
        return values[self._random.integers(len(values))]

    def _depth_format(self):
        if self._random.random() < 0.7:
            return '16UC1; compressedDepth png'
        return self._one_of(('32FC1; compressedDepth png', '16UC1; compressedDepth rvl', '', ';',
                             'png', 'mono16'))

    def _spoil_image(self, message):
        if self._random.random() < 0.1:
            message.encoding, message.step = self._one_of(ENCODINGS), self._count()
            message.width, message.height = self._count(), self._count()
            message.data = array('B', self._random.bytes(self._random.integers(0, 6000)))
            return
        spoil = self._one_of((self._spoil_size, self._spoil_encoding, self._spoil_bytes,
                              self._spoil_noise, self._spoil_depths))
        spoil(message)

    def _spoil_size(self, message: Image):
        setattr(message, self._one_of(('width', 'height', 'step')), self._count())

    def _spoil_encoding(self, message: Image):
        message.encoding = self._one_of(ENCODINGS)
        message.is_bigendian = int(self._random.integers(0, 256))

    def _spoil_bytes(self, message: Image):
        message.data = array('B', self._damaged(message.data.tobytes()))

    def _spoil_noise(self, message: Image):
        message.data = array('B', self._random.bytes(len(message.data)))

    def _spoil_depths(self, message: Image):
        values = self._random.choice(np.array(NUMBERS, np.float64), size=(HEIGHT, WIDTH))
        with np.errstate(over='ignore'):
            message.data = array('B', values.astype(np.float32).tobytes())
        message.encoding, message.step = '32FC1', 4 * WIDTH

    def _spoil_info(self, message: CameraInfo):
        for _ in range(self._random.integers(1, 4)):
            spoil = self._one_of((self._spoil_info_size, self._spoil_matrix, self._spoil_lens,
                                  self._spoil_region))
            spoil(message)

    def _spoil_info_size(self, message):
        setattr(message, self._one_of(('width', 'height')), self._count())

    def _spoil_matrix(self, message):
        matrix = getattr(message, self._one_of('krp'))
        for _ in range(self._random.integers(1, 4)):
            matrix[self._random.integers(len(matrix))] = self._number()

    def _spoil_lens(self, message):
        message.distortion_model = self._one_of(MODELS)
        message.d = [self._number() for _ in range(self._one_of(LENGTHS))]

    def _spoil_region(self, message):
        message.binning_x, message.binning_y = self._count(), self._count()
        if self._random.random() < 0.5:
            message.roi.x_offset, message.roi.y_offset = self._count(), self._count()
            message.roi.width, message.roi.height = self._count(), self._count()

    def _damaged(self, data):
        """Return bytes cut, lengthened or with some of them changed."""
        kind = self._random.integers(3)
        if kind == 0:
            return data[:self._random.integers(0, len(data))]
        if kind == 1:
            return data + self._random.bytes(self._random.integers(1, 200))
        damaged = bytearray(data)
        for place in self._random.integers(0, len(data), self._random.integers(1, 9)):
            damaged[place] = self._random.integers(256)
        return bytes(damaged)

    def _count(self):
        return int(self._one_of(COUNTS))

    def _number(self):
        if self._random.random() < 0.4:
            return float(self._random.normal(0, 1))
        return float(self._one_of(NUMBERS))
