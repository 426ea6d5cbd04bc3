"""Work in independent pieces: on this machine's processes or on a cluster of machines."""

from pose_estimation_ros.distribution.tasks import LostShardError, Report, map_shards, no_report

__all__ = ['LostShardError', 'Report', 'map_shards', 'no_report']
