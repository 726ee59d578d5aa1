"""Simulated data for tests and the demo: never real, and always called stand-ins."""
