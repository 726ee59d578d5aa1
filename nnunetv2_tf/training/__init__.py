"""Training of networks: what all methods that learn share. Does not depend on any method."""
