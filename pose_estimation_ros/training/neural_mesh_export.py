"""A neural mesh as a model folder: the feature extractor, the meshes of its categories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh, write_category_meshes
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.networks.neural_mesh import FeatureExtractor
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.training.neural_mesh_onnx import FEATURES, export_extractor

BACKEND = 'neural_mesh'
MESHES = 'meshes'

_FEATURES_FILE, _MESHES_FILE = 'features.onnx', 'meshes.npz'


def write_neural_mesh_model(extractor: FeatureExtractor, meshes: Mapping[str, CategoryMesh],
                            out: Path, parameters: Mapping[str, Any],
                            training: Mapping[str, Any], metrics: Mapping[str, Any],
                            symmetries: Mapping[str, Symmetry],
                            licence: str = 'Apache-2.0') -> ModelManifest:
    """Write a model folder that the run time loads.

    Args:
        extractor: The network.
        meshes: By category, with features as long as the extractor's.
        out: Folder to write; its name is the model's.
        parameters: What the run time must know besides the extractor's configuration, such as
            the size that images are scaled to.
        training: How the weights were made.
        metrics: What was measured of them.
        symmetries: Of categories that are none of the six.
        licence: SPDX identifier of the weights' licence.

    Raises:
        ModelError: If there is no mesh, or one with features of another length.
    """
    length = extractor.config.features
    if not meshes or any(mesh.features.shape[1] != length for mesh in meshes.values()):
        lengths = {name: mesh.features.shape[1] for name, mesh in meshes.items()}
        raise ModelError(f"the extractor's features have the length {length}, those of the meshes "
                         f'{lengths or "none"}; give meshes that were trained with it')
    out.mkdir(parents=True, exist_ok=True)
    export_extractor(extractor, out / _FEATURES_FILE)
    write_category_meshes(out / _MESHES_FILE, meshes)
    manifest = ModelManifest(
        name=out.name, task='pose', backend=BACKEND, size=extractor.config.size,
        files={FEATURES: ModelFile.of(out / _FEATURES_FILE, out),
               MESHES: ModelFile.of(out / _MESHES_FILE, out)},
        categories=tuple(meshes),
        input={'channels': ['red', 'green', 'blue'], 'range': [0, 255]},
        parameters={**extractor.config.as_dict(), **parameters}, training=training,
        metrics=metrics, licence=licence,
        symmetries={name: symmetry.as_plain() for name, symmetry in symmetries.items()})
    write_manifest(manifest, out)
    return manifest
