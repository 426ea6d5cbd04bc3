"""Procedural objects, scenes and sensor noise: the data that training and the demo stand on."""
