"""TumorCP (Yang et al. 2021): a tumour is cut out, changed as an object, and pasted somewhere else.

Its scale, rotation, elastic warp and place stand in the recipe; hosts are other patients, the donor itself, or healthy
scans. Here its brightness is bent by a gamma, it is blurred, and pasted: as it is, or, as `default` does, with a
membrane added that makes it meet the host at its border and leaves its middle alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from nnunetv2_tf.geometry.membrane import membrane
from nnunetv2_tf.methods.base import CheckConfig, Edited, PastingMethod, Site
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.working_space.blurring import blur

Span = tuple[float, float]  # least and most


@dataclass(frozen=True)
class TumorCPConfig:
    """What may happen to a tumour's brightness, and how it is pasted."""

    often: float = 0.5  # how often a gamma is drawn, how often a blur
    gamma: Span = (0.7, 1.5)
    blur_mm: Span = (0.5, 1.5)  # standard deviation
    membrane_mm: float | None = 3.5  # how deep the host's brightness reaches into the tumour; None: hard edges


class TumorCP(PastingMethod):
    """Pastes donors' tumours; learns nothing."""

    hosts = ("real", "healthy")
    growth = "none"  # the map and the donor's image belong together
    moves = True
    quick = True
    config: TumorCPConfig

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Paste the placed tumours."""
        image, placed, organ = site.image.numpy().copy(), site.tumour.numpy(), site.organ.numpy()
        pasted, drawn = np.zeros(placed.shape, bool), []
        for donor in site.donors:
            given, known = donor.image.numpy(), donor.organ.numpy() & organ
            own = (placed > 0) & (donor.tumour.numpy() == placed) & known & ~pasted
            gamma, sigma = self._drawn(rng)
            changed = changed_inside(given, own, gamma, [sigma / step for step in site.spacing])
            if self.config.membrane_mm is not None:
                beside = known & (placed == 0) & (donor.tumour.numpy() == 0)
                changed += membrane(site.image.numpy() - given, own, beside, site.spacing, self.config.membrane_mm)
            image[:, own] = changed[:, own]
            pasted |= own
            drawn.append({"gamma": round(gamma, 4), "blur_mm": round(sigma, 4)})
        tumour = torch.where(torch.from_numpy(pasted), site.tumour, 0)
        label = torch.where(tumour > 0, tumour, site.label)
        return Edited(torch.from_numpy(image), label, 0.0, torch.from_numpy(pasted), {"pasted": drawn})

    def _drawn(self, rng: np.random.Generator) -> tuple[float, float]:
        """Draw a gamma and a blur in mm; 1 and 0 where there is to be none."""
        bent, blurred = rng.random(2) < self.config.often
        gamma, sigma = rng.uniform(*self.config.gamma), rng.uniform(*self.config.blur_mm)
        return float(gamma) if bent else 1.0, float(sigma) if blurred else 0.0


def changed_inside(image: np.ndarray, mask: np.ndarray, gamma: float, sigma: Sequence[float]) -> np.ndarray:
    """Return an image (C, Z, Y, X) whose brightness is bent and blurred in a mask (Z, Y, X), each channel by itself.

    Mean and standard deviation stay what they are when brightness is bent, as published. The blur mixes only what is in
    the mask.

    Args:
        image: (C, Z, Y, X)
        mask: (Z, Y, X) bool
        gamma: exponent, between the darkest and the brightest value; 1: none
        sigma: standard deviation in voxels, by axis; 0: none
    """
    changed = image.copy()
    if gamma != 1 and mask.any():
        for channel in changed:
            channel[mask] = bent(channel[mask], gamma)
    return blur(changed, mask, sigma) if any(sigma) else changed


def bent(values: np.ndarray, gamma: float) -> np.ndarray:
    """Return values (n,) bent by a gamma, of the same mean and standard deviation."""
    low, high, mean, sd = (float(found) for found in (values.min(), values.max(), values.mean(), values.std()))
    if high <= low:
        return values
    curved = ((values - low) / (high - low)) ** gamma
    return (curved - curved.mean()) / curved.std() * sd + mean


AS_PUBLISHED = SamplingConfig(
    scale=(0.85, 1.25), uneven=0.0, turn=180.0, combine=0.0, matched=False, around_fluid=False, harmonised=False,
    often=0.5, within=0.2,
)  # fmt: skip
METHOD = TumorCP
PRESETS = {"paper": TumorCPConfig(blur_mm=(1.0, 5.0), membrane_mm=None), "default": TumorCPConfig()}
SAMPLING = {
    "paper": AS_PUBLISHED,
    "default": replace(
        AS_PUBLISHED, scale=(0.7, 1.3), uneven=0.1, turn=15.0, around_fluid=True, harmonised=True, often=1.0
    ),
}
CHECKED = {"paper": CheckConfig(rejects=False, exempt=("copy", "edge")), "default": CheckConfig(exempt=("copy",))}
