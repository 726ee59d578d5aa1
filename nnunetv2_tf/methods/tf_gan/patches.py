"""Patches to train on. In: sites and real cases. Out: a batch per step, of fake and real patches cut by the same rule.

What takes long, a site with its coarse tumour, or a real case, comes from pools; where a patch is cut from it is drawn
anew at each use.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.geometry.boxes import box_around, shape_of
from nnunetv2_tf.geometry.feather import distance_to
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.methods.base import Method, Site
from nnunetv2_tf.methods.tf_gan.config import DISTANCE_CLIP_MM, TFGANConfig
from nnunetv2_tf.methods.tf_gan.refinement import in_host
from nnunetv2_tf.networks.levels import largest_patch
from nnunetv2_tf.training.patches import REAL_VOLUMES, compact, patch_of, reached, real_piece
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case

FAKE_STREAM, REAL_STREAM, SITE_STREAM = range(3)  # streams of random numbers
SMALLEST = 32  # voxels of a patch along an axis, unless the plans have less
FEWEST = 4  # patients, of whom one can be spared
FAKE_VOLUMES = ("host", "coarse", "tumour", "body", "organ", "distance")


@dataclass(frozen=True)
class Pieces:
    """Makes what patches are cut from: whole cases, or what patches around their tumour can reach."""

    sample_site: Callable[[np.random.Generator], Site]
    stage1: Method
    donors: Sequence[Case]
    size: Sequence[int]  # of patches
    distance_clip_mm: float  # mm; distance maps are clipped here
    whole: bool  # patches lie anywhere, not around the tumour only
    seed: int

    def fake(self, number: int) -> dict[str, np.ndarray]:
        """Return a new site: FAKE_VOLUMES; the middle of its tumour; its n_norm; and sums over the case.

        sums: (2, C), of the differences between coarse and host and between their squares, by which the case is
        normalised anew.
        """
        return self.new_fake(np.random.default_rng([self.seed, SITE_STREAM, number]))

    def new_fake(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the same of a site drawn from a generator."""
        site = self.sample_site(rng)
        (edited,) = self.stage1.edit([site], [rng])
        tumour = site.tumour.numpy()
        host, coarse = compact(
            site.image.numpy(), in_host(edited, site, site.weight(edited.reach_mm)).numpy()
        )  # fmt: skip
        organ, body = site.organ.numpy(), site.body.numpy()
        (distance,) = compact(distance_to(tumour, site.spacing, self.distance_clip_mm))
        arrays = (host, coarse, tumour, body, organ, distance)
        piece = reached(dict(zip(FAKE_VOLUMES, arrays, strict=True)), self.size, self.whole)
        return {**piece, "n_norm": np.array(site.n_norm), "sums": _sums(coarse, host)}

    def real(self, number: int) -> dict[str, np.ndarray]:
        """Return a real case with a tumour: REAL_VOLUMES, and the middle of its tumour."""
        return real_piece(self.donors[number], self.size, self.distance_clip_mm, self.whole)


@dataclass(frozen=True)
class Patches:
    """Makes batches; it is sent to worker processes."""

    pieces: Pieces
    fakes: Pool
    reals: Pool
    learnt: Sequence[int]  # real cases that patches come from, by number
    centred: float  # share of patches that lie around the tumour
    batch: int
    places: range  # in the whole batch, which this process fills
    steps: int  # in an epoch

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """Return the batch of a step: stacked patches by `fake` and `real`; and `place`, their index in the batch."""
        patches, seed = [], self.pieces.seed
        for place in self.places:
            fake, real = (np.random.default_rng([seed, stream, step, place]) for stream in (FAKE_STREAM, REAL_STREAM))
            site = self.fakes.draw(step // self.steps, fake, step * self.batch + place)
            patches.append({**self.fake(site, fake), **self.real(real, self.learnt), "place": np.array(place)})
        return {name: np.stack([patch[name] for patch in patches]) for name in patches[0]}

    def fake(self, site: Arrays, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a patch of a site: FAKE_VOLUMES; its case's n_norm; and its sums over the rest of the case."""
        patch = self._patch(site, FAKE_VOLUMES, rng)
        beyond = (site["sums"] - _sums(patch["coarse"], patch["host"])).astype(np.float32)
        return {**patch, "n_norm": site["n_norm"], "beyond": beyond}

    def real(self, rng: np.random.Generator, numbers: Sequence[int]) -> dict[str, np.ndarray]:
        """Return a patch of one of these real cases with a tumour: REAL_VOLUMES, all named real_..."""
        piece = self.reals[numbers[int(rng.integers(len(numbers)))]]
        patch = self._patch(piece, REAL_VOLUMES, rng)
        return {f"real_{name}": volume for name, volume in patch.items()}

    def _patch(self, piece: Arrays, names: Sequence[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
        return patch_of(piece, names, self.pieces.size, self.centred, rng)


def patch_for(config: TFGANConfig, plan: Plan, donors: Sequence[Case]) -> list[int]:
    """Return the size of patches, voxels: as large as the median tumour, within limits."""
    largest = largest_patch(plan, config.largest_patch)
    if not config.around_tumours:
        return largest
    boxes = np.array([shape_of(box_around(case.open().tumour() > 0)) for case in donors])
    wanted = np.maximum(np.median(boxes, axis=0).astype(int), SMALLEST)
    return np.minimum(wanted, largest).tolist()


def distance_clip(reach: float | None, spacing: Sequence[float]) -> float:
    """Return where distance maps are clipped (mm): beyond the reach, also when rounded to half precision."""
    return DISTANCE_CLIP_MM if reach is None else reach + max(spacing)


def held_out_of(donors: Sequence[Case], share: float, rng: np.random.Generator) -> list[int]:
    """Draw the patients that nobody learns from, and return the numbers of their cases; none of fewer than FEWEST."""
    patients = sorted({case.group for case in donors})
    if not share or len(patients) < FEWEST:
        return []
    drawn = rng.permutation(len(patients))[: max(1, round(share * len(patients)))]
    names = {patients[index] for index in drawn}
    return [number for number, case in enumerate(donors) if case.group in names]


def _sums(coarse: np.ndarray, host: np.ndarray) -> np.ndarray:
    """Return (2, C): the sums of the change from host to coarse (C, Z, Y, X), and of the change of its squares."""
    coarse, host = coarse.astype(np.float32), host.astype(np.float32)
    change = coarse - host
    return np.stack([values.sum(axis=(1, 2, 3), dtype=np.float64) for values in (change, change * (coarse + host))])
