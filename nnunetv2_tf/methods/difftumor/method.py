"""The method DiffTumor. In: healthy sites. Out: hosts with tumours, host + m (decoded sample - decoded host)."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.geometry.boxes import Box, box_around, box_from, overlap, shape_of
from nnunetv2_tf.methods.autoencoder.saved import ScanAutoencoder
from nnunetv2_tf.methods.base import Edited, FitData, Site, SitewiseMethod
from nnunetv2_tf.methods.difftumor.config import DiffTumorConfig
from nnunetv2_tf.methods.difftumor.fitting import DiffTumorFit, check
from nnunetv2_tf.methods.difftumor.latents import WEIGHTS, LatentDiffusion, known_beside, read_diffusion
from nnunetv2_tf.networks.autoencoder import strides_of
from nnunetv2_tf.networks.tiling import tile_of
from nnunetv2_tf.tumours.soft_map import shares_of
from nnunetv2_tf.working_space.preprocess import Plan

LEAST = 1e-3  # of the soft map: less is nothing


class DiffTumor(SitewiseMethod):
    """Draws tumours in the latents of an autoencoder.

    Only how the decoded sample differs from the decoded host is put in, so that what the autoencoder loses of a scan
    does not blur it.
    """

    hosts = ("healthy",)
    needs = ("autoencoder",)
    reach_mm = 12.0
    config: DiffTumorConfig
    diffusion: LatentDiffusion

    @classmethod
    def check_fit(cls, config: DiffTumorConfig, plan: Plan, processes: int) -> None:  # noqa: ARG003
        """Raise when the patch is too small to be halved."""
        check(config, plan)

    def fit(self, data: FitData, folder: Path) -> None:
        """Train the diffusion model."""
        DiffTumorFit(self.config, data, folder, self.device, self.autoencoder).run()
        self.load(folder)

    def load(self, folder: Path) -> None:
        """Load denoiser.safetensors."""
        self.diffusion = read_diffusion(folder / WEIGHTS, "fit again with --overwrite.").to(self.device)

    @property
    def autoencoder(self) -> ScanAutoencoder:
        """The autoencoder that it was fitted with."""
        return self.fitted["autoencoder"].autoencoder

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Return a site with its tumour."""
        tumour, organ = site.tumour.numpy() > 0, site.organ.numpy()
        if not tumour.any():
            return Edited(site.image.clone(), site.label.clone(), self.reach_mm)
        edge = rng.uniform(*self.config.edge_mm)
        sigma = (edge / np.array(site.spacing)).tolist()
        soft = torch.from_numpy(shares_of(tumour, (True,), organ, sigma)[0].clip(0, 1))
        region = (soft > LEAST) & (site.weight(self.reach_mm) > 0)
        box = self._box(tumour, site.spacing)
        there, here = overlap([part.start for part in box], shape_of(box), tumour.shape)
        difference = self._difference(site, box, rng)
        image = site.image.clone()
        image[(slice(None), *there)] += soft[there] * difference[(slice(None), *here)]
        label = torch.where(site.tumour > 0, site.tumour, site.label)
        return Edited(image, label, self.reach_mm, region, {"edge_mm": round(float(edge), 4), "T": self.config.steps})

    def _box(self, tumour: np.ndarray, spacing: tuple[float, float, float]) -> Box:
        """Return the box that is worked on: as large as patches in training, or what the reach around the tumour takes.

        Norms see what is in it, so it should not be another share of tumour and surroundings than they have learnt.
        """
        levels, of_latent = self.diffusion.design.levels, np.array(strides_of(self.autoencoder.design.levels))
        step, patch = of_latent * strides_of(levels), of_latent * levels.patch
        around = box_around(tumour)
        low, high = (np.array([getattr(part, end) for part in around]) for end in ("start", "stop"))
        margin = np.ceil(self.reach_mm / np.array(spacing)).astype(int)
        size = -(-np.maximum(high - low + 2 * margin, patch) // step) * step
        start = (low + high - size) // 2
        return box_from(start, start + size)

    @torch.no_grad()
    def _difference(self, site: Site, box: Box, rng: np.random.Generator) -> Tensor:
        """Return (C, z, y, x), z: how a decoded sample differs from the decoded host, in a box."""
        start, size = tuple(part.start for part in box), [part.stop - part.start for part in box]
        image, body, tumour = (
            tile_of(volume, start, size)[None].to(self.device)
            for volume in (site.image, site.body[None], site.tumour[None])
        )
        design, config, inside = self.diffusion.design, self.config, body[:, 0]
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with exact:
            known = known_beside(self.autoencoder, design, image, inside, tumour[:, 0])
            shape = (1, design.latent, *known.shape[2:])
            number = config.steps if config.sampler == "ddpm" else 1
            noise = [
                torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(self.device) for _ in range(number)
            ]
            drawn = self.diffusion.sample(known, noise, config.sampler, config.steps, config.limit)
            decoded = self.autoencoder.image(design.range.denormalise(drawn))
            host = self.autoencoder.image(self.autoencoder.latents(image, inside))
        return (decoded - host)[0].cpu()
