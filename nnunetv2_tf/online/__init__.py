"""New synthetic cases while nnU-Net trains: made in its workers, or kept in a pool that is renewed epoch by epoch."""
