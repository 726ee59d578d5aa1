"""Texture of tumours: how features of their voxels are distributed, class by class. In: features. Out: a distance.

Not image by image: a made tumour is not to be the average of real ones. What was seen lately of made tumours is
compared with what was seen of real ones: their mean, and how voxels are distributed about each patch's own mean, by the
sliced Wasserstein distance, for which the sorted values of both are compared along random directions. It needs no
discriminator, and says something from the first step on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.baseline.class_features import class_masks, pooled_to
from nnunetv2_tf.training.distributed import Team

STAGES = 2  # of the encoder: fine ones, whose features tell texture
VOXELS = 64  # of a class, drawn from each patch
PATCHES = 32  # last ones, of either kind
DIRECTIONS = 16
KINDS = ("real", "made")
MOSTLY = 0.5  # of a feature's voxel has to be of the class


def sliced_distance(some: Tensor, others: Tensor, directions: Tensor) -> Tensor:
    """Return the sliced Wasserstein distance (L1) between two sets of points, equally many.

    Args:
        some: (N, F)
        others: (N, F)
        directions: (F, D), each of length 1
    """
    sorted_some, sorted_others = (torch.sort(points @ directions, dim=0).values for points in (some, others))
    return (sorted_some - sorted_others).abs().mean()


def patch_distance(made: Tensor, real: Tensor, directions: Tensor) -> Tensor:
    """Return how far apart patches are: how their voxels are distributed about their means, and the mean of these.

    Together they would be one distribution, but then patches could make up for being too like each other by varying too
    much inside.

    Args:
        made: (P, VOXELS, F)
        real: likewise
        directions: (F, D), each of length 1
    """
    mean_made, mean_real = (patches.mean(dim=1, keepdim=True) for patches in (made, real))
    between = ((mean_made.mean(dim=0) - mean_real.mean(dim=0)) @ directions).abs().mean()
    within = sliced_distance((made - mean_made).flatten(0, 1), (real - mean_real).flatten(0, 1), directions)
    return within + between


def class_voxels(
    features: Tensor, tumour: Tensor, classes: Sequence[int], rngs: Sequence[np.random.Generator]
) -> tuple[Tensor, Tensor]:
    """Draw voxels of each class from each patch.

    Args:
        features: (B, F, z, y, x)
        tumour: (B, Z, Y, X) the map
        classes: its values, K of them
        rngs: for each patch

    Returns:
        (B, K, VOXELS, F), 0 where a class is not there; and (B, K) bool, whether it is
    """
    shares = pooled_to(class_masks(tumour, classes).float(), features).flatten(2)
    drawn, present = [], []
    for patch, share, rng in zip(features.flatten(2), shares, rngs, strict=True):
        for of_class in share:
            places = torch.nonzero(of_class >= MOSTLY)[:, 0]
            present.append(len(places) > 0)
            chosen = torch.from_numpy(rng.integers(max(len(places), 1), size=VOXELS)).to(places.device)
            drawn.append(patch[:, places[chosen]].T if len(places) else patch.new_zeros(VOXELS, len(patch)))
    shape = (*shares.shape[:2], VOXELS, features.shape[1])
    return torch.stack(drawn).reshape(shape), torch.tensor(present, device=features.device).reshape(shape[:2])


@dataclass
class RecentPatches:
    """Voxels of the last patches that had a class."""

    voxels: Tensor  # (P, VOXELS, F)
    filled: int = 0  # patches that have been seen, up to P
    turn: int = 0  # which is replaced next

    def joined(self, patches: Tensor) -> Tensor:
        """Return (n, VOXELS, F): new patches (m, VOXELS, F), m up to P, and the last ones, n up to P."""
        order = [(self.turn - 1 - back) % len(self.voxels) for back in range(self.filled)]
        kept = order[: len(self.voxels) - len(patches)]
        return torch.cat([patches, self.voxels[kept]])

    def add(self, patches: Tensor) -> None:
        """Keep new patches instead of the oldest."""
        for patch in patches:
            self.voxels[self.turn] = patch.detach()
            self.turn = (self.turn + 1) % len(self.voxels)
            self.filled = min(self.filled + 1, len(self.voxels))


class Texture:
    """What was seen lately of real and of made tumours."""

    def __init__(self, classes: Sequence[int], widths: Sequence[int], device: torch.device, team: Team) -> None:
        self.classes, self.team = tuple(classes), team
        self.seen = {
            kind: [
                [RecentPatches(torch.zeros(PATCHES, VOXELS, wide, device=device)) for _ in classes] for wide in widths
            ]
            for kind in KINDS
        }

    def distance(
        self, features: Mapping[str, Sequence[Tensor]], maps: Mapping[str, Tensor],
        seed: Sequence[int], places: Sequence[int],
    ) -> Tensor:  # fmt: skip
        """Return the distance, averaged over classes and stages, and keep what was seen; 0 before there is anything.

        Its gradient counts as if all made patches that are compared were those of this step.

        Args:
            features: (B, F, z, y, x) of each stage, of this process's patches, by kind
            maps: (B, Z, Y, X) tumour maps, by kind
            seed: of the step
            places: of this process's patches in the whole batch
        """
        terms = []
        for stage in range(len(self.seen["made"])):
            drawn = {
                kind: self._drawn(features[kind][stage], maps[kind], [*seed, number, stage], places)
                for number, kind in enumerate(KINDS)
            }
            directions = _directions(features["made"][stage], np.random.default_rng([*seed, len(KINDS), stage]))
            for index in range(len(self.classes)):
                new = {kind: voxels[present[:, index], index] for kind, (voxels, present) in drawn.items()}
                lately = {kind: self.seen[kind][stage][index] for kind in KINDS}
                compared = {kind: lately[kind].joined(new[kind]) for kind in KINDS}
                for kind in KINDS:
                    lately[kind].add(new[kind])
                number = min(map(len, compared.values()))
                if number and len(new["made"]):
                    made, real = (compared[kind][:number] for kind in ("made", "real"))
                    louder = self.team.size * number / min(number, len(new["made"]))
                    felt = made.detach() + louder * (made - made.detach())
                    terms.append(patch_distance(felt, real.detach(), directions))
        return torch.stack(terms).mean() if terms else features["made"][0].new_zeros(())

    def state(self) -> dict[str, Any]:
        """Return what was seen, for a checkpoint."""
        return {
            kind: [[(one.voxels, one.filled, one.turn) for one in stage] for stage in stages]
            for kind, stages in self.seen.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load what `state()` returned."""
        for kind, stages in self.seen.items():
            for stage, saved in zip(stages, state[kind], strict=True):
                for one, (voxels, filled, turn) in zip(stage, saved, strict=True):
                    one.voxels.copy_(voxels)
                    one.filled, one.turn = filled, turn

    def _drawn(
        self, features: Tensor, tumour: Tensor, seed: Sequence[int], places: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Return what `class_voxels` does, of the whole batch; only this process's patches have gradients."""
        rngs = [np.random.default_rng([*seed, place]) for place in places]
        voxels, present = class_voxels(features, tumour, self.classes, rngs)
        return self.team.gathered(voxels), self.team.gathered(present)


def _directions(features: Tensor, rng: np.random.Generator) -> Tensor:
    """Return (F, DIRECTIONS), each of length 1."""
    directions = rng.normal(size=(features.shape[1], DIRECTIONS)).astype(np.float32)
    return torch.from_numpy(directions / np.linalg.norm(directions, axis=0)).to(features.device)
