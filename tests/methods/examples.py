"""Methods as anybody might write them, for what carvemix does not do: feathered edits, edits in all of the organ."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nnunetv2_tf.methods.base import CheckConfig, Edited, Method, Site
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED


class Stamp(Method):
    """Brightens the placed tumour and what is around it, with noise of its own."""

    hosts: Any = ("real",)
    brighter = 1.0  # by so much

    def edit(self, sites, rngs) -> list[Edited]:
        return [self._edit(site, rng) for site, rng in zip(sites, rngs, strict=True)]

    def _edit(self, site: Site, rng: np.random.Generator) -> Edited:
        noise = torch.from_numpy(rng.normal(self.brighter, 0.2, site.image.shape).astype(np.float32))
        image = torch.where(site.organ, site.image + noise, site.image)
        return Edited(image, torch.where(site.tumour > 0, site.tumour, site.label), self.reach_mm)


class Tint(Stamp):
    """Changes all of the organ."""

    reach_mm = None


class Glow(Stamp):
    """In healthy scans."""

    hosts = ("healthy",)


class Liar(Glow):
    """Says of its tumours what is not for it to say."""

    def _edit(self, site: Site, rng: np.random.Generator) -> Edited:
        return replace(super()._edit(site, rng), controls={"transforms": "none", "placed": "nowhere", "own": 7})


class Glare(Glow):
    """All of the organ of healthy scans."""

    reach_mm = None


PRESETS = {"paper": None, "default": None}
SAMPLING = {"paper": AS_PUBLISHED}
CHECKED = {preset: CheckConfig(rejects=False) for preset in PRESETS}  # they are brighter than any tumour
