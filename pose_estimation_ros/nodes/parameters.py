"""Parameters declared once: the node, its checks, the documents and the YAML come from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

Value: TypeAlias = bool | int | float | str

MOST_OBJECTS = 256


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter.

    Attributes:
        name: In snake_case, groups separated by dots.
        default: Its type is the parameter's type.
        description: One line for people.
        limits: Smallest and largest value of a number.
        step: Whole numbers must be a multiple of this.
        choices: Allowed values of a string.
        read_only: Set at the start only.
        inactive_only: May change while the node is not active; used at the next activation.
    """

    name: str
    default: Value
    description: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False
    inactive_only: bool = False
    step: int = 1

    @property
    def may_change(self) -> str:
        """When the value may change, for people."""
        if self.read_only:
            return 'at the start only'
        return 'while inactive' if self.inactive_only else 'at any time'

    def problem(self, value: Value) -> str | None:
        """Return why a value cannot be used, None if it can."""
        if self.choices and value not in self.choices:
            return f'{self.name} is {value!r}; choose one of {", ".join(self.choices)}'
        if self.limits is not None and not self.limits[0] <= float(value) <= self.limits[1]:
            return f'{self.name} is {value}; it must lie in {_range_text(self.limits)}'
        if isinstance(value, int) and value % self.step:
            return f'{self.name} is {value}; it must be a multiple of {self.step}'
        return None

    def descriptor(self) -> ParameterDescriptor:
        """Return the ROS descriptor, for `ros2 param describe`."""
        descriptor = ParameterDescriptor(
            name=self.name, description=self.description, read_only=self.read_only,
            additional_constraints=f'one of {", ".join(self.choices)}' if self.choices else '')
        if self.limits is not None and isinstance(self.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=self.limits[0], to_value=self.limits[1])]
        elif self.limits is not None:
            descriptor.integer_range = [
                IntegerRange(from_value=int(self.limits[0]), to_value=int(self.limits[1]),
                             step=self.step)]
        return descriptor


