"""The nnU-Net of a fold's real training cases, and what else it is good for."""
