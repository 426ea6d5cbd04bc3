"""How identities are kept, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from pose_estimation_ros.core.errors import ConfigurationError


@dataclass(frozen=True)
class TrackerOptions:
    """When a pose may continue a track, how long a track waits, and how poses are smoothed.

    Attributes:
        max_distance: Farthest step of an object's centre off its predicted place, metres.
        max_size_ratio: Largest ratio of the box diagonals of two sightings.
        use_appearance: Compare colours inside the masks, too.
        max_missed_seconds: Time after its last sighting at which a track is lost, seconds.
        remember_seconds: Time after its last sighting at which a lost track can no longer come
            back, seconds; no more than `max_missed_seconds` = never.
        return_distance: Farthest that a lost object may come back from where it was, metres.
        min_sightings: Sightings in a row before a pose is published.
        predict: Expect objects that clearly move where they move to, and smooth them without
            lag; otherwise all are expected where they were.
        smoothing_seconds: Time over which poses are averaged; 0 = published as measured.
        max_rotation: A rotation further off than this, by the nearest of all equal ones, is an
            outlier, radians; pi or more = none is. Without smoothing it is published all the same.
        change_seconds: How long another rotation must be seen before it is believed, seconds.
    """

    max_distance: float = 0.15
    max_size_ratio: float = 2.0
    use_appearance: bool = True
    max_missed_seconds: float = 1.0
    remember_seconds: float = 10.0
    return_distance: float = 0.3
    min_sightings: int = 1
    predict: bool = True
    smoothing_seconds: float = 0.1
    max_rotation: float = 0.5
    change_seconds: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigurationError: If a limit cannot work.
        """
        for name, works, needs in (
                ('max_distance', self.max_distance > 0, 'more than 0 metres'),
                ('max_size_ratio', self.max_size_ratio > 1, 'more than 1'),
                ('max_missed_seconds', self.max_missed_seconds >= 0, 'at least 0 seconds'),
                ('remember_seconds', self.remember_seconds >= 0, 'at least 0 seconds'),
                ('return_distance', self.return_distance > 0, 'more than 0 metres'),
                ('min_sightings', self.min_sightings >= 1, 'at least 1'),
                ('smoothing_seconds', self.smoothing_seconds >= 0, 'at least 0 seconds'),
                ('max_rotation', self.max_rotation > 0, 'more than 0 radians'),
                ('change_seconds', self.change_seconds > 0, 'more than 0 seconds')):
            if not works:
                raise ConfigurationError(
                    f'tracking needs {name} {needs}, it is {getattr(self, name)}')
