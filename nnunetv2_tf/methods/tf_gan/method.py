"""The method TF-GAN: stage 1's coarse images, refined by the generator. In: healthy sites. Out: refined images, x_s."""

from pathlib import Path

import numpy as np
import torch

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.methods.base import Edited, FitData, Site, SitewiseMethod
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.fitting import GANFit, check
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, Generator, blended, read_generator
from nnunetv2_tf.methods.tf_gan.refinement import in_host, refine
from nnunetv2_tf.working_space.preprocess import Plan

STAGE1 = "tf_aug"
LEAST = 1e-3  # weight of an edit, below which the generator changes nothing


class TFGAN(SitewiseMethod):
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

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Return a site's refined image."""
        own = self.generator.design.reach_mm
        (edited,) = self.fitted[STAGE1].edit([site], [rng])
        weight, share = site.weight(edited.reach_mm), site.weight(own)
        wanted = in_host(edited, site, weight)
        box = box_around(share.numpy() > 0)
        inside = (slice(None), *box)
        refined = refine(self.generator, wanted, site, box)
        wanted[inside] = blended(wanted[inside][None], refined[None], share[box][None])[0]
        reach = None if own is None or edited.reach_mm is None else max(own, edited.reach_mm)
        if reach is None:
            return Edited(wanted, edited.label, reach, controls=edited.controls)
        weight = weight if reach == edited.reach_mm else share  # what compose will multiply by
        image = site.image + (wanted - site.image) / weight.clamp_min(LEAST)
        return Edited(torch.where(weight > LEAST, image, edited.image), edited.label, reach, controls=edited.controls)
