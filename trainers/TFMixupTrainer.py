"""nnU-Net's trainer on the real training cases of a fold, whose patches are blended: Mixup."""

import secrets
from typing import Any

import numpy as np
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.training.distributed import from_first_process, number_of_processes
from nnunetv2_tf.training.mixup import MixupLoss, blended

from .TFBaselineTrainer import TFBaselineTrainer

ALPHA = 0.2  # both parameters of Beta: mostly one patch or the other, seldom half of each


class TFMixupTrainer(TFBaselineTrainer):
    """Blends each patch with another of its batch, in shares that a Beta distribution draws for each batch."""

    shares: np.random.Generator  # of all processes alike: nnU-Net's Dice may be taken over their patches together

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Return the dataloaders; refuse batches in which nothing can be blended."""
        patches, devices = self.configuration_manager.batch_size, number_of_processes()
        with self.refusals():
            if patches < 2 * devices:
                where = f"{self.plans_manager.plans_name} {self.configuration_name}"
                raise UserError(
                    f"Mixup blends the patches of a batch, and the {patches} of {where} are too few for {devices} "
                    f"device{'s' * (devices > 1)}; plan larger batches (batch_size in the plans file), or train on "
                    "fewer GPUs."
                )
        self.print_to_log_file(f"Mixup: patches are blended with others of their batch, by Beta({ALPHA}, {ALPHA}).")
        return super().get_dataloaders()

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's shares; with a seed, those that an undisturbed training would have."""
        super().on_train_epoch_start()
        seed = from_first_process(secrets.randbits(32)) if self.options.seed is None else self.options.seed
        self.shares = np.random.default_rng([seed, self.current_epoch])

    def step(self, batch: dict) -> dict:
        """Do nnU-Net's step with a blended batch."""
        assert isinstance(self.loss, MixupLoss)
        share = float(self.shares.beta(ALPHA, ALPHA))
        images = batch["data"].to(self.device, non_blocking=True)
        with self.loss.mixing(share):
            return super().step({**batch, "data": blended(images, share)})

    def _build_loss(self) -> torch.nn.Module:
        """Return nnU-Net's loss, of both targets of a blended patch."""
        return MixupLoss(super()._build_loss())