ESTIMATOR_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec('autostart', default=True, read_only=True,
                  description='Configure and activate the node by itself at the start.'),
    ParameterSpec('backend', 'spd', 'Method that estimates the poses: spd, crnet, acr, mrc, '
                  'neural_mesh, disp6d, or that of an installed package.', inactive_only=True),
    ParameterSpec('model', '', "Name or folder of the backend's model; empty = its default.",
                  inactive_only=True),
    ParameterSpec('device', 'auto', 'Where the networks run.',
                  choices=('auto', 'cpu', 'cuda', 'tensorrt'), inactive_only=True),
    ParameterSpec('threads', 0, 'CPU threads of each network; 0 = chosen by ONNX Runtime.',
                  limits=(0, 256), inactive_only=True),
    ParameterSpec('seed', 0, 'Seed of the robust fit; equal frames give equal poses.',
                  limits=(0, 2 ** 31 - 1), inactive_only=True),
    ParameterSpec('upright_tolerance', 8.0, 'Objects of categories whose estimate '
                  'leans by less than so many degrees from standing on the ground that depth '
                  'shows are turned upright (spd, crnet and acr lite, disp6d); 0 = none is.',
                  limits=(0.0, 45.0), inactive_only=True),
    ParameterSpec('mrc.rotated_copies', 'auto', 'Backend mrc: how many copies of an object, '
                  'turned in the image plane, are estimated and compared; auto = four for '
                  'published weights, else one.', choices=('auto', 'one', 'four'),
                  inactive_only=True),
    ParameterSpec('mrc.copy_choice', 'joint', 'Backend mrc with four copies: the surest gives '
                  'rotation and translation (joint), or each is that of the copy that is surest '
                  'of it (separate, as the published code).', choices=('joint', 'separate'),
                  inactive_only=True),
    ParameterSpec('mrc.auxiliary', 'trained', 'Backend mrc: what the network is told of the place '
                  'of a crop: as in training, or as in the published inference, which differs '
                  'by an oversight.', choices=('trained', 'published'), inactive_only=True),
    ParameterSpec('mrc.hypotheses', 'auto', 'Backend mrc: how many coarse rotations of an object '
                  'are corrected, of which the one whose outline agrees best with the mask is '
                  'taken; auto = four for lite models that can, else one, as published.',
                  choices=('auto', 'one', 'four'), inactive_only=True),
    ParameterSpec('mrc.refinement', 'auto', 'Backend mrc: CAD models are fitted to the depth '
                  'image while it arrives, if small_gicp is installed (auto), or colour alone '
                  'tells their poses, as published (none).',
                  choices=('auto', 'none'), inactive_only=True),
    ParameterSpec('neural_mesh.proposals', 'generative', 'Backend neural_mesh: it finds the '
                  'objects itself (generative), or a detector says where they are (detector).',
                  choices=('generative', 'detector'), inactive_only=True),
    ParameterSpec('neural_mesh.scale', 'auto', 'Backend neural_mesh: distance and size follow '
                  "from the category's mean size (category), from depth (depth), or from depth "
                  'while it arrives (auto).', choices=('auto', 'category', 'depth'),
                  inactive_only=True),
    ParameterSpec('neural_mesh.initial_poses', 0, 'Backend neural_mesh: how many poses of each '
                  'object are refined, the best is taken; 0 = as the model says.',
                  limits=(0, 16), inactive_only=True),
    ParameterSpec('neural_mesh.competition', 'on', 'Backend neural_mesh: objects compete for '
                  'pixels (on), or each is judged as if it were alone (off).',
                  choices=('on', 'off'), inactive_only=True),
    ParameterSpec('neural_mesh.min_probability', 0.0, 'Backend neural_mesh: less likely objects '
                  "are dropped; 0 = the model's own threshold, which drops most covered objects.",
                  limits=(0.0, 1.0)),
    ParameterSpec('disp6d.objects', '', 'Backend disp6d: folder of the objects that '
                  '`pose-estimation models add-object` writes, watched while the node runs; empty '
                  "= the model's in the user's data folder.", inactive_only=True),
    ParameterSpec('disp6d.object_model', '', 'Backend disp6d: name or folder of the model that '
                  'recognises those objects; empty = the same as model.', inactive_only=True),
    ParameterSpec('disp6d.alignment', 'surfaces', 'Backend disp6d: distance and size of objects '
                  'of categories by comparing the boxes of decoded and observed depth (boxes, the '
                  'published code), then the distance by the middles of both surfaces (surfaces), '
                  'or both by fitting pairs of points (icp, the paper).',
                  choices=('surfaces', 'icp', 'boxes'), inactive_only=True),
    ParameterSpec('disp6d.refinement', 'auto', 'Backend disp6d: CAD models of known objects are '
                  'fitted to the depth image while it arrives, if small_gicp is installed (auto), '
                  'or colour alone tells their poses, as published (none).',
                  choices=('auto', 'none'), inactive_only=True),
    ParameterSpec('disp6d.stance', 'likely', 'Backend disp6d: of similar rotations of an object '
                  'of a category, one is taken in which it stands, or else lies, where depth '
                  'shows the ground (likely), or the most similar one, as published (any).',
                  choices=('likely', 'any'), inactive_only=True),
    ParameterSpec('fallback.backend', '', 'Method that goes on from colour alone while there is '
                  'no depth, such as neural_mesh or mrc; empty = there are no poses meanwhile.',
                  inactive_only=True),
    ParameterSpec('fallback.model', '', "Name or folder of the fallback's model; empty = its "
                  'default.', inactive_only=True),
    ParameterSpec('fallback.segmentation_model', '', 'Name or folder of the model that finds the '
                  "fallback's objects; empty = segmentation.model, if that needs no depth.",
                  inactive_only=True),
    ParameterSpec('segmentation.method', 'mask_rcnn', 'Method that finds the objects.',
                  inactive_only=True),
    ParameterSpec('segmentation.model', '',
                  "Name or folder of the segmenter's model; empty = its default.",
                  inactive_only=True),
    ParameterSpec('segmentation.min_score', 0.0, 'Detections with a lower score are dropped; 0 = '
                  "the model's own threshold.", limits=(0.0, 1.0)),
    ParameterSpec('labels', '', 'Wanted labels, separated by commas; empty = all.'),
    ParameterSpec('min_score', 0.0, 'Poses with a lower score are dropped.', limits=(0.0, 1.0)),
    ParameterSpec('check.min_agreement', 0.0, 'Poses of whose visible surface a smaller share is '
                  'where depth was observed are withheld; 0 = none.', limits=(0.0, 1.0)),
    ParameterSpec('max_objects', 32, 'Most objects in a frame.', limits=(1, MOST_OBJECTS)),
    ParameterSpec('mode', 'continuous', 'Process every newest frame, or only when the service '
                  '~/estimate is called.', choices=('continuous', 'on_demand')),
    ParameterSpec('keep_models', default=False,
                  description='Keep the models loaded while the node is inactive, to activate it '
                  'quickly; otherwise deactivation frees their memory.'),
    ParameterSpec('max_age', 2.0, "Frames whose stamp differs more from the node's clock when "
                  'they arrive are dropped, seconds; 0 = any stamp is taken.',
                  limits=(0.0, 3600.0)),
    ParameterSpec('color.transport', 'raw', 'Subscribe to color/image_raw, or to '
                  'color/image_raw/compressed.', choices=('raw', 'compressed'),
                  inactive_only=True),
    ParameterSpec('color.rectified', default=False, inactive_only=True,
                  description='The images are rectified: the camera is P of camera_info without '
                  'distortion. Otherwise K and D, and the node undistorts.'),
    ParameterSpec('color.rotation', 0, 'Degrees clockwise by which the images must be turned to '
                  'be upright: 90 or 270 for a camera on its side, 180 for one upside down.',
                  limits=(0, 270), step=90, inactive_only=True),
    ParameterSpec('depth.transport', 'raw', 'Subscribe to depth/image_raw, or to '
                  'depth/image_raw/compressedDepth.', choices=('raw', 'compressedDepth'),
                  inactive_only=True),
    ParameterSpec('depth.register', default=False, inactive_only=True,
                  description='Depth that is not aligned to colour is projected into the colour '
                  'image, by TF and both camera_infos. Otherwise it is refused.'),
    ParameterSpec('input_reliability', 'best_effort', 'Reliability asked of the camera; '
                  'best_effort receives from every publisher.',
                  choices=('best_effort', 'reliable'), inactive_only=True),
    ParameterSpec('sync.slop', 0.02, 'Largest difference of the stamps of colour and depth, '
                  'seconds.', limits=(0.0, 1.0)),
    ParameterSpec('sync.timeout', 2.0, 'Silence of an input after which diagnostics complain, '
                  'seconds.', limits=(0.1, 60.0)),
    ParameterSpec('output_frame', '', 'Frame of all outputs, looked up in TF at the stamp of the '
                  "image; empty = the image's frame.", inactive_only=True),
    ParameterSpec('tf.publish', default=True, inactive_only=True,
                  description='Broadcast a frame for each object on /tf.'),
    ParameterSpec('tf.prefix', '', 'Begins the name of every TF frame: <prefix><label>_<id>.',
                  inactive_only=True),
    ParameterSpec('tf.timeout', 0.1, 'Longest wait for the transform to output_frame, seconds.',
                  limits=(0.0, 10.0)),
    ParameterSpec('publish_per_label', default=False, inactive_only=True,
                  description='Publish each pose on object_poses/<label> as well.'),
    ParameterSpec('overlay.mask_opacity', 0.3, 'Strength of the masks in overlay/image; 0 = no '
                  'masks.', limits=(0.0, 1.0)),
    ParameterSpec('markers.lifetime', 1.0, 'RViz forgets a marker after this many seconds '
                  'without an update.', limits=(0.0, 60.0)),
    ParameterSpec('grasping.enabled', default=True,
                  description='Plan grasps while somebody subscribes to grasp_poses, '
                  'grasp_candidates or object_markers.'),
    ParameterSpec('grasping.up', 'auto', 'Where up is: z of output_frame if that is set, else '
                  'away from the ground that depth shows (auto), or always the latter (ground). '
                  'Where neither is known, objects of categories are taken to stand upright.',
                  choices=('auto', 'ground')),
    ParameterSpec('grasping.file', '', 'YAML file of taught grasps by label, which take the place '
                  'of those that are found; empty = none.'),
    ParameterSpec('grasping.max_per_object', 16, 'Most grasps of an object, the best that differ.',
                  limits=(1, 256)),
    ParameterSpec('grasping.opening', 0.08, 'Largest distance between the fingers of the gripper, '
                  'metres.', limits=(0.001, 1.0)),
    ParameterSpec('grasping.finger_depth', 0.045, 'Length of the fingers from the palm to their '
                  'ends, metres.', limits=(0.005, 1.0)),
    ParameterSpec('grasping.finger_thickness', 0.012, 'Of each finger in the closing direction, '
                  'metres.', limits=(0.001, 0.2)),
    ParameterSpec('grasping.finger_width', 0.02, 'Of each finger across the closing direction, '
                  'metres.', limits=(0.001, 0.2)),
    ParameterSpec('grasping.palm_width', 0.2, 'Of the palm in the closing direction, metres.',
                  limits=(0.001, 1.0)),
    ParameterSpec('grasping.palm_thickness', 0.06, 'Of the palm across the closing direction, '
                  'metres.', limits=(0.001, 1.0)),
    ParameterSpec('grasping.palm_height', 0.07, 'Of the palm and what is behind it along the '
                  'approach, metres.', limits=(0.001, 1.0)),
    ParameterSpec('grasping.friction', 0.5, 'Coefficient between finger and object.',
                  limits=(0.05, 3.0)),
    ParameterSpec('grasping.clearance', 0.004, 'Free space that the open fingers, the palm and '
                  'the table keep, metres.', limits=(0.0, 0.05)),
    ParameterSpec('grasping.max_tilt', 1.6581, 'Largest angle between the approach and straight '
                  'down, radians; 1.5708 = the half-space above the ground.',
                  limits=(0.0, 3.1416)),
    ParameterSpec('grasping.max_turn', 3.1416, 'Largest angle, seen from above, between a '
                  'sideways approach and the direction to the object from the origin of '
                  'output_frame, or from the camera, radians; 3.1416 = from all around.',
                  limits=(0.0, 3.1416)),
    ParameterSpec('grasping.pregrasp_distance', 0.1, 'The pre-grasp lies so far back along the '
                  'approach, metres.', limits=(0.0, 1.0)),
    ParameterSpec('grasping.retreat_distance', 0.1, 'The retreat lies so far up, metres.',
                  limits=(0.0, 1.0)),
    ParameterSpec('tracking.enabled', default=True,
                  description='Keep the identity of objects over time. Without it ids count the '
                  'objects of a frame.'),
    ParameterSpec('tracking.max_distance', 0.15, 'Farthest step of an object between two '
                  'sightings, off the place where it is expected, metres.', limits=(0.001, 10.0)),
    ParameterSpec('tracking.max_size_ratio', 2.0, 'Largest ratio of the sizes of two sightings of '
                  'one object.', limits=(1.01, 100.0)),
    ParameterSpec('tracking.use_appearance', default=True,
                  description='Tell objects apart by their colours, too.'),
    ParameterSpec('tracking.max_missed_seconds', 1.0, 'An object unseen for longer is lost: its '
                  'markers go.', limits=(0.0, 60.0)),
    ParameterSpec('tracking.remember_seconds', 10.0, 'A lost object that comes back within this '
                  'time of its last sighting gets its id back; 0 = never.', limits=(0.0, 3600.0)),
    ParameterSpec('tracking.return_distance', 0.3, 'Farthest that a lost object may come back '
                  'from where it was last seen, metres.', limits=(0.001, 10.0)),
    ParameterSpec('tracking.min_sightings', 1, 'An object is published after so many sightings in '
                  'a row; 1 = at once.', limits=(1, 100)),
    ParameterSpec('tracking.predict', default=True,
                  description='Expect objects that move clearly where they move to.'),
    ParameterSpec('tracking.smoothing_seconds', 0.1, 'Poses and sizes are averaged over about '
                  'this time; 0 = published as measured.', limits=(0.0, 10.0)),
    ParameterSpec('tracking.max_rotation', 0.5, 'With smoothing: a rotation further off than this '
                  'is held back until it lasts, radians; 3.1416 = none is.',
                  limits=(0.01, 3.1416)),
    ParameterSpec('tracking.change_seconds', 0.5, 'How long another rotation must be seen before '
                  'it is believed, seconds.', limits=(0.01, 60.0)),
    ParameterSpec('diagnostics.period', 1.0, 'Time between two messages on /diagnostics, '
                  'seconds.', limits=(0.05, 60.0), read_only=True),
)

