"""The method FreeTumor. In: healthy sites. Out: hosts with tumours, x' = x (1 - m) + content m with a soft map m."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.methods.base import Edited, FitData, Site, SitewiseMethod
from nnunetv2_tf.methods.freetumor.config import FreeTumorConfig
from nnunetv2_tf.methods.freetumor.fitting import FreeTumorFit, check
from nnunetv2_tf.methods.freetumor.networks import WEIGHTS, Content, read_generator
from nnunetv2_tf.methods.freetumor.soft_tumours import SoftTumour
from nnunetv2_tf.networks.tiling import Start, apply_tiled, tile_of
from nnunetv2_tf.working_space.preprocess import Plan

LEAST = 1e-3  # of the soft map: less is nothing


class FreeTumor(SitewiseMethod):
    """Puts tumours in that a segmentor takes for tumours, and a discriminator for real ones."""

    hosts = ("healthy",)
    learns_unlabelled = True
    config: FreeTumorConfig
    generator: Content

    @classmethod
    def check_fit(cls, config: FreeTumorConfig, plan: Plan, processes: int) -> None:  # noqa: ARG003 (one: it says so)
        """Raise when the patch is too small to be halved, or nnU-Net writes no label for a class."""
        check(config, plan)

    def fit(self, data: FitData, folder: Path) -> None:
        """Train the generator."""
        FreeTumorFit(self.config, data, folder, self.device).run()
        self.load(folder)

    def load(self, folder: Path) -> None:
        """Load generator.safetensors."""
        self.generator = read_generator(folder / WEIGHTS, "fit again with --overwrite.").to(self.device)

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Return a site with its tumour."""
        drawn, design = SoftTumour.draw(site, self.config.edge_mm, rng), self.generator.design
        size, soft = design.levels.patch, torch.from_numpy(drawn.soft)
        volumes = (site.image, site.body[None], site.tumour[None], torch.from_numpy(drawn.texture)[None])

        def inputs(start: Start) -> tuple[Tensor, Tensor, Tensor]:
            image, body, tumour, texture = (tile_of(volume, start, size)[None].to(self.device) for volume in volumes)
            return design.domain.normalise(image, body[:, 0]), tumour[:, 0], texture[:, 0]

        difference = apply_tiled(self.generator, inputs, drawn.box, site.organ.shape, size)
        inside, image = (slice(None), *drawn.box), site.image.clone()
        host, weight = site.image[inside][None], soft[drawn.box][None]
        image[inside] = self.generator.composed(host, difference[None], weight)[0]
        label = torch.where(site.tumour > 0, site.tumour, site.label)
        region = (soft > LEAST) & (site.weight(self.reach_mm) > 0)
        return Edited(image, label, self.reach_mm, region, {"edge_mm": round(drawn.edge_mm, 4)})
