"""Pictures of results: boxes, axes, masks and labels on a colour image."""

from pose_estimation_ros.drawing.overlay import OverlayStyle, draw_overlay

__all__ = ['OverlayStyle', 'draw_overlay']
