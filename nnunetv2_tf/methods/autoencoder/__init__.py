"""Autoencoder: images to latents and back, for methods that work on latents; it makes no cases itself."""

from nnunetv2_tf.methods.autoencoder.config import PRESETS
from nnunetv2_tf.methods.autoencoder.learner import AutoencoderLearner as METHOD

__all__ = ["METHOD", "PRESETS"]
