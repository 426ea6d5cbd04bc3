"""The auto-encoder of the shape priors learns shapes."""

from pathlib import Path

import numpy as np

from pose_estimation_ros.training.shape_prior_training import (
    AutoEncoderTraining,
    decoded_mean_shape,
    train_autoencoder,
)


def test_the_auto_encoder_learns_the_size_of_what_it_sees(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(4, 256, 3))
    clouds = (0.4 * points / np.linalg.norm(points, axis=2, keepdims=True)).astype(np.float32)
    training = AutoEncoderTraining(tmp_path, steps=40, batch_size=4, input_points=64)
    model = train_autoencoder(clouds, training)

    lines = (tmp_path / 'train.csv').read_text().splitlines()
    at_step_20, at_step_40 = (float(line.split(',')[2]) for line in lines[1:])
    assert at_step_40 < 0.7 * at_step_20
    # Still learning, but already a shape of about the right size.
    radius = np.linalg.norm(decoded_mean_shape(model, clouds), axis=1)
    assert 0.2 < radius.mean() < 0.45
