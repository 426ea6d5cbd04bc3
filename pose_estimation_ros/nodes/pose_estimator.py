"""The lifecycle node: RGB-D topics in, object poses out."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.nodes.background import in_thread
from pose_estimation_ros.nodes.diagnostics import (
    ERROR,
    OK,
    WARN,
    Monitor,
    NewsFilter,
    status_message,
)
from pose_estimation_ros.nodes.loaded_models import LoadedModels
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
from pose_estimation_ros.nodes.transitions import PreparedTransitions
from pose_estimation_ros.pipeline import Pipeline, backend_names, segmenter_names

# What deactivation waits for the frames in flight; a stage that takes longer may never end.
_LAST_FRAMES_SECONDS = 10.0
# The same for a process that is told to end.
_END_SECONDS = 0.3


class PoseEstimator(LifecycleNodeMixin, Node):
    """Estimates poses and sizes of objects from RGB-D topics.

    unconfigured -> inactive loads the models, inactive -> active subscribes. Thresholds and
    filters change at any time, other parameters while the node is inactive; activation loads
    again what they change.
    """

    def __init__(self) -> None:
        """Declare parameters and start diagnostics; nothing is loaded yet."""
        Node.__init__(self, 'pose_estimator')
        # Reentrant: a transition that is waited for must not hold up the question for the state.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._specs = with_choices(ESTIMATOR_PARAMETERS, {
            'backend': backend_names(), 'segmentation.method': segmenter_names()})
        declare(self, self._specs)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._models = LoadedModels(self.get_logger().info, self.get_logger().warning)
        self._transforms: TransformLookup | None = None
        self._session: EstimationSession | None = None
        self._monitor = Monitor()
        self._news = NewsFilter()
        self._fault: str | None = None
        self._is_configured = False
        self._preparation_error: Exception | None = None
        self._transitions = PreparedTransitions(self, self._prepare)
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
        """Configure and activate once the executor spins, if the parameter autostart says so."""
        if self.get_parameter('autostart').value:
            self.executor.create_task(self._bring_up)

    async def _bring_up(self) -> None:
        refused = TransitionCallbackReturn.ERROR
        done = await self._transitions.run('configure', self.trigger_configure, refused)
        if done == TransitionCallbackReturn.SUCCESS:
            await self._transitions.run('activate', self.trigger_activate, refused)

    def close(self) -> None:
        """Stop everything within a second or so, whatever the state is; a process ends then."""
        self._end_session()
        self._models.close()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models."""
        return self._attempt(self._configure, super().on_configure, state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and publish; first load again what parameters have changed."""
        return self._attempt(self._activate, super().on_activate, state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, finish the frames in flight, take the markers away, free the models."""
        return self._attempt(self._deactivate, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models, and listen to TF no more."""
        return self._attempt(self._clean_up, super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything."""
        return self._attempt(self._shut_down, super().on_shutdown, state)

    def _prepare(self, transition: str) -> Callable[[], object] | None:
        """Return the slow part of a transition, which runs in a thread."""
        self._preparation_error = None
        if (transition == 'configure' and not self._is_configured) or (
                transition == 'activate' and self._is_configured and self._session is None):
            return self._prepare_models
        if transition in ('deactivate', 'shutdown') and self._session is not None:
            self._session.stop_input()
            return partial(self._session.finish, _LAST_FRAMES_SECONDS)
        return None

    def _prepare_models(self) -> None:
        """Load models in a thread; what goes wrong is told by the transition."""
        try:
            settings = self._present_settings()
            if settings.needs_transforms:
                TransformLookup.check_installation()
            self._models.provide(settings.pipeline)
        except Exception as error:
            self._preparation_error = error

    def _attempt(self, action: Callable[[], object],
                 proceed: Callable[[LifecycleState], TransitionCallbackReturn],
                 state: LifecycleState) -> TransitionCallbackReturn:
        """Make a transition; rclpy would swallow its error, so it is told here."""
        self._fault = None
        try:
            if self._preparation_error is not None:
                raise self._preparation_error
            action()
        except PoseEstimationError as error:
            self._tell_fault(str(error))
        except Exception as error:
            self.get_logger().error(''.join(traceback.format_exception(error)))
            self._tell_fault(f'internal error: {error!r}')
        else:
            return proceed(state)
        return TransitionCallbackReturn.FAILURE

    def _tell_fault(self, sentence: str) -> None:
        """Log what is wrong, and keep it for diagnostics until the next transition."""
        self._fault = sentence
        self.get_logger().error(sentence)

    def _configure(self) -> tuple[EstimatorSettings, Pipeline]:
        settings = self._present_settings()
        if not settings.needs_transforms:
            self._forget_transforms()
        elif self._transforms is None:
            self._transforms = TransformLookup(self)
        pipeline = self._models.provide(settings.pipeline)
        self._is_configured = True
        return settings, pipeline

    def _activate(self) -> None:
        # Parameters may have changed while the models were prepared.
        settings, pipeline = self._configure()
        self._monitor = Monitor()
        self._session = EstimationSession(
            self, settings, pipeline, self._transforms, self._monitor, self._log_fault)
        self.get_logger().info('active: waiting for images')

    def _deactivate(self) -> None:
        if not self._end_session():
            self._tell_fault(
                'a frame was still in work when the node was deactivated and did not end within '
                f'{_LAST_FRAMES_SECONDS:g} s: the model is too slow for this machine, or hangs; '
                'it stays in memory until that frame ends. Activation loads another one; start '
                'the process again to be rid of this one')
        if not self.get_parameter('keep_models').value:
            self._models.unload()

    def _end_session(self) -> bool:
        """End the present activation; return whether all its frames have ended too."""
        session, self._session = self._session, None
        if session is None:
            return True
        session.stop_input()
        # In a transition they have been waited for already, beside the executor.
        finished = session.finish(_END_SECONDS)
        session.close()
        if not finished:
            self._models.abandon()
        return finished

    def _clean_up(self) -> None:
        self._models.unload()
        self._forget_transforms()
        self._is_configured = False

    def _forget_transforms(self) -> None:
        if self._transforms is not None:
            self._transforms.destroy()
        self._transforms = None

    def _shut_down(self) -> None:
        self._deactivate()
        self._clean_up()

    def _present_settings(self) -> EstimatorSettings:
        return EstimatorSettings.from_values(values_of(self, self._specs))

    def _on_parameters(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        """Check changes of parameters; while the node is active it follows them at once."""
        answer = check_changes(self._specs, changes, active=self._session is not None)
        if not answer.successful or self._session is None:
            return answer
        present = values_of(self, self._specs)
        wanted = {change.name: change.value for change in changes if change.name in present}
        try:
            settings = EstimatorSettings.from_values(present | wanted)
            self._models.retune(settings.pipeline)
        except PoseEstimationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._session.retune(settings)
        return answer

    async def _on_request(self, _request: Trigger.Request,
                          response: Trigger.Response) -> Trigger.Response:
        """Answer ~/estimate when the next frame is done; frames go on meanwhile."""
        answer: Answer | None = Answer(success=False, message=self._inactive_reason())
        if self._session is not None:
            answer = await self._session.request()
        if answer is not None:
            response.success, response.message = answer.success, answer.message
        return response

    async def _on_reload(self, _request: Trigger.Request,
                         response: Trigger.Response) -> Trigger.Response:
        """Answer ~/reload_objects when the files are read; frames go on meanwhile."""
        answer = await in_thread(self, 'reload_objects', self._reload_objects)
        response.success, response.message = answer.success, answer.message
        return response

    def _reload_objects(self) -> Answer:
        """Return which known objects there are now, and which are refused."""
        pipeline = self._models.pipeline  # Another thread may unload it meanwhile.
        if pipeline is None:
            return Answer(success=False, message=self._inactive_reason())
        try:
            found = pipeline.reload_objects()
        except PoseEstimationError as error:
            return Answer(success=False, message=str(error))
        except Exception as error:
            # Some versions of rclpy would tell nobody, and leave the caller without an answer.
            return Answer(success=False, message=f'internal error: {error!r}')
        return Answer(success=not found.refused, message='. '.join([
            f'{len(found.names)} objects: {", ".join(found.names)}', *found.refused]))

    def _log_fault(self, sentence: str) -> None:
        if self._news.is_news(sentence):
            self.get_logger().error(sentence)

    def _publish_diagnostics(self) -> None:
        message = DiagnosticArray(status=[
            self._input_status(), self._processing_status(), self._model_status()])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _input_status(self) -> DiagnosticStatus:
        if self._session is None:
            return self._status('input', WARN, self._inactive_reason(), {})
        problems, table = self._session.input_health()
        sentences = [*filter(None, [self._clock_problem()]),
                     *(problem.sentence for problem in problems)]
        table |= {f'problem.{index}': sentence for index, sentence in enumerate(sentences)}
        blocks = self._clock_problem() is not None or any(p.stops_frames for p in problems)
        self._session.expire_requests(
            sentences[0] if blocks else self._monitor.present_fault()
            or 'inputs arrive but give no frame')
        if not sentences:
            return self._status('input', OK, 'all inputs arrive', table)
        if self._session.is_settled:
            for sentence in filter(self._news.is_news, sentences):
                # A line each: rclpy refuses one line that logs with two severities.
                if blocks:
                    self.get_logger().error(sentence)
                else:
                    self.get_logger().warning(sentence)
        return self._status('input', ERROR if blocks else WARN, sentences[0], table)

    def _processing_status(self) -> DiagnosticStatus:
        if self._session is None:
            return self._status('processing', WARN, self._inactive_reason(), {})
        table = self._monitor.values(self.get_clock().now().nanoseconds) | self._session.at_work()
        trouble = self._session.trouble()
        if trouble is not None:
            self._log_fault(trouble)
            return self._status('processing', ERROR, trouble, table)
        emptiness = self._monitor.lasting_emptiness()
        if emptiness is not None and self._news.is_news(emptiness):
            self.get_logger().warning(emptiness)
        level, sentence = self._monitor.processing()
        return self._status('processing', level, sentence, table)

    def _model_status(self) -> DiagnosticStatus:
        if self._fault is not None:
            return self._status('model', ERROR, self._fault, {})
        pipeline, loading = self._models.pipeline, self._models.loading()
        if loading is not None:
            return self._status('model', WARN, loading, {})
        if pipeline is None:
            return self._status('model', WARN, self._inactive_reason(), {})
        warning = self._models.warning
        return self._status('model', OK if warning is None else WARN,
                            warning or 'models are loaded', pipeline.describe())

    def _status(self, part: str, level: bytes, sentence: str,
                values: dict[str, str]) -> DiagnosticStatus:
        name = self.get_fully_qualified_name().lstrip('/')  # Several cameras have several nodes.
        return status_message(f'{name}: {part}', self.get_fully_qualified_name(),
                              level, sentence, values)

    def _clock_problem(self) -> str | None:
        if self.get_parameter('use_sim_time').value and self.get_clock().now().nanoseconds == 0:
            return ('use_sim_time is set but nobody publishes /clock; play the bag with --clock '
                    'or unset use_sim_time')
        return None

    def _inactive_reason(self) -> str:
        if self._fault is not None:
            return f'not active: {self._fault}'
        loading = self._models.loading()
        if loading is not None:
            return f'not active yet: {loading}'
        if self._is_configured:
            return 'not active: activate the lifecycle node'
        return 'not active: configure and activate the lifecycle node'


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(PoseEstimator)


if __name__ == '__main__':
    main()
