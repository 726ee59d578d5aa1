"""Reading and writing: files that are whole or absent, worker processes, dataclasses as JSON, digests, errors."""
