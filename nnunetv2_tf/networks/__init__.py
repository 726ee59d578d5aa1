"""Networks that know no method: in and out, volumes (B, C, Z, Y, X)."""
