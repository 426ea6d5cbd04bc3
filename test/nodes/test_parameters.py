from pathlib import Path

import pytest
import yaml
from rclpy.parameter import Parameter

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.mrc_options import (
    AUXILIARIES,
    COPY_CHOICES,
    HYPOTHESES,
    REFINEMENTS,
    ROTATED_COPIES,
)
from pose_estimation_ros.nodes.parameters import (
    ESTIMATOR_PARAMETERS,
    SIMULATED_CAMERA_PARAMETERS,
    check_changes,
    markdown_table,
    yaml_defaults,
)
from pose_estimation_ros.nodes.recording_parameters import (
    RECORDER_PARAMETERS,
    REPLAY_CAMERA_PARAMETERS,
)
from pose_estimation_ros.nodes.settings import EstimatorSettings

ROOT = Path(__file__).resolve().parents[2]
ALL = (ESTIMATOR_PARAMETERS, SIMULATED_CAMERA_PARAMETERS, REPLAY_CAMERA_PARAMETERS,
       RECORDER_PARAMETERS)


@pytest.mark.parametrize('specs', ALL)
def test_every_default_is_allowed_described_and_named_in_snake_case(specs):
    for spec in specs:
        assert spec.problem(spec.default) is None
        assert spec.description.endswith('.')
        assert spec.name == spec.name.lower()
        assert spec.descriptor().description == spec.description
    assert len({spec.name for spec in specs}) == len(specs)


@pytest.mark.parametrize(('name', 'value', 'reason'), [
    ('device', 'gpu', "device is 'gpu'; choose one of auto, cpu, cuda, tensorrt"),
    ('min_score', 1.5, 'min_score is 1.5; it must lie in 0 to 1'),
    ('threads', -1, 'threads is -1; it must lie in 0 to 256'),
])
def test_a_wrong_value_is_refused_with_the_reason(name, value, reason):
    answer = check_changes(ESTIMATOR_PARAMETERS, [Parameter(name, value=value)], active=False)
    assert not answer.successful
    assert answer.reason == reason


@pytest.mark.parametrize(('name', 'choices'), [
    ('rotated_copies', ROTATED_COPIES), ('copy_choice', COPY_CHOICES),
    ('auxiliary', AUXILIARIES), ('hypotheses', HYPOTHESES),
    ('refinement', REFINEMENTS)])
def test_the_choices_of_mrc_are_those_of_the_backend(name, choices):
    (spec,) = [spec for spec in ESTIMATOR_PARAMETERS if spec.name == f'mrc.{name}']
    assert spec.choices == choices
    values = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
    settings = EstimatorSettings.from_values({**values, f'mrc.{name}': choices[-1]})
    assert getattr(settings.pipeline.backend_options.mrc, name) == choices[-1]


def test_what_models_depend_on_changes_only_while_inactive_and_thresholds_at_any_time():
    change = [Parameter('backend', value='acr')]
    assert check_changes(ESTIMATOR_PARAMETERS, change, active=False).successful
    assert 'deactivate it' in check_changes(ESTIMATOR_PARAMETERS, change, active=True).reason
    for name, value in (('min_score', 0.5), ('labels', 'mug'), ('mode', 'on_demand')):
        assert check_changes(ESTIMATOR_PARAMETERS, [Parameter(name, value=value)],
                             active=True).successful


def test_every_parameter_of_the_models_can_change_only_while_inactive():
    """Otherwise the node would take a change and the loaded models would not follow it."""
    defaults = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
    models = EstimatorSettings.from_values(defaults).pipeline.of_models()
    for spec in ESTIMATOR_PARAMETERS:
        other = {bool: not spec.default, str: ''.join(spec.choices[-1:]) or 'other'}.get(
            type(spec.default), spec.limits and type(spec.default)(spec.limits[1]))
        changed = EstimatorSettings.from_values({**defaults, spec.name: other})
        assert spec.inactive_only or changed.pipeline.of_models() == models, spec.name


def test_backends_do_the_same_in_a_node_and_without_one():
    defaults = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
    assert EstimatorSettings.from_values(defaults).pipeline.backend_options == BackendOptions()


def test_the_shipped_parameter_file_is_what_the_declaration_prints():
    shipped = (ROOT / 'config' / 'pose_estimation.yaml').read_text(encoding='utf-8')
    assert shipped == yaml_defaults('pose_estimator', ESTIMATOR_PARAMETERS)


@pytest.mark.parametrize('specs', ALL)
def test_the_printed_file_holds_every_default(specs):
    content = yaml.safe_load(yaml_defaults('node', specs))
    assert content == {'/**/node': {
        'ros__parameters': {spec.name: spec.default for spec in specs}}}


def test_the_table_has_a_row_per_parameter():
    lines = markdown_table(ESTIMATOR_PARAMETERS).splitlines()
    assert len(lines) == 2 + len(ESTIMATOR_PARAMETERS)
    row = next(line for line in lines if '`device`' in line)
    assert row.split(' | ')[1:] == ['str', "`'auto'`", 'auto, cpu, cuda, tensorrt',
                                    'while inactive', 'Where the networks run. |']


def test_settings_carry_the_parameters_to_the_stages():
    values = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
    values |= {'labels': ' mug, can ,', 'segmentation.min_score': 0.7, 'max_objects': 5,
               'tracking.enabled': False, 'color.transport': 'compressed', 'sync.slop': 0.05,
               'min_score': 0.2, 'seed': 3, 'depth.transport': 'compressedDepth'}
    settings = EstimatorSettings.from_values(values)
    assert settings.pipeline.selection.labels == ('mug', 'can')
    assert settings.pipeline.selection.min_pose_score == 0.2
    assert settings.pipeline.segmenter_options.min_score == 0.7
    assert settings.pipeline.segmenter_options.max_objects == 5
    assert settings.pipeline.backend_options.seed == 3
    assert settings.pipeline.tracker is None
    assert settings.input.color_transport == 'compressed'
    assert settings.input.depth_transport == 'compressedDepth'
    assert settings.input.slop_ns == 50_000_000
