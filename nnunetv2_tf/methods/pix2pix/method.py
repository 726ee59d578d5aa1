"""The method Pix2Pix. In: healthy sites, of which only where the organ is counts. Out: images made of their maps."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.methods.base import Edited, FitData, Site, SitewiseMethod
from nnunetv2_tf.methods.pix2pix.config import Pix2PixConfig
from nnunetv2_tf.methods.pix2pix.fitting import Pix2PixFit, check
from nnunetv2_tf.methods.pix2pix.networks import WEIGHTS, MapToImage, condition_of, read_generator
from nnunetv2_tf.networks.tiling import Start, apply_tiled, tile_of
from nnunetv2_tf.working_space.preprocess import Plan


class Pix2Pix(SitewiseMethod):
    """Makes all of the organ anew."""

    hosts = ("healthy",)
    growth = "none"  # the host's image is not used, so there is nothing to push aside
    reach_mm = None
    config: Pix2PixConfig
    generator: MapToImage

    @classmethod
    def check_fit(cls, config: Pix2PixConfig, plan: Plan, processes: int) -> None:  # noqa: ARG003 (one: it says so)
        """Raise when the patch is too small to be halved."""
        check(config, plan)

    def fit(self, data: FitData, folder: Path) -> None:
        """Train the generator."""
        Pix2PixFit(self.config, data, folder, self.device).run()
        self.load(folder)

    def load(self, folder: Path) -> None:
        """Load generator.safetensors."""
        self.generator = read_generator(folder / WEIGHTS, "fit again with --overwrite.").to(self.device)

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:  # noqa: ARG002
        """Return the image of a site's map, the same one whatever the random numbers."""
        design, box = self.generator.design, box_around(site.organ.numpy())
        size, volumes = design.levels.patch, (site.tumour[None], site.organ[None])

        def inputs(start: Start) -> tuple[Tensor]:
            tumour, organ = (tile_of(volume, start, size).to(self.device) for volume in volumes)
            return (condition_of(tumour, organ, design.classes),)

        made = apply_tiled(self.generator, inputs, box, site.organ.shape, size)
        image = site.image.clone()
        inside = (slice(None), *box)
        z = design.domain.denormalise(made[None])[0]
        image[inside] = torch.where(site.organ[box], z, image[inside])
        label = torch.where(site.tumour > 0, site.tumour, site.label)
        return Edited(image, label, self.reach_mm)
