"""The method TF-GAN: stage 1's coarse images, refined by the generator. In: healthy sites. Out: refined images, x_s."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.geometry.feather import distance_to
from nnunetv2_tf.methods.base import Edited, FitData, Method, Site
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.fitting import GANFit, check
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, Generator, read_generator
from nnunetv2_tf.methods.tf_gan.refinement import refine
from nnunetv2_tf.working_space.preprocess import Plan

STAGE1 = "tf_aug"


class TFGAN(Method):
    """Refines the coarse image: G(x_s', m_s)."""

    hosts = ("healthy",)
    needs = (STAGE1,)
    fits_in_teams = True
    config: TFGANConfig
    generator: Generator

    @property
    def pastes(self) -> bool:
        """Whether sites carry their donors; stage 1 decides."""
        return self.fitted[STAGE1].pastes

    @classmethod
    def check_fit(cls, config: TFGANConfig, plan: Plan, processes: int) -> None:
        """Raise when the processes cannot share the batch evenly, or the patch is too small to be halved."""
        check(config, plan, processes)

    def fit(self, data: FitData, folder: Path) -> None:
        """Train the generator."""
        GANFit(self.config, data, self.fitted[STAGE1], folder, self.device).run()
        if data.team.is_main:
            self.load(folder)

    def load(self, folder: Path) -> None:
        """Load generator.safetensors."""
        self.generator = read_generator(folder / WEIGHTS, "fit again with --overwrite.").to(self.device)

    def edit(self, sites: Sequence[Site], rngs: Sequence[np.random.Generator]) -> list[Edited]:
        """Return the refined images of sites."""
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
        box = box_around(where.numpy())
        image, inside = coarse.image.clone(), (slice(None), *box)
        image[inside] = torch.where(where[box], refine(self.generator, coarse.image, site, box), image[inside])
        return Edited(image, coarse.label, design.reach_mm, controls=coarse.controls)
