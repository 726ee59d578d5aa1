"""TF-Aug, stage 1 of Tumor Fabrication: coarse tumours."""

from nnunetv2_tf.methods.tf_aug.config import CHECKED, PRESETS, SAMPLING
from nnunetv2_tf.methods.tf_aug.method import TFAug as METHOD

__all__ = ["CHECKED", "METHOD", "PRESETS", "SAMPLING"]
