"""What can be chosen when an MRC-Net model runs."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pose_estimation_ros.core.errors import ConfigurationError

ROTATED_COPIES = ('auto', 'one', 'four')
COPY_CHOICES = ('joint', 'separate')
AUXILIARIES = ('trained', 'published')
HYPOTHESES = ('auto', 'one', 'four')
REFINEMENTS = ('auto', 'none')
_CHOICES = {'rotated_copies': ROTATED_COPIES, 'copy_choice': COPY_CHOICES,
            'auxiliary': AUXILIARIES, 'hypotheses': HYPOTHESES,
            'refinement': REFINEMENTS}


@dataclass(frozen=True)
class MRCOptions:
    """How poses are tried out, and what the published code does otherwise than its paper.

    Attributes:
        rotated_copies: How many copies of a crop, turned by quarter turns, are estimated and
            compared: 'one', 'four', or 'auto' = four for models that normalise with the
            statistics of their batch, whose published batch these are, and one for others.
        copy_choice: 'joint' = rotation and translation are those of the copy with the surest
            rotation (the paper); 'separate' = the translation is that of the copy with the surest
            depth (the published code).
        auxiliary: 'trained' = the classifier is told the direction of the crop, as in training;
            'published' = what the published inference tells it by an oversight.
        hypotheses: How many coarse rotations of an object are corrected, of which the one whose
            outline agrees best with the mask is taken: 'one' (published), 'four', or 'auto' =
            four for lite models that can, one for others.
        refinement: 'auto' = the CAD models are fitted to the depth image while one arrives, if
            small_gicp is installed; 'none' = colour alone, as published.
    """

    rotated_copies: str = 'auto'
    copy_choice: str = 'joint'
    auxiliary: str = 'trained'
    hypotheses: str = 'auto'
    refinement: str = 'auto'

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ConfigurationError: If one is unknown.
        """
        for field in fields(self):
            value, choices = getattr(self, field.name), _CHOICES[field.name]
            if value not in choices:
                raise ConfigurationError(f'mrc.{field.name} is {value!r}; choose one of '
                                         f'{", ".join(choices)}')
