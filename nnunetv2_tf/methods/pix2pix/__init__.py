"""Pix2Pix (Isola et al. 2017) in three dimensions: from label maps to images, the paper's second rival."""

from nnunetv2_tf.methods.pix2pix.config import CHECKED, PRESETS, SAMPLING
from nnunetv2_tf.methods.pix2pix.method import Pix2Pix as METHOD

__all__ = ["CHECKED", "METHOD", "PRESETS", "SAMPLING"]
