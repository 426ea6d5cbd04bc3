"""The options that choose the method which estimates the poses, and how it does so."""

from __future__ import annotations

from typing import Annotated

import typer

from pose_estimation_ros.backends.base import MOST_UPRIGHT_TOLERANCE
from pose_estimation_ros.backends.disp6d_options import ALIGNMENTS, REFINEMENTS, STANCES
from pose_estimation_ros.backends.mrc_options import (
    AUXILIARIES,
    COPY_CHOICES,
    HYPOTHESES,
    ROTATED_COPIES,
)
from pose_estimation_ros.backends.neural_mesh_options import COMPETITIONS, PROPOSALS, SCALES
from pose_estimation_ros.backends.registry import BUILT_IN, backend_names

OBJECTS_HELP = ('Backend disp6d: folder of the objects of `models add-object`; empty = the '
                "model's in the user's data folder.")
OBJECT_MODEL_HELP = ('Backend disp6d: model that recognises those objects; empty = the same as '
                     '--model.')
REFINEMENT_HELP = (f'Backends mrc, disp6d: {" or ".join(REFINEMENTS)}: known objects are fitted '
                   'to depth while there is any, or not.')
ALIGNMENT_HELP = (f'Backend disp6d: {" or ".join(ALIGNMENTS)}: distance and size of objects of '
                  'categories by boxes, then distance by surfaces; both by pairs of points; or '
                  'by boxes alone, as the published code.')
STANCE_HELP = (f'Backend disp6d: {" or ".join(STANCES)}: whether of similar rotations of an '
               'object of a category one is taken in which it stands or lies on the ground.')
UprightTolerance = Annotated[float, typer.Option(
    min=0.0, max=MOST_UPRIGHT_TOLERANCE,
    help='Objects of categories that lean less than so many degrees from standing on the ground '
         'that depth shows are turned upright; 0 = none is.')]
COPIES_HELP = ('Backend mrc: copies of an object, turned in the image plane, that are estimated '
               f'and compared: {", ".join(ROTATED_COPIES)}; auto = four for published weights, '
               'else one.')
HYPOTHESES_HELP = (f'Backend mrc: {", ".join(HYPOTHESES)}: coarse rotations of an object that are '
                   'corrected and compared by their outlines; auto = four for lite models.')
CHOICE_HELP = (f'Backend mrc with four copies: {" or ".join(COPY_CHOICES)}; joint = one copy '
               'gives rotation and translation, separate = the surest of each, as the published '
               'code.')
AUXILIARY_HELP = (f'Backend mrc: {" or ".join(AUXILIARIES)}: what the network is told of the '
                  'place of a crop; the published inference differs from the training by an '
                  'oversight.')
PROPOSALS_HELP = (f'Backend neural_mesh: {" or ".join(PROPOSALS)}: it finds the objects itself, '
                  'or a detector says where they are.')
SCALE_HELP = (f'Backend neural_mesh: {", ".join(SCALES)}: distance and size follow from the '
              'mean size of the category, from depth, or (auto) from depth where there is one.')
INITIAL_POSES_HELP = ('Backend neural_mesh: how many poses of each object are refined, the best '
                      'is taken; 0 = as the model says.')
PROBABILITY_HELP = ('Backend neural_mesh: candidates less likely than this are rejected; '
                    "negative = the model's own.")
COMPETITION_HELP = (f'Backend neural_mesh: {" or ".join(COMPETITIONS)}: whether objects compete '
                    'for pixels.')
BACKEND_HELP = (f'Method that estimates the poses: {", ".join(BUILT_IN)}, or one of an installed '
                'package.')


def complete_backend(incomplete: str) -> list[str]:
    """Return the installed methods that begin so, for the completion of command lines."""
    return [name for name in backend_names() if name.startswith(incomplete)]
