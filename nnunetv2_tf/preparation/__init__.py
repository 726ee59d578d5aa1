"""Scans brought into the form in which nnU-Net stores them."""
