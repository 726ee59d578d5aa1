"""Long commands on a disk that fails, in processes that are killed, beside copies of themselves.

`python -m benchmarks.soak -h` says how to run it.
"""
