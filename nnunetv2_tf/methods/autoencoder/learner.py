"""The learner. In: patients and healthy scans of the fold. Out: a trained autoencoder, for methods that need it."""

from pathlib import Path

from nnunetv2_tf.methods.autoencoder.config import AutoencoderConfig
from nnunetv2_tf.methods.autoencoder.fitting import AutoencoderFit, check
from nnunetv2_tf.methods.autoencoder.saved import WEIGHTS, ScanAutoencoder, read_autoencoder
from nnunetv2_tf.methods.base import FitData, Learner
from nnunetv2_tf.working_space.preprocess import Plan


class AutoencoderLearner(Learner):
    """Learns to bring images to latents and back."""

    config: AutoencoderConfig
    autoencoder: ScanAutoencoder

    @classmethod
    def check_fit(cls, config: AutoencoderConfig, plan: Plan, processes: int) -> None:  # noqa: ARG003
        """Raise when the patch is too small to be halved."""
        check(config, plan)

    def fit(self, data: FitData, folder: Path) -> None:
        """Train the autoencoder."""
        AutoencoderFit(self.config, data, folder, self.device).run()
        self.load(folder)

    def load(self, folder: Path) -> None:
        """Load autoencoder.safetensors."""
        self.autoencoder = read_autoencoder(folder / WEIGHTS, "fit again with --overwrite.").to(self.device)
