"""Patches to train on. In: sites and real cases. Out: per step, coarse fakes and real patches, cut by the same rule.

Fakes are made on the fly: every step sees tumours, hosts and places that no step has seen before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.baseline.crops import box_around, cut
from nnunetv2_tf.methods.base import Method, Site
from nnunetv2_tf.methods.tf_gan.networks import share_of
from nnunetv2_tf.preparation.stored import Case

JITTER = 4  # a patch around a tumour lies up to a fourth of its size beside it
FAKE, REAL = range(2)  # streams of random numbers


@dataclass(frozen=True)
class Patches:
    """Makes batches; goes to other processes."""

    sample_site: Callable[[np.random.Generator], Site]
    stage1: Method
    donors: Sequence[Case]
    size: Sequence[int]
    reach_mm: float | None  # how far around the tumour the generator's image counts
    far: float  # mm; how far from the tumour does not matter beyond
    centred: float  # share of patches that lie around the tumour
    places: range  # in the batch, that are filled here
    seed: int

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step, as `fake` and `real` have it, stacked; and `place`, each one's in the whole batch."""
        made = []
        for place in self.places:
            fake, real = (np.random.default_rng([self.seed, stream, step, place]) for stream in (FAKE, REAL))
            made.append({**self.fake(fake), **self.real(real), "place": np.array(place)})
        return {name: np.stack([one[name] for one in made]) for name in made[0]}

    def fake(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A patch of a new site: host, coarse, tumour, body, organ, distance; n_norm; beyond, sums over the rest.

        These are what coarse and host differ by, and their squares, (2, C): what a case is normalised anew by.
        """
        site = self.sample_site(rng)
        (edited,) = self.stage1.edit([site], [rng])
        tumour, body = site.tumour.numpy(), site.body.numpy()
        organ, host, coarse = site.organ.numpy(), site.image.numpy(), edited.image.numpy()
        centre = self._centre(tumour, organ, rng)
        distance = distance_to(tumour, site.spacing, self.far)
        share = share_of(torch.from_numpy(distance), self.reach_mm).numpy() * organ
        change = share * (coarse - host)
        volumes = {
            "host": host, "coarse": coarse, "tumour": tumour, "body": body, "organ": organ, "distance": distance,
        }  # fmt: skip
        found = {name: cut(volume, centre, self.size) for name, volume in volumes.items()}
        inside = _sums(cut(change, centre, self.size), found["host"])
        beyond = (_sums(change, host) - inside).astype(np.float32)
        return {**found, "n_norm": np.array(site.n_norm), "beyond": beyond}

    def real(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A patch of a real case with a tumour: image, tumour, body, organ and distance, all named real_..."""
        case = replace(self.donors[int(rng.integers(len(self.donors)))])  # a fresh one keeps no arrays
        tumour, organ = case.tumour(), case.organ()
        centre = self._centre(tumour, organ, rng)
        distance = distance_to(tumour, case.grid.spacing, self.far)
        volumes = {"image": case.image(), "tumour": tumour, "body": case.body(), "organ": organ, "distance": distance}
        return {f"real_{name}": cut(volume, centre, self.size) for name, volume in volumes.items()}

    def _centre(self, tumour: np.ndarray, organ: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(3,) where the middle of the patch is to be."""
        if rng.random() < self.centred:
            box = box_around(tumour > 0, (0, 0, 0))
            middle = np.array([(part.start + part.stop) // 2 for part in box])
            reach = np.array(self.size) // JITTER
            return middle + rng.integers(-reach, reach + 1)
        places = np.flatnonzero(organ)
        return np.array(np.unravel_index(places[int(rng.integers(len(places)))], organ.shape))


def _sums(change: np.ndarray, host: np.ndarray) -> np.ndarray:
    """(2, C): sums of a change (C, Z, Y, X) and of what it does to squares."""
    return np.stack([one.sum(axis=(1, 2, 3), dtype=np.float64) for one in (change, change * (change + 2 * host))])


def distance_to(tumour: np.ndarray, spacing: Sequence[float], far: float) -> np.ndarray:
    """(Z, Y, X) float32: mm to the tumour map; 0 in it, `far` where it is further."""
    distance = np.full(tumour.shape, far, np.float32)
    near = box_around(tumour > 0, [int(far / step) + 1 for step in spacing])
    distance[near] = np.minimum(np.asarray(distance_transform_edt(tumour[near] == 0, sampling=spacing)), far)
    return distance
