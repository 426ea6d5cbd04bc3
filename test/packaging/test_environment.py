"""The environment that the set-up made."""

import re
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import distributions
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load_tool(name):
    spec = spec_from_file_location(name, ROOT / 'tools' / f'{name}.py')
    module = module_from_spec(spec)
    # dataclasses look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_exactly_one_onnxruntime_is_installed():
    installed = {re.sub('[-_.]+', '-', item.name).lower() for item in distributions()}
    assert len(installed & {'onnxruntime', 'onnxruntime-gpu'}) == 1


def test_message_types_are_those_of_the_released_packages():
    tool = load_tool('build_interfaces')
    if not (tool.PREFIX / 'share' / 'vision_msgs').is_dir():
        pytest.skip('vision_msgs comes from a ROS installation, not from our set-up')
    assert tool.wrong_hashes() == []


def test_messages_have_the_public_fields():
    from tf2_msgs.msg import TFMessage
    from vision_msgs.msg import Detection3D, Detection3DArray
    assert TFMessage.get_fields_and_field_types() == {
        'transforms': 'sequence<geometry_msgs/TransformStamped>'}
    assert Detection3DArray.get_fields_and_field_types() == {
        'header': 'std_msgs/Header', 'detections': 'sequence<vision_msgs/Detection3D>'}
    assert list(Detection3D.get_fields_and_field_types()) == ['header', 'results', 'bbox', 'id']


def test_the_fast_dds_profile_makes_room_for_images_and_keeps_the_network():
    profile = ET.parse(ROOT / 'config' / 'fastdds.xml').getroot()
    namespace = {'dds': 'http://www.eprosima.com'}
    transports = {item.findtext('dds:transport_id', namespaces=namespace): item
                  for item in profile.iterfind('.//dds:transport_descriptor', namespace)}
    used = {item.text for item in profile.iterfind('.//dds:userTransports/dds:transport_id',
                                                   namespace)}
    kinds = {transports[name].findtext('dds:type', namespaces=namespace): transports[name]
             for name in used}
    assert set(kinds) == {'SHM', 'UDPv4'}
    assert kinds['SHM'].findtext('dds:segment_size', namespaces=namespace) == '33554432'
