"""TF-GAN, stage 2, after stage 1: the whole of Tumor Fabrication. In: healthy sites with a tumour map. Out: x_s."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nnunetv2_tf.methods.base import Edited, FitData, Method, Site
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.fitting import Fit
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, Generator, one_hot, read_generator
from nnunetv2_tf.methods.tf_gan.patches import distance_to
from nnunetv2_tf.methods.tf_gan.refinement import added_by

STAGE1 = "tf_aug"


class TFGAN(Method):
    """G(x_s', m_s)."""

    hosts = "healthy"
    needs = (STAGE1,)
    fits_in_teams = True
    config: TFGANConfig
    generator: Generator

    @property
    def pastes(self) -> bool:
        """As stage 1 does."""
        return self.fitted[STAGE1].pastes

    def fit(self, data: FitData, folder: Path) -> None:
        """Trains the generator."""
        Fit(self.config, data, self.fitted[STAGE1], folder, self.device).run()

    def load(self, folder: Path) -> None:
        """Takes up generator.safetensors."""
        self.generator = read_generator(folder / WEIGHTS, "fit again with --overwrite.").to(self.device)

    def edit(self, sites: Sequence[Site], rngs: Sequence[np.random.Generator]) -> list[Edited]:
        """Refined images."""
        return [self._edit(site, rng) for site, rng in zip(sites, rngs, strict=True)]

    def _edit(self, site: Site, rng: np.random.Generator) -> Edited:
        design = self.generator.design
        (coarse,) = self.fitted[STAGE1].edit([site], [rng])
        where = site.organ
        if design.reach_mm is not None:
            near = distance_to(site.tumour.numpy(), site.spacing, design.reach_mm) < design.reach_mm
            where = where & torch.from_numpy(near)
        x_s_ = design.domain.into(coarse.image[None], site.body[None])[0]
        added = added_by(self.generator, x_s_, one_hot(site.tumour[None], design.classes)[0], where)
        finer = self.generator.refined(coarse.image[None], added[None], site.organ[None])[0]
        image = torch.where(where, finer, coarse.image)
        return Edited(image, coarse.label, design.reach_mm, controls=coarse.controls)
