"""Patches to train on. In: sites and real cases. Out: a batch per step, of fake and real patches cut by the same rule.

Fake patches are made on the fly: every step sees tumours, hosts and places that no step has seen before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.geometry.boxes import centre_of, cut
from nnunetv2_tf.geometry.feather import distance_to
from nnunetv2_tf.methods.base import Method, Site
from nnunetv2_tf.methods.tf_gan.refinement import in_host
from nnunetv2_tf.working_space.stored import Case

JITTER = 4  # patches around a tumour are shifted from its middle by up to a fourth of their size
FAKE_STREAM, REAL_STREAM = range(2)  # streams of random numbers


@dataclass(frozen=True)
class Patches:
    """Makes batches; it is sent to worker processes."""

    sample_site: Callable[[np.random.Generator], Site]
    stage1: Method
    donors: Sequence[Case]
    size: Sequence[int]
    distance_clip_mm: float  # mm; distance maps are clipped here
    centred: float  # share of patches that lie around the tumour
    places: range  # in the whole batch, which this process fills
    seed: int

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """Return the batch of a step: stacked patches by `fake` and `real`; and `place`, their index in the batch."""
        patches = []
        for place in self.places:
            fake, real = (
                np.random.default_rng([self.seed, stream, step, place]) for stream in (FAKE_STREAM, REAL_STREAM)
            )
            patches.append({**self.fake(fake), **self.real(real), "place": np.array(place)})
        return {name: np.stack([patch[name] for patch in patches]) for name in patches[0]}

    def fake(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a patch of a new site: host, coarse, tumour, body, organ, distance; its case's n_norm; and beyond.

        beyond: (2, C), over the rest of the case, the sums of the differences between coarse and host and between their
        squares, by which the case is normalised anew.
        """
        site = self.sample_site(rng)
        (edited,) = self.stage1.edit([site], [rng])
        tumour, body = site.tumour.numpy(), site.body.numpy()
        organ, host = site.organ.numpy(), site.image.numpy()
        coarse = in_host(edited, site, site.weight(edited.reach_mm)).numpy()
        centre = self._centre(tumour, organ, rng)
        distance = distance_to(tumour, site.spacing, self.distance_clip_mm)
        change = coarse - host
        volumes = {
            "host": host, "coarse": coarse, "tumour": tumour, "body": body, "organ": organ, "distance": distance,
        }  # fmt: skip
        patch = {name: cut(volume, centre, self.size) for name, volume in volumes.items()}
        inside = _sums(cut(change, centre, self.size), patch["host"])
        beyond = (_sums(change, host) - inside).astype(np.float32)
        return {**patch, "n_norm": np.array(site.n_norm), "beyond": beyond}

    def real(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a patch of a real case with a tumour: image, tumour, body, organ and distance, all named real_..."""
        case = self.donors[int(rng.integers(len(self.donors)))].open()
        tumour, organ = case.tumour(), case.organ()
        centre = self._centre(tumour, organ, rng)
        distance = distance_to(tumour, case.grid.spacing, self.distance_clip_mm)
        volumes = {"image": case.image(), "tumour": tumour, "body": case.body(), "organ": organ, "distance": distance}
        return {f"real_{name}": cut(volume, centre, self.size) for name, volume in volumes.items()}

    def _centre(self, tumour: np.ndarray, organ: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return (3,): the voxel in the middle of the patch."""
        if rng.random() < self.centred:
            reach = np.array(self.size) // JITTER
            return centre_of(tumour) + rng.integers(-reach, reach + 1)
        places = np.flatnonzero(organ)
        return np.array(np.unravel_index(places[int(rng.integers(len(places)))], organ.shape))


def _sums(change: np.ndarray, host: np.ndarray) -> np.ndarray:
    """Return (2, C): the sums of a change (C, Z, Y, X) to the host, and of the change of its squares."""
    return np.stack([values.sum(axis=(1, 2, 3), dtype=np.float64) for values in (change, change * (change + 2 * host))])
