"""Measures of how real synthetic tumours look, and of how healthy scans differ from real ones."""
