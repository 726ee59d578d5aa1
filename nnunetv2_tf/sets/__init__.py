"""Sets of synthetic cases: where they lie, how they get in and out, whether they leak, how they are drawn."""
