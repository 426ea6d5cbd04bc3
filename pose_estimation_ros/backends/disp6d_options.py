"""What can be chosen when a DISP6D model runs."""

from __future__ import annotations

from dataclasses import dataclass

from pose_estimation_ros.core.errors import ConfigurationError

ALIGNMENTS = ('icp', 'boxes')


@dataclass(frozen=True)
class DISP6DOptions:
    """Where known objects are, and how scale and position of categories are found.

    Attributes:
        objects: Folder of the files of `pose-estimation models add-object`; empty = that of the
            model that recognises them in the user's data folder.
        alignment: 'icp' = decoded shapes are fitted to the depth image, starting from a
            comparison of boxes (the paper); 'boxes' = that comparison alone (the published code).
        object_model: Name or folder of the model whose encoder recognises known objects; empty =
            the backend's model. It lets one node do both, if categories and known objects were
            trained apart.
    """

    objects: str = ''
    alignment: str = 'icp'
    object_model: str = ''

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ConfigurationError: If one is unknown.
        """
        if self.alignment not in ALIGNMENTS:
            raise ConfigurationError(f'disp6d.alignment is {self.alignment!r}; choose one of '
                                     f'{", ".join(ALIGNMENTS)}')
