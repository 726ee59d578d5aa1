"""TF-GAN, stage 2, after stage 1: the whole of Tumor Fabrication. In: healthy sites with a tumour map. Out: x_s."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nnunetv2_tf.baseline.crops import box_around
from nnunetv2_tf.methods.base import Edited, FitData, Method, Site
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.fitting import Fit, check
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, Generator, read_generator
from nnunetv2_tf.methods.tf_gan.patches import distance_to
from nnunetv2_tf.methods.tf_gan.refinement import refine
from nnunetv2_tf.preparation.preprocess import Plan

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

    @classmethod
    def check_fit(cls, config: TFGANConfig, plan: Plan, processes: int) -> None:
        """The batch has to be shared evenly, and the patch to be halved."""
        check(config, plan, processes)

    def fit(self, data: FitData, folder: Path) -> None:
        """Trains the generator."""
        Fit(self.config, data, self.fitted[STAGE1], folder, self.device).run()
        if data.team.leads:
            self.load(folder)

    def load(self, folder: Path) -> None:
        """Takes up generator.safetensors."""
        self.generator = read_generator(folder / WEIGHTS, "fit again with --overwrite.").to(self.device)

    def edit(self, sites: Sequence[Site], rngs: Sequence[np.random.Generator]) -> list[Edited]:
        """Refined images."""
        return [self._edit(site, rng) for site, rng in zip(sites, rngs, strict=True)]

    def _edit(self, site: Site, rng: np.random.Generator) -> Edited:
        design = self.generator.design
        (coarse,) = self.fitted[STAGE1].edit([site], [rng])
        if design.reach_mm is None:
            where = site.organ
        else:
            tumour, where = site.tumour.numpy(), torch.zeros_like(site.organ)
            around = box_around(tumour > 0, [int(design.reach_mm / step) + 1 for step in site.spacing])
            near = distance_to(tumour[around], site.spacing, design.reach_mm) < design.reach_mm
            where[around] = site.organ[around] & torch.from_numpy(near)
        box = box_around(where.numpy(), (0, 0, 0))
        image, inside = coarse.image.clone(), (slice(None), *box)
        image[inside] = torch.where(where[box], refine(self.generator, coarse.image, site, box), image[inside])
        return Edited(image, coarse.label, design.reach_mm, controls=coarse.controls)
