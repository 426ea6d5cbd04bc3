"""Losses, training loops, ONNX export and the import of published checkpoints (torch)."""
