"""Category-level object pose and size from RGB-D cameras, for ROS 2."""

__version__ = '0.1.0'
