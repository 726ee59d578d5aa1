"""BraTS releases of any year: the only folder that knows BraTS."""
