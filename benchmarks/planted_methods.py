"""Methods with a planted fault: the low end for docs/results/does_it_help.md, where it asks which yardstick to trust.

    nnUNetv2_tf_synthesize 531 3d_fullres 0 -m benchmarks.planted_methods:Flat ...

Both paste as TumorCP does. `Flat` then takes all detail out of every class, `Shifted` moves the map by 10 mm.
"""

from dataclasses import replace

import numpy as np
import torch

from nnunetv2_tf.methods.base import CheckConfig, Edited, Site
from nnunetv2_tf.methods.tumorcp import SAMPLING as TUMORCPS
from nnunetv2_tf.methods.tumorcp import TumorCP, TumorCPConfig

OFF_BY = 10.0  # mm
PRESETS = {"default": TumorCPConfig()}
SAMPLING = {"default": TUMORCPS["default"]}
CHECKED = {"default": CheckConfig(rejects=False)}


class Flat(TumorCP):
    """Pastes tumours whose classes are even."""

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Paste, and give every voxel of a class its mean."""
        edited = super().edit_site(site, rng)
        image, region = edited.image.clone(), edited.region
        assert region is not None
        for value in site.tumour[region].unique():
            inside = region & (site.tumour == value)
            image[:, inside] = image[:, inside].mean(dim=1, keepdim=True)
        return replace(edited, image=image)


class Shifted(TumorCP):
    """Pastes tumours beside their map."""

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Paste, and move the map along an axis, as far as it stays in the organ."""
        edited = super().edit_site(site, rng)
        assert edited.region is not None
        axis, sign = int(rng.integers(3)), int(rng.choice([-1, 1]))
        steps = sign * max(1, round(OFF_BY / site.spacing[axis]))
        pasted = torch.where(edited.region, site.tumour, 0)
        moved = torch.where(site.organ, pasted.roll(steps, axis), 0)
        if not moved.any():
            return edited
        label = torch.where(moved > 0, moved, site.label)
        return replace(edited, label=label, region=edited.region | (moved > 0), controls={"off_by_mm": OFF_BY})
