"""TF-Aug: stage 1 of Tumor Fabrication."""

from nnunetv2_tf.methods.tf_aug.config import PRESETS
from nnunetv2_tf.methods.tf_aug.method import TFAug as METHOD

__all__ = ["METHOD", "PRESETS"]
