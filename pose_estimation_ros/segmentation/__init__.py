"""From a frame to detections. Imports `core` and `runtime`; needs no torch."""
