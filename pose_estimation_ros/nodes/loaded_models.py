"""The models that are in memory: loaded once, tuned while they run, freed when not needed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.pipeline import Pipeline, PipelineOptions, create_pipeline

# The stages log below this name.
_LOGGER = logging.getLogger('pose_estimation_ros')


class LoadedModels:
    """One pipeline at most, and the options that it follows.

    Loading may run in any thread, but in one at a time.

    Attributes:
        pipeline: What is loaded, None = nothing.
        warning: What the loaded stages had to tell last, None = nothing.
    """

    def __init__(self, log: Callable[[str], None], warn: Callable[[str], None]) -> None:
        """Load nothing yet.

        Args:
            log: Gets a sentence when models are loaded.
            warn: Gets a sentence on what does not fit together.
        """
        self._log = log
        self._warn = warn
        self.warning: str | None = None
        # What the stages have to tell while they run, such as a fall-back to the CPU.
        self._handler = _WarningHandler(self._on_warning)
        _LOGGER.addHandler(self._handler)
        self._options: PipelineOptions | None = None
        self._loading: tuple[str, float] | None = None
        self.pipeline: Pipeline | None = None

    def _on_warning(self, sentence: str) -> None:
        self.warning = sentence
        self._warn(sentence)

    def loading(self) -> str | None:
        """Return what is being loaded and for how long already, None if nothing is."""
        loading = self._loading  # Another thread may end it meanwhile.
        if loading is None:
            return None
        what, began = loading
        return f'loading models for {time.monotonic() - began:.0f} s ({what})'

    def provide(self, options: PipelineOptions) -> Pipeline:
        """Return a pipeline that follows the options; what is loaded already is not loaded again.

        Raises:
            ConfigurationError: If a backend, segmenter, label or device does not exist.
            ModelError: If a model is missing, damaged or of another kind.
        """
        pipeline, before = self.pipeline, self._options
        if (pipeline is not None and before is not None
                and before.of_models() == options.of_models()):
            try:
                self.retune(options)
            except ConfigurationError:
                # A stage that cannot change has to be loaded again.
                pass
            else:
                return pipeline
        return self._load(options)

    def retune(self, options: PipelineOptions) -> None:
        """Let the loaded pipeline follow other options of the same models.

        Raises:
            ConfigurationError: If it cannot; then nothing changes.
        """
        if self.pipeline is None or self._options is None or self._options == options:
            return
        self.pipeline.retune(self._options, options)
        self._options = options

    def unload(self) -> None:
        """Free the models and their device memory."""
        pipeline, self.pipeline, self._options = self.pipeline, None, None
        self.warning = None
        if pipeline is not None:
            pipeline.close()

    def abandon(self) -> None:
        """Leave the models to a thread that does not end; they are freed when it does."""
        self.pipeline = self._options = self.warning = None

    def close(self) -> None:
        """Free everything, and listen to the stages no more."""
        self.unload()
        _LOGGER.removeHandler(self._handler)

    def _load(self, options: PipelineOptions) -> Pipeline:
        self.unload()
        began = time.monotonic()
        self._loading = (f'backend {options.backend}, segmentation {options.segmenter}', began)
        try:
            pipeline = create_pipeline(options)
        finally:
            self._loading = None
        self.pipeline, self._options = pipeline, options
        facts = ', '.join(f'{key}: {value}' for key, value in pipeline.describe().items())
        self._log(f'loaded in {time.monotonic() - began:.1f} s ({facts})')
        for fault, labels in pipeline.label_gaps().items():
            self._warn('segmentation model and backend know different objects; '
                       f'{fault}: {labels}')
        return pipeline


class _WarningHandler(logging.Handler):
    """Hands on what is logged as a warning or worse."""

    def __init__(self, on_warning: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._on_warning = on_warning

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on a record's sentence."""
        self._on_warning(record.getMessage())
