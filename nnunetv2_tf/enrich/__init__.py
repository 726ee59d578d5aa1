"""All steps from scans to a training with synthetic cases. In: a request. Out: what was missing of them, done."""