SIMULATED_CAMERA_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec('rate', 5.0, 'Frames per second.', limits=(0.01, 120.0), read_only=True),
    ParameterSpec('scenes', 8, 'Number of different scenes.', limits=(1, 10000), read_only=True),
    ParameterSpec('views_per_scene', 2, 'Frames of each scene, the camera moving on between them.',
                  limits=(1, 1000), read_only=True),
    ParameterSpec('seed', 0, 'First scene of the split.', limits=(0, 2 ** 31 - 1),
                  read_only=True),
    ParameterSpec('split', 'test', 'Objects of the networks\' training, validation or test.',
                  choices=('train', 'val', 'test'), read_only=True),
    ParameterSpec('domain', 'primary', 'The synthetic domain of training, or the differently made '
                  'second one.', choices=('primary', 'second'), read_only=True),
    ParameterSpec('frame_id', 'camera_color_optical_frame', 'Frame of the images.',
                  read_only=True),
)


def with_choices(specs: Sequence[ParameterSpec],
                 choices: Mapping[str, tuple[str, ...]]) -> tuple[ParameterSpec, ...]:
    """Return the parameters, some of them with choices that depend on what is installed."""
    return tuple(replace(spec, choices=choices.get(spec.name, spec.choices)) for spec in specs)


def declare(node: Node, specs: Sequence[ParameterSpec]) -> None:
    """Declare parameters on a node.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: If a start value is out of range.
    """
    for spec in specs:
        node.declare_parameter(spec.name, spec.default, spec.descriptor())


