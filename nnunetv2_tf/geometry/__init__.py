"""Geometry of volumes: boxes, grids, resampling, feathering and rotations."""
