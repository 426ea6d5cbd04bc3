"""Model files and ONNX Runtime sessions. Imports only `core`."""

from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest
from pose_estimation_ros.runtime.model_store import Model, ModelStore
from pose_estimation_ros.runtime.providers import Device
from pose_estimation_ros.runtime.session import DeviceArray, InferenceSession

__all__ = ['Device', 'DeviceArray', 'InferenceSession', 'Model', 'ModelFile', 'ModelManifest',
           'ModelStore']
