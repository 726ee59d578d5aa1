"""The method TF-Aug: coarse tumours. In: healthy sites. Out: hosts, blurred and brightened by class in the tumour."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.io.json_dataclass import read_record
from nnunetv2_tf.methods.base import Edited, FitData, Site, SitewiseMethod
from nnunetv2_tf.methods.tf_aug.coarse import anchored
from nnunetv2_tf.methods.tf_aug.config import TFAugConfig
from nnunetv2_tf.methods.tf_aug.fitting import CURE, FINAL, IntensityMap, IntensityMapFit
from nnunetv2_tf.methods.tf_aug.samples import assemble, coarse_parts


class TFAug(SitewiseMethod):
    """Puts I(B(x_h)) inside the tumour map."""

    hosts = ("healthy",)
    quick = True
    config: TFAugConfig
    fitted_to: IntensityMap

    @property
    def pastes(self) -> bool:
        """Whether sites carry their donors, whose texture and brightness the tumours get."""
        return self.config.texture > 0 or self.config.anchored

    def fit(self, data: FitData, folder: Path) -> None:
        """Fit a and b."""
        self.fitted_to = IntensityMapFit(self.config, data, folder, self.device).run()

    def load(self, folder: Path) -> None:
        """Load tf_aug.json."""
        self.fitted_to = read_record(IntensityMap, folder / FINAL, CURE)

    def edit_site(self, site: Site, rng: np.random.Generator) -> Edited:
        """Return a site's coarse image."""
        box, parts = coarse_parts(site, self.config, self.fitted_to.classes)
        a, b = self._jittered(torch.from_numpy(parts.anchors).double(), rng)
        image = site.image.clone()
        image[(slice(None), *box)] = assemble(parts, a, b)
        label = torch.where(site.tumour > 0, site.tumour, site.label)
        soft = self.config.edge_mm or self.config.edge_voxels
        reach = self.reach_mm if soft else 0.0  # a hard edge changes nothing outside the map
        return Edited(image, label, reach, controls={"a": a.tolist(), "b": b.tolist()})

    def _jittered(self, anchors: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        a, b = (torch.tensor(values, dtype=torch.float64) for values in (self.fitted_to.a, self.fitted_to.b))
        a = a * (1 + self.config.jitter_a * torch.from_numpy(rng.normal(size=a.shape)))
        return a, anchored(a, b, anchors) + self.config.jitter_b * torch.from_numpy(rng.normal(size=b.shape))
