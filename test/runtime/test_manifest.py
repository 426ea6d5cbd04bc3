from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY, Symmetry
from pose_estimation_ros.runtime.manifest import (
    MANIFEST_NAME,
    ModelFile,
    ModelManifest,
    file_sha256,
    read_manifest,
    write_manifest,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manifest(tmp_path: Path) -> ModelManifest:
    (tmp_path / 'network.onnx').write_bytes(b'abc')
    return ModelManifest(
        name='tiny', task='pose', backend='spd', size='lite',
        files={'network': ModelFile.of(tmp_path / 'network.onnx', tmp_path)},
        categories=('bottle', 'mug'), input={'points': 512}, parameters={'threshold': 0.5},
        training={'steps': 7}, metrics={'5deg2cm': 0.9})


def test_what_is_written_is_read_again(manifest: ModelManifest, tmp_path: Path):
    assert read_manifest(write_manifest(manifest, tmp_path)) == manifest


def test_the_hash_is_sha256(tmp_path: Path):
    # The published test vector of SHA-256 for 'abc'.
    (tmp_path / 'abc').write_bytes(b'abc')
    assert file_sha256(tmp_path / 'abc') == (
        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')


@pytest.mark.parametrize(('text', 'complaint'), [
    ('[1, 2]', 'instead of a mapping'),
    ('name: [', 'not valid YAML'),
    ('name: x', 'lacks backend, categories, files, size, task'),
])
def test_a_damaged_manifest_says_what_is_wrong(tmp_path: Path, text: str, complaint: str):
    (tmp_path / MANIFEST_NAME).write_text(text)
    with pytest.raises(ModelError, match=complaint):
        read_manifest(tmp_path / MANIFEST_NAME)


@pytest.mark.parametrize(('changes', 'complaint'), [
    ({'task': ['pose']}, r"task must be a text, it is \['pose'\]; correct it"),
    ({'categories': [['a']]}, r"a category must be a text, it is \['a'\]"),
    ({'input': None}, 'input must be a mapping, it is None'),
    ({'input': {'points': 'many'}}, "input: points must be a whole number, it is 'many'"),
    ({'input': {'every': True}}, 'input: every must be a whole number, it is True'),
    ({'input': {'mirrored_below': 'x'}}, 'input: mirrored_below must be a number'),
    ({'parameters': None}, 'parameters must be a mapping'),
    ({'symmetries': [1]}, 'symmetries must be a mapping'),
    ({'confidence': [1]}, 'confidence must be a mapping'),
    ({'files': {'network': None}}, "file 'network' must have path, sha256 and bytes"),
    ({1: 'one'}, 'unknown entries 1'),
])
def test_an_entry_of_another_type_is_named_with_what_it_must_be(
        manifest: ModelManifest, tmp_path: Path, changes: dict[str, object], complaint: str):
    path = write_manifest(manifest, tmp_path)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    with pytest.raises(ModelError, match=complaint):
        read_manifest(path)


@pytest.mark.parametrize(('changes', 'complaint'), [
    ({'path': 5}, 'path must be a text, it is 5'),
    ({'bytes': 'many'}, "bytes must be a whole number, it is 'many'"),
    ({'url': 5}, 'url must be a text, it is 5'),
])
def test_an_entry_of_a_file_of_another_type_is_named_with_its_role(
        manifest: ModelManifest, tmp_path: Path, changes: dict[str, object], complaint: str):
    path = write_manifest(manifest, tmp_path)
    content = yaml.safe_load(path.read_text())
    content['files']['network'].update(changes)
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ModelError, match=f"file 'network': {complaint}"):
        read_manifest(path)


def test_a_whole_number_does_for_a_number(manifest: ModelManifest, tmp_path: Path):
    whole = replace(manifest, input={'points': 512, 'mirrored_below': 1})
    assert read_manifest(write_manifest(whole, tmp_path)).input['mirrored_below'] == 1


def test_a_missing_manifest_names_its_path(tmp_path: Path):
    with pytest.raises(ModelError, match=str(tmp_path)):
        read_manifest(tmp_path / MANIFEST_NAME)


def test_a_misspelt_entry_is_named(manifest: ModelManifest, tmp_path: Path):
    path = write_manifest(manifest, tmp_path)
    path.write_text(path.read_text().replace('licence:', 'license:'))
    with pytest.raises(ModelError, match='unknown entries license'):
        read_manifest(path)


def test_a_file_outside_the_model_folder_is_refused(manifest: ModelManifest, tmp_path: Path):
    path = write_manifest(manifest, tmp_path)
    path.write_text(path.read_text().replace('network.onnx', '../network.onnx'))
    with pytest.raises(ModelError, match='leaves the model folder'):
        read_manifest(path)


def test_a_hash_in_capitals_is_the_same_hash(manifest: ModelManifest, tmp_path: Path):
    path = write_manifest(manifest, tmp_path)
    digest = manifest.files['network'].sha256
    path.write_text(path.read_text().replace(digest, digest.upper()))
    assert read_manifest(path) == manifest


@pytest.mark.parametrize('wrong', ['abc', 'x' * 64, '0' * 65])
def test_a_hash_that_is_none_is_refused(manifest: ModelManifest, tmp_path: Path, wrong: str):
    file = replace(manifest.files['network'], sha256=wrong)
    path = write_manifest(replace(manifest, files={'network': file}), tmp_path)
    with pytest.raises(ModelError, match=f"file 'network' has the sha256 '{wrong}', which is not "
                                         '64 hexadecimal digits'):
        read_manifest(path)


def test_a_model_can_say_the_symmetry_of_a_category_of_its_own(
        manifest: ModelManifest, tmp_path: Path):
    half_turn = Symmetry(discrete=((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),))
    custom = replace(manifest, categories=('bottle', 'mug', 'plug', 'key'),
                     symmetries={'plug': half_turn.as_plain()})
    found = read_manifest(write_manifest(custom, tmp_path))
    assert [found.symmetry_of(label) for label in found.categories] == [
        Y_AXIS_SYMMETRY, NO_SYMMETRY, half_turn, NO_SYMMETRY]


@pytest.mark.parametrize(('symmetries', 'complaint'), [
    ({'plug': {'axis': [0, 1, 0]}}, 'symmetries must be a mapping'),
    ({'mug': {'axis': [0, 3, 0]}}, "symmetry of 'mug': the axis of a symmetry must be a unit"),
])
def test_a_symmetry_that_cannot_be_is_named(
        manifest: ModelManifest, tmp_path: Path, symmetries: dict[str, object], complaint: str):
    path = write_manifest(replace(manifest, symmetries=symmetries), tmp_path)
    with pytest.raises(ModelError, match=complaint):
        read_manifest(path)


CONFIDENCE = {'evidence': ['log residual'], 'mean': [0.0], 'deviation': [1.0],
              'weights': [0.1, -1.0, 0.0], 'offsets': {'mug': 0.5}, 'covariance_scale': 2.0,
              'calibration': {'data': ['val']}}


def test_a_calibration_is_written_and_read(manifest: ModelManifest, tmp_path: Path):
    calibrated = replace(manifest, confidence=CONFIDENCE)
    read = read_manifest(write_manifest(calibrated, tmp_path))
    assert read == calibrated
    assert read.confidence_model().covariance_scale == 2.0


def test_a_model_without_calibration_has_none_and_says_nothing_of_it(
        manifest: ModelManifest, tmp_path: Path):
    path = write_manifest(manifest, tmp_path)
    assert 'confidence' not in path.read_text()
    assert read_manifest(path).confidence_model() is None


def test_a_faulty_calibration_names_the_manifest_and_the_fault(
        manifest: ModelManifest, tmp_path: Path):
    path = write_manifest(replace(manifest, confidence={**CONFIDENCE, 'mean': []}), tmp_path)
    with pytest.raises(ModelError, match='model.yaml: mean of confidence must be 1 finite.*'
                                         'remove the entry confidence'):
        read_manifest(path)


@pytest.mark.parametrize('path', sorted(ROOT.glob('models/*/model.yaml')),
                         ids=lambda path: path.parent.name)
def test_the_commands_of_shipped_models_name_no_path_of_one_machine(path: Path):
    commands = read_manifest(path).training.get('commands', [])
    assert not [word for command in commands for word in command.split() if word.startswith('/')]
