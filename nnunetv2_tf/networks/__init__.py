"""Networks that do not depend on a method. In and out: volumes (B, C, Z, Y, X)."""
