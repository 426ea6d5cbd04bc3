from pathlib import Path

import pytest
import yaml
from rclpy.parameter import Parameter

from pose_estimation_ros.backends.mrc_options import AUXILIARIES, COPY_CHOICES, ROTATED_COPIES
from pose_estimation_ros.nodes.parameters import (
    ESTIMATOR_PARAMETERS,
    REPLAY_CAMERA_PARAMETERS,
    SIMULATED_CAMERA_PARAMETERS,
    check_changes,
    markdown_table,
    yaml_defaults,
)
from pose_estimation_ros.nodes.settings import EstimatorSettings

ROOT = Path(__file__).resolve().parents[2]
ALL = (ESTIMATOR_PARAMETERS, SIMULATED_CAMERA_PARAMETERS, REPLAY_CAMERA_PARAMETERS)


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
    ('auxiliary', AUXILIARIES)])
def test_the_choices_of_mrc_are_those_of_the_backend(name, choices):
    (spec,) = [spec for spec in ESTIMATOR_PARAMETERS if spec.name == f'mrc.{name}']
    assert spec.choices == choices
    values = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
    settings = EstimatorSettings.from_values({**values, f'mrc.{name}': choices[-1]})
    assert getattr(settings.pipeline.backend_options.mrc, name) == choices[-1]


def test_most_parameters_change_only_while_inactive():
    change = [Parameter('min_score', value=0.5)]
    assert check_changes(ESTIMATOR_PARAMETERS, change, active=False).successful
    assert 'deactivate it' in check_changes(ESTIMATOR_PARAMETERS, change, active=True).reason


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
                                    'Where the networks run. |']


def test_settings_carry_the_parameters_to_the_stages():
    values = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
    values |= {'labels': ' mug, can ,', 'segmentation.min_score': 0.7, 'max_objects': 5,
               'tracking.enabled': False, 'color.transport': 'compressed', 'sync.slop': 0.05,
               'min_score': 0.2, 'seed': 3, 'depth.transport': 'compressedDepth'}
    settings = EstimatorSettings.from_values(values)
    assert settings.pipeline.selection.labels == ('mug', 'can')
    assert settings.pipeline.selection.min_pose_score == 0.2
    assert settings.pipeline.segmenter_options.min_score == 0.7
    assert settings.pipeline.segmenter_options.max_objects == settings.output.max_objects == 5
    assert settings.pipeline.backend_options.seed == 3
    assert settings.pipeline.tracker is None
    assert settings.input.color_transport == 'compressed'
    assert settings.input.depth_transport == 'compressedDepth'
    assert settings.input.slop_ns == 50_000_000
