"""The lifecycle node: RGB-D topics in, object poses out."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.nodes.diagnostics import ERROR, OK, WARN, Monitor, status_message
from pose_estimation_ros.nodes.parameters import (
    ESTIMATOR_PARAMETERS,
    check_changes,
    declare,
    values_of,
    with_choices,
)
from pose_estimation_ros.nodes.ros_compat import TransformLookup
from pose_estimation_ros.nodes.session import Answer, EstimationSession
from pose_estimation_ros.nodes.settings import EstimatorSettings
from pose_estimation_ros.nodes.spinning import run_node
from pose_estimation_ros.pipeline import (
    Pipeline,
    backend_names,
    create_pipeline,
    segmenter_names,
)

_SAME_FAULT_SECONDS = 10.0
_NUMBER = re.compile(r'\d+(\.\d+)?')


class PoseEstimator(LifecycleNode):
    """Estimates poses and sizes of objects from RGB-D topics.

    unconfigured -> inactive loads the models, inactive -> active subscribes. Parameters change
    while the node is inactive; activation loads again what they change.
    """

    def __init__(self) -> None:
        """Declare parameters and start diagnostics; nothing is loaded yet."""
        super().__init__('pose_estimator')
        self._specs = with_choices(ESTIMATOR_PARAMETERS, {
            'backend': backend_names(), 'segmentation.method': segmenter_names()})
        declare(self, self._specs)
        self.add_on_set_parameters_callback(self._check_parameters)
        self._settings: EstimatorSettings | None = None
        self._pipeline: Pipeline | None = None
        self._transforms: TransformLookup | None = None
        self._session: EstimationSession | None = None
        self._monitor = Monitor()
        self._fault: str | None = None
        self._last_logged = ('', 0.0)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A steady clock: diagnostics must also tell that /clock stands still.
        self._timer = self.create_timer(
            self.get_parameter('diagnostics.period').value, self._publish_diagnostics,
            clock=Clock(clock_type=ClockType.STEADY_TIME))
        # A group of its own: a caller who waits must not hold up the messages.
        self._service = self.create_service(Trigger, '~/estimate', self._on_request,
                                            callback_group=MutuallyExclusiveCallbackGroup())
        self._reload_service = self.create_service(
            Trigger, '~/reload_objects', self._on_reload,
            callback_group=MutuallyExclusiveCallbackGroup())

    def start(self) -> None:
        """Configure and activate, if the parameter autostart says so."""
        if (self.get_parameter('autostart').value
                and self.trigger_configure() == TransitionCallbackReturn.SUCCESS):
            self.trigger_activate()

    def close(self) -> None:
        """Stop the threads and free the models, whatever the state is."""
        self._deactivate()
        self._unload()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models."""
        return self._attempt(self._load, super().on_configure, state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and publish; first load again what parameters have changed."""
        return self._attempt(self._activate, super().on_activate, state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, finish the frames in flight and take the markers away."""
        return self._attempt(self._deactivate, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        return self._attempt(self._unload, super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything."""
        return self._attempt(self.close, super().on_shutdown, state)

    def _attempt(self, action: Callable[[], None],
                 proceed: Callable[[LifecycleState], TransitionCallbackReturn],
                 state: LifecycleState) -> TransitionCallbackReturn:
        """Make a transition; rclpy would swallow its error, so it is told here."""
        self._fault = None
        try:
            action()
        except PoseEstimationError as error:
            self._fault = str(error)
        except Exception as error:
            self._fault = f'internal error: {error!r}'
            self.get_logger().error(traceback.format_exc())
        if self._fault is not None:
            self.get_logger().error(self._fault)
            return TransitionCallbackReturn.FAILURE
        return proceed(state)

    def _load(self) -> None:
        self._unload()
        settings = self._present_settings()
        if settings.output_frame and self._transforms is None:
            self._transforms = TransformLookup(self)
        started = time.perf_counter()
        self._pipeline = create_pipeline(settings.pipeline)
        self._settings = settings
        facts = ', '.join(f'{key}: {value}' for key, value in self._pipeline.describe().items())
        self.get_logger().info(f'loaded in {time.perf_counter() - started:.1f} s ({facts})')
        for fault, labels in self._pipeline.label_gaps().items():
            self.get_logger().warning('segmentation model and backend know different objects; '
                                      f'{fault}: {labels}')

    def _unload(self) -> None:
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline = self._settings = None

    def _activate(self) -> None:
        if self._present_settings() != self._settings:
            self._load()
        if self._pipeline is None or self._settings is None:
            return
        self._monitor = Monitor()
        self._session = EstimationSession(self, self._settings, self._pipeline, self._transforms,
                                          self._monitor, self._log_fault)
        self.get_logger().info('active: waiting for images')

    def _deactivate(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None

    def _present_settings(self) -> EstimatorSettings:
        return EstimatorSettings.from_values(values_of(self, self._specs))

    def _check_parameters(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        return check_changes(self._specs, changes, active=self._session is not None)

    async def _on_request(self, _request: Trigger.Request,
                          response: Trigger.Response) -> Trigger.Response:
        """Answer ~/estimate when the next frame is done; frames go on meanwhile."""
        answer: Answer | None = Answer(success=False, message=self._inactive_reason())
        if self._session is not None:
            answer = await self._session.request()
        if answer is not None:
            response.success, response.message = answer.success, answer.message
        return response

    def _on_reload(self, _request: Trigger.Request,
                   response: Trigger.Response) -> Trigger.Response:
        """Answer ~/reload_objects: which known objects there are now, and which are refused."""
        pipeline = self._pipeline  # Another thread may unload it meanwhile.
        if pipeline is None:
            response.message = self._inactive_reason()
            return response
        try:
            found = pipeline.reload_objects()
        except PoseEstimationError as error:
            response.message = str(error)
            return response
        response.success = not found.refused
        response.message = '. '.join([f'{len(found.names)} objects: {", ".join(found.names)}',
                                      *found.refused])
        return response

    def _log_fault(self, sentence: str) -> None:
        if self._is_news(sentence):
            self.get_logger().error(sentence)

    def _is_news(self, sentence: str) -> bool:
        """Return whether a sentence is worth the log: it is new, or has lasted for a while."""
        kind, now = _NUMBER.sub('#', sentence), time.monotonic()
        last_kind, last_time = self._last_logged
        if kind == last_kind and now - last_time <= _SAME_FAULT_SECONDS:
            return False
        self._last_logged = (kind, now)
        return True

    def _publish_diagnostics(self) -> None:
        message = DiagnosticArray(status=[
            self._input_status(), self._processing_status(), self._model_status()])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _input_status(self) -> DiagnosticStatus:
        if self._session is None:
            return self._status('input', WARN, self._inactive_reason(), {})
        problem = self._clock_problem() or self._session.input_problem()
        self._session.expire_requests(problem or 'inputs arrive but give no frame')
        if problem is None:
            return self._status('input', OK, 'all inputs arrive', {})
        if self._session.is_settled:
            self._log_fault(problem)
        return self._status('input', ERROR, problem, {})

    def _processing_status(self) -> DiagnosticStatus:
        if self._session is None:
            return self._status('processing', WARN, self._inactive_reason(), {})
        emptiness = self._monitor.lasting_emptiness()
        if emptiness is not None and self._is_news(emptiness):
            self.get_logger().warning(emptiness)
        level, sentence = self._monitor.processing()
        return self._status('processing', level, sentence, self._monitor.values())

    def _model_status(self) -> DiagnosticStatus:
        if self._fault is not None:
            return self._status('model', ERROR, self._fault, {})
        if self._pipeline is None:
            return self._status('model', WARN, self._inactive_reason(), {})
        return self._status('model', OK, 'models are loaded', self._pipeline.describe())

    def _status(self, part: str, level: bytes, sentence: str,
                values: dict[str, str]) -> DiagnosticStatus:
        return status_message(f'{self.get_name()}: {part}', self.get_fully_qualified_name(),
                              level, sentence, values)

    def _clock_problem(self) -> str | None:
        if self.get_parameter('use_sim_time').value and self.get_clock().now().nanoseconds == 0:
            return ('use_sim_time is set but nobody publishes /clock; play the bag with --clock '
                    'or unset use_sim_time')
        return None

    def _inactive_reason(self) -> str:
        if self._fault is not None:
            return f'not active: {self._fault}'
        return 'not active: configure and activate the lifecycle node'


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(PoseEstimator)


if __name__ == '__main__':
    main()