def values_of(node: Node, specs: Sequence[ParameterSpec]) -> dict[str, Any]:
    """Return the present value of each declared parameter by name."""
    return {spec.name: node.get_parameter(spec.name).value for spec in specs}


def check_changes(specs: Sequence[ParameterSpec], changes: Sequence[Parameter], *,
                  active: bool) -> SetParametersResult:
    """Return whether changes are allowed, with the reason if not."""
    by_name: Mapping[str, ParameterSpec] = {spec.name: spec for spec in specs}
    for change in changes:
        spec = by_name.get(change.name)
        if spec is None:
            continue
        problem = spec.problem(change.value)
        if problem is None and active and spec.inactive_only:
            problem = (f'{spec.name} cannot change while the node is active; deactivate it, set '
                       'the parameter, activate it again')
        if problem is not None:
            return SetParametersResult(successful=False, reason=problem)
    return SetParametersResult(successful=True)


def markdown_table(specs: Sequence[ParameterSpec]) -> str:
    """Return the parameters as a table of docs/parameters.md."""
    lines = ['| parameter | type | default | range | may change | meaning |',
             '|---|---|---|---|---|---|']
    lines += [f'| `{spec.name}` | {type(spec.default).__name__} | `{_yaml(spec.default)}` | '
              f'{_allowed(spec)} | {spec.may_change} | {spec.description} |' for spec in specs]
    return '\n'.join(lines) + '\n'


def yaml_defaults(node_name: str, specs: Sequence[ParameterSpec]) -> str:
    """Return a commented parameter file with every default, for a node in any namespace."""
    lines = [f'# Every parameter of {node_name} with its default. Printed by:',
             f'#   pose-estimation parameters {node_name} --layout yaml',
             f'/**/{node_name}:', '  ros__parameters:']
    for spec in specs:
        allowed = _allowed(spec)
        lines += [f'    # {_notes(spec)}' + (f' ({allowed})' if allowed else ''),
                  f'    {spec.name}: {_yaml(spec.default)}']
    return '\n'.join(lines) + '\n'


def _allowed(spec: ParameterSpec) -> str:
    if spec.choices:
        return ', '.join(spec.choices)
    return _range_text(spec.limits) if spec.limits else ''


def _range_text(limits: tuple[float, float]) -> str:
    return f'{limits[0]:g} to {limits[1]:.10g}'


def _notes(spec: ParameterSpec) -> str:
    if spec.read_only:
        return f'{spec.description} Read only.'
    return spec.description + (' Changes while inactive.' if spec.inactive_only else '')


def _yaml(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)
