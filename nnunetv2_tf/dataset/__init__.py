"""What nnU-Net's datasets, and the sets of synthetic cases in them, look like on disk."""
