"""Sites to learn from, of several kinds of hosts. In: who draws a site of each kind, and how often. Out: a site."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.methods.base import NoRoomError, SampleSite, Site


@dataclass(frozen=True)
class MixedSites:
    """Draws sites, some in other hosts than healthy ones, as far as these have room."""

    healthy: SampleSite
    others: tuple[tuple[SampleSite | None, float], ...]  # with the share of sites of each; None: there are none
    without: Collection[str] = ()  # real cases whose tumours and sides are not used

    def __call__(self, rng: np.random.Generator) -> Site:
        """Draw one."""
        drawn = rng.random()
        for sample, share in self.others:
            if 0 <= drawn < share and sample is not None:
                with suppress(NoRoomError):
                    return sample(rng, self.without)
            drawn -= share
        return self.healthy(rng, self.without)
