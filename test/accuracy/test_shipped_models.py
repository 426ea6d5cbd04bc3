"""The shipped models do what their manifests state; a damaged one does not.

After a training: `python -m pose_estimation_ros.evaluation.slice --write`.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.evaluation.slice import has_slice, measure, moved, slice_frames, stated
from pose_estimation_ros.runtime import Model, ModelStore
from pose_estimation_ros.runtime.manifest import ModelFile, write_manifest

STORE = ModelStore([Path(__file__).resolve().parents[2] / 'models'])
MODELS = [model for model in STORE.models() if has_slice(model)]


@pytest.fixture(scope='module')
def frames():
    return slice_frames()


def damaged(model: Model, folder: Path) -> Model:
    """Return a copy of a model whose weights are off by a third, with a manifest that fits."""
    import onnx
    from onnx import numpy_helper

    folder = folder / model.folder.name
    shutil.copytree(model.folder, folder)
    path = folder / model.manifest.files['network'].path
    network = onnx.load(str(path))
    generator = np.random.default_rng(0)
    for tensor in network.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype in (np.float32, np.float16) and values.ndim >= 2:
            noise = 1.0 + 0.3 * generator.standard_normal(values.shape)
            tensor.CopyFrom(numpy_helper.from_array((values * noise).astype(values.dtype),
                                                    tensor.name))
    onnx.save(network, str(path))
    files = {**model.manifest.files, 'network': ModelFile.of(path, folder)}
    write_manifest(replace(model.manifest, files=files), folder)
    return ModelStore([folder.parent]).find(folder)


def test_there_are_shipped_models_to_judge():
    assert {'segmentation', 'pose'} <= {model.manifest.task for model in MODELS}


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model.manifest.name)
def test_the_figures_of_a_shipped_model_have_not_moved(model, frames):
    assert moved(stated(model), measure(model, frames)) == []


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model.manifest.name)
def test_a_damaged_model_is_noticed(model, frames, tmp_path):
    figures = measure(damaged(model, tmp_path), frames)
    assert moved(stated(model), figures)
    assert all(now.value < before.value
               for before, now in zip(stated(model), figures, strict=True))
