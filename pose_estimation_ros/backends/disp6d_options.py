"""What can be chosen when a DISP6D model runs."""

from __future__ import annotations

from dataclasses import dataclass

from pose_estimation_ros.core.errors import ConfigurationError

ALIGNMENTS = ('surfaces', 'icp', 'boxes')
REFINEMENTS = ('auto', 'none')
STANCES = ('likely', 'any')


@dataclass(frozen=True)
class DISP6DOptions:
    """Where known objects are, and how scale and position of categories are found.

    Attributes:
        objects: Folder of the files of `pose-estimation models add-object`; empty = that of the
            model that recognises them in the user's data folder.
        alignment: 'boxes' = extents of decoded and observed points are compared (the published
            code); 'surfaces' = then the middles of both surfaces are put equally far away; 'icp' =
            instead scale and position are fitted to pairs of points (the paper).
        object_model: Name or folder of the model whose encoder recognises known objects; empty =
            the backend's model. It lets one node do both, if categories and known objects were
            trained apart.
        refinement: Of known objects: 'auto' = their CAD models are fitted to the depth image
            while it arrives, if small_gicp is installed; 'none' = colour alone, as published.
        stance: Of objects of categories, where depth shows the ground: 'likely' = of similar
            rotations one is taken in which they stand, or else lie; 'any' = the most similar one,
            as published.
    """

    objects: str = ''
    alignment: str = 'surfaces'
    object_model: str = ''
    refinement: str = 'auto'
    stance: str = 'likely'

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ConfigurationError: If one is unknown.
        """
        for name, choices in (('alignment', ALIGNMENTS), ('refinement', REFINEMENTS),
                              ('stance', STANCES)):
            if getattr(self, name) not in choices:
                raise ConfigurationError(f'disp6d.{name} is {getattr(self, name)!r}; choose one '
                                         f'of {", ".join(choices)}')
