"""FreeTumor: tumours that a segmentor, trained on as a discriminator, takes for real ones."""

from nnunetv2_tf.methods.freetumor.config import CHECKED, PRESETS, SAMPLING, SHAPES
from nnunetv2_tf.methods.freetumor.method import FreeTumor as METHOD

__all__ = ["CHECKED", "METHOD", "PRESETS", "SAMPLING", "SHAPES"]
