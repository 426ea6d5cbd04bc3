"""What can be chosen when a neural mesh model runs."""

from __future__ import annotations

from dataclasses import dataclass

from pose_estimation_ros.core.errors import ConfigurationError

PROPOSALS = ('generative', 'detector')
SCALES = ('auto', 'category', 'depth')
COMPETITIONS = ('on', 'off')
_CHOICES = {'proposals': PROPOSALS, 'scale': SCALES, 'competition': COMPETITIONS}
MOST_INITIAL_POSES = 16


@dataclass(frozen=True)
class NeuralMeshOptions:
    """Where objects come from, what fixes their size, and what the paper's ablations switch.

    Attributes:
        proposals: 'generative' = the method finds the objects itself; 'detector' = boxes of a
            detector say where they are, as in the paper's comparison.
        scale: 'category' = the mean size of the category, colour says no more; 'depth' = the
            depth image fixes distance and size, and frames without one are refused; 'auto' =
            depth where a frame brings it.
        initial_poses: Of each object that are refined, the best is taken; 0 = as the model says.
        competition: 'on' = objects compete for pixels, so that one that is hidden by another is
            judged by what is left of it; 'off' = each object is alone.
        min_probability: Candidates less likely than this are rejected, and those whose pixels
            others explain better; None = the model's own, 0 = nothing is rejected.
    """

    proposals: str = 'generative'
    scale: str = 'auto'
    initial_poses: int = 0
    competition: str = 'on'
    min_probability: float | None = None

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ConfigurationError: If one is unknown.
        """
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigurationError(f'neural_mesh.{name} is {value!r}; choose one of '
                                         f'{", ".join(choices)}')
        if not 0 <= self.initial_poses <= MOST_INITIAL_POSES:
            raise ConfigurationError(f'neural_mesh.initial_poses is {self.initial_poses}; choose '
                                     f'0 (as the model says) to {MOST_INITIAL_POSES}')
        if not 0.0 <= (self.min_probability or 0.0) <= 1.0:
            raise ConfigurationError(f'neural_mesh.min_probability is {self.min_probability}; '
                                     'choose 0 to 1')
