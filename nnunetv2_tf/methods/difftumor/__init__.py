"""DiffTumor (Chen et al. 2024): diffusion in an autoencoder's latents, on what is around a tumour, in few steps."""

from nnunetv2_tf.methods.difftumor.config import CHECKED, PRESETS, SAMPLING, SHAPES
from nnunetv2_tf.methods.difftumor.method import DiffTumor as METHOD

__all__ = ["CHECKED", "METHOD", "PRESETS", "SAMPLING", "SHAPES"]
