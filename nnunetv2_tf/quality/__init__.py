"""Whether what we make, and what we make it from, looks like what it stands for."""
