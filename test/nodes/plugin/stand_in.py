"""A backend and a segmenter as a third party would add them, small enough to check by hand.

Pure red, green and blue areas are cans, bowls and mugs, or what $STAND_IN_LABELS says. The pose
is the centroid of their points, turned as the camera is; the size is their extent. A first pixel
of (0, n, 0) makes the estimate take n hundredths of a second, of (0, 255, 0) for ever.
"""

import os
import time
from dataclasses import replace

import cv2
import numpy as np

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.se3 import make_transform

_LABELS = dict(enumerate(os.environ.get('STAND_IN_LABELS', 'can,bowl,mug').split(',')))
_FEWEST_POINTS = 20


class ColorSegmenter:
    providers = ('numpy',)
    needs_depth = False
    categories = tuple(_LABELS.values())

    def __init__(self, options):
        self._max_objects = options.max_objects

    def detect(self, frame):
        found = []
        for channel, label in _LABELS.items():
            darkest, brightest = np.zeros(3), np.full(3, 59.0)
            darkest[channel], brightest[channel] = 201, 255
            mask = cv2.inRange(frame.rgb, darkest, brightest)
            if not mask.any():
                continue
            count, areas, boxes, _ = cv2.connectedComponentsWithStats(mask)
            for index in range(1, count):
                x, y, width, height, _ = boxes[index]
                found.append(Detection(label, 0.9, np.array([x, y, x + width, y + height]),
                                       areas == index))
        return found[:self._max_objects]

    def close(self):
        pass


class CentroidBackend:
    name = 'stand_in'
    needs = frozenset({'depth', 'detections'})
    categories = tuple(_LABELS.values())

    def __init__(self, options):
        self._seed = options.seed
        time.sleep(float(os.environ.get('STAND_IN_LOAD_SECONDS', '0')))

    def estimate(self, frame, detections):
        red, hundredths, blue = frame.rgb[0, 0].tolist()
        if red == blue == 0:
            time.sleep(hundredths / 100 if hundredths < 255 else 1e6)
        return [self._pose(frame, detection) for detection in detections]

    def describe(self):
        return {'model': 'centroid', 'provider': 'numpy'}

    def close(self):
        pass

    def _pose(self, frame, detection):
        rows, columns = detection.pixels()
        depth = frame.depth[rows, columns]
        known = np.isfinite(depth)
        if known.sum() < _FEWEST_POINTS:
            return Rejection(detection, f'only {known.sum()} points have depth')
        pixels = np.stack([columns, rows], axis=-1)[known].astype(np.float64)
        points = frame.intrinsics.back_project(pixels, depth[known])
        size = np.maximum(np.ptp(points, axis=0), 0.01)
        return ObjectPose(detection.label, 0.8, make_transform(np.eye(3), points.mean(axis=0)),
                          size, category_named(detection.label).symmetry, self.name,
                          detection=detection,
                          points=(points - points.mean(axis=0)).astype(np.float32))


class ColorBackend(CentroidBackend):
    """Looks at colour alone: everything is a metre away."""

    name = 'stand_in_color'
    needs = frozenset({'detections'})

    def estimate(self, frame, detections):
        far = np.ones(frame.rgb.shape[:2], np.float32)
        return super().estimate(replace(frame, depth=far), detections)
