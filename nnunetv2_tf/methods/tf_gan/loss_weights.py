"""How much each of G's losses counts. In: losses, and the image that they are of. Out: their weights.

Losses that are averaged over other things have gradients of other sizes: features' were a hundred times the patch
head's. So weights are set by what arrives at tumour voxels, which is what the generator learns from.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.training.distributed import Team

FORGOTTEN = 0.7  # decay of the running sizes
LEAST = 1e-9  # size of a gradient that says something


class LossWeights:
    """Running sizes of gradients at tumour voxels, and what follows from them."""

    def __init__(self, config: TFGANConfig, team: Team) -> None:
        self.config, self.team = config, team
        self.sizes: dict[str, float] = {}  # by loss

    def measure(self, terms: Mapping[str, Tensor], z: Tensor, tumour: Tensor) -> None:
        """Measure how large the gradient of each loss is.

        Args:
            terms: losses, averaged over the images of this process
            z: (B, C, Z, Y, X) the image that they are computed from
            tumour: (B, 1, Z, Y, X) 1 where it counts
        """
        squares = {}
        for name, term in terms.items():
            squares[name] = torch.zeros((), device=z.device)
            if term.requires_grad:
                (gradient,) = torch.autograd.grad(term, z, retain_graph=True)
                squares[name] = ((gradient * tumour) ** 2).sum()
        for name, squared in self.team.mean(squares).items():
            size = math.sqrt(squared / self.team.size)  # each process averages over its part of the batch only
            if size > LEAST:  # else no tumour is in view just now
                self.sizes[name] = FORGOTTEN * self.sizes.get(name, size) + (1 - FORGOTTEN) * size

    def of(self, terms: Iterable[str], heard: bool) -> dict[str, float]:
        """Return the weights of losses: as in Eq. 5, or such that gradients at tumour voxels have these sizes.

        A loss whose gradient has never reached a tumour has no weight yet.

        Args:
            terms: their names
            heard: whether the discriminator is listened to
        """
        config = self.config
        lambdas = {
            "patch": heard * config.lambda_a, "whole": heard * config.lambda_b,
            "perceptual": config.lambda_d, "texture": config.lambda_e,
        }  # fmt: skip
        if not config.by_gradient:
            return {name: lambdas[name] for name in terms}
        return {name: lambdas[name] / self.sizes[name] if name in self.sizes else 0.0 for name in terms}
