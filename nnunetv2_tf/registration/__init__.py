"""Skull stripping, registration of scans to a reference, and quality control of both."""
