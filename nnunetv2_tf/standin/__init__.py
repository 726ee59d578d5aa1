"""Stand-in data for tests and the demo: never real, never called anything but stand-ins."""
