"""Recorded RGB-D frames on disk: plain folders, NOCS and BOP layouts."""

from pose_estimation_ros.datasets.frame_source import FrameSource, open_frames

__all__ = ['FrameSource', 'open_frames']
