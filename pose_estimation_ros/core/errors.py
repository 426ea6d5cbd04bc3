"""The exceptions of this package: each message names the fault, the value seen and the cure."""


class PoseEstimationError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidInputError(PoseEstimationError):
    """An image, camera description or message cannot be used as it is."""


class ModelError(PoseEstimationError):
    """A model file or its manifest is missing, damaged or does not fit its task."""


class ConfigurationError(PoseEstimationError):
    """A parameter, argument or choice has a value that cannot work."""
