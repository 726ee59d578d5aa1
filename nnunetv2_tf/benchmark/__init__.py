"""Benchmarks: trainings with and without synthetic cases, scored and compared."""
