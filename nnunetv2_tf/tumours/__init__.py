"""Tumours apart from the scans they come from: which goes where, and how it gets there."""
