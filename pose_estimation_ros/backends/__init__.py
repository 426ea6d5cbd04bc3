"""Pose backends: one module per method, chosen by name through `registry`."""
