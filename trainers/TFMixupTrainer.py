"""nnU-Net's trainer on the real training cases of a fold, whose patches are blended: Mixup."""

from typing import Any

import numpy as np
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.training.mixup import MixupLoss, blended

from .TFBaselineTrainer import TFBaselineTrainer


class TFMixupTrainer(TFBaselineTrainer):
    """Blends each patch with another of its batch, in shares that a Beta distribution draws for each batch."""

    alpha = 0.2  # both parameters of Beta: mostly one patch or the other, seldom half of each
    shares: np.random.Generator

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Return the dataloaders; refuse batches in which nothing can be blended."""
        with self.refusals():
            if self.batch_size < 2:
                plans = self.plans_manager.plans_name
                raise UserError(
                    f"Mixup blends the patches of a batch, and a batch of {plans} {self.configuration_name} has "
                    f"{self.batch_size} on each device; plan larger ones (batch_size in the plans file), or train on "
                    "fewer GPUs."
                )
        self.print_to_log_file(
            f"Mixup: patches are blended with others of their batch, by Beta({self.alpha:g}, {self.alpha:g})."
        )
        return super().get_dataloaders()

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's shares; with a seed, those that an undisturbed training would have."""
        super().on_train_epoch_start()
        seed = self.options.seed
        self.shares = np.random.default_rng(None if seed is None else [seed, self.rank, self.current_epoch])

    def step(self, batch: dict) -> dict:
        """Do nnU-Net's step with a blended batch."""
        assert isinstance(self.loss, MixupLoss)
        share = float(self.shares.beta(self.alpha, self.alpha))
        images = batch["data"].to(self.device, non_blocking=True)
        with self.loss.mixing(share):
            return super().step({**batch, "data": blended(images, share)})

    def _build_loss(self) -> torch.nn.Module:
        """Return nnU-Net's loss, of both targets of a blended patch."""
        return MixupLoss(super()._build_loss())
