"""TF-GAN, the whole of Tumor Fabrication: TF-Aug's coarse tumours, refined by a GAN. Paper 2.2, Eq. 2 to 5."""

from nnunetv2_tf.methods.tf_gan.config import CHECKED, PRESETS, SAMPLING
from nnunetv2_tf.methods.tf_gan.method import TFGAN as METHOD

__all__ = ["CHECKED", "METHOD", "PRESETS", "SAMPLING"]
