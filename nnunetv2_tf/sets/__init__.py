"""Sets of synthetic cases: their files, adding and exporting cases, checks for leaks, and sampling in training."""
