"""Meshes to depth, normals and surface hits, behind one interface."""
