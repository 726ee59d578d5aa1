"""Patches to train FreeTumor on. In: sites and real cases. Out: a batch per step.

What takes long, a site with its soft map and texture, or a real case, comes from pools; where a patch is cut from it is
drawn anew at each use. Patches lie around tumours: elsewhere no loss looks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.methods.freetumor.soft_tumours import SoftTumour
from nnunetv2_tf.training.augmentation import RandomAffine
from nnunetv2_tf.training.patches import REAL_VOLUMES, compact, patch_of, reached, real_piece
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.training.precision import to_device
from nnunetv2_tf.training.real_patches import Spacing, affines_of, moved
from nnunetv2_tf.working_space.stored import Case

SITE, BATCH = 2, 3  # streams of random numbers
CENTRED = 1.0
CLIPPED = 1.0  # mm, distances to tumours, which nothing here asks for
HOST_VOLUMES = ("host", "tumour", "own", "soft", "texture", "body", "organ")


@dataclass(frozen=True)
class Pieces:
    """Makes what patches are cut from: what patches around the tumour can reach of a case."""

    sample_site: Callable[[np.random.Generator], Site]
    edge_mm: tuple[float, float]
    classes: Sequence[int]
    donors: Sequence[Case]
    size: Sequence[int]  # of patches
    seed: int

    def host(self, number: int) -> dict[str, np.ndarray]:
        """Return a new site, by its number: HOST_VOLUMES, the middle of its tumour, and its n_norm."""
        return self.new_host(np.random.default_rng([self.seed, SITE, number]))

    def new_host(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the same of a site drawn from a generator; `own` is the host's own tumour, if it has one."""
        site = self.sample_site(rng)
        put_in = SoftTumour.draw(site, self.edge_mm, rng)
        tumour, label = site.tumour.numpy(), site.label.numpy()
        own = np.where(np.isin(label, self.classes) & (tumour == 0), label, 0).astype(np.int16)
        (host,) = compact(site.image.numpy())
        soft, texture = (volume.astype(np.float16) for volume in (put_in.soft, put_in.texture))
        arrays = (host, tumour, own, soft, texture, site.body.numpy(), site.organ.numpy())
        piece = reached(dict(zip(HOST_VOLUMES, arrays, strict=True)), self.size, whole=False)
        return {**piece, "n_norm": np.array(site.n_norm)}

    def real(self, number: int) -> dict[str, np.ndarray]:
        """Return a real case with a tumour: REAL_VOLUMES, and the middle of its tumour."""
        return real_piece(self.donors[number], self.size, CLIPPED, whole=False)


@dataclass(frozen=True)
class Patches:
    """Makes batches; it is sent to worker processes."""

    pieces: Pieces
    hosts: Pool
    reals: Pool
    batch: int
    steps: int  # in an epoch

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        """Return the batch of a step: stacked patches, and `place`, their index in the batch."""
        patches, seed = [], self.pieces.seed
        for place in range(self.batch):
            rng = np.random.default_rng([seed, BATCH, step, place])
            site = self.hosts.draw(step // self.steps, rng, step * self.batch + place)
            patches.append({**self.host(site, rng), **self.real(rng), "place": np.array(place)})
        return {name: np.stack([patch[name] for patch in patches]) for name in patches[0]}

    def host(self, site: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a patch of a site: HOST_VOLUMES and its case's n_norm."""
        return {**patch_of(site, HOST_VOLUMES, self.pieces.size, CENTRED, rng), "n_norm": site["n_norm"]}

    def real(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a patch of a real case with a tumour: REAL_VOLUMES, all named real_..."""
        piece = self.reals[int(rng.integers(len(self.pieces.donors)))]
        volumes = patch_of(piece, REAL_VOLUMES, self.pieces.size, CENTRED, rng)
        return {f"real_{name}": volume for name, volume in volumes.items()}


@dataclass(frozen=True)
class Host:
    """Hosts' patches, before a tumour is put in; intensities are z, as nnU-Net normalises."""

    image: Tensor  # (B, C, Z, Y, X)
    tumour: Tensor  # (B, Z, Y, X) the map of what is put in
    own: Tensor  # (B, Z, Y, X) the hosts' own tumours
    soft: Tensor  # (B, Z, Y, X) the soft map
    texture: Tensor  # (B, Z, Y, X)
    body: Tensor  # (B, Z, Y, X) bool
    organ: Tensor  # (B, Z, Y, X) bool
    n_norm: Tensor  # (B,) voxels that each whole case is normalised over

    @classmethod
    def of(
        cls, batch: Mapping[str, Tensor], device: torch.device, spacing: Spacing, stream: Sequence[int] | None
    ) -> "Host":
        """Return a batch's hosts on the device, augmented by a stream of random numbers; None: as they are."""
        host = cls(*(to_device(batch[name], device) for name in (*HOST_VOLUMES, "n_norm")))
        return host if stream is None else host.augmented(affines_of(batch, stream, spacing), spacing)

    def augmented(self, affines: Sequence[RandomAffine], spacing: Spacing) -> "Host":
        """Return the same patches, each moved by its affine."""
        image, soft, texture = moved((self.image, self.soft, self.texture), affines, spacing)
        tumour, own, body, organ = moved(
            (self.tumour, self.own, self.body, self.organ), affines, spacing, nearest=True
        )  # fmt: skip
        return replace(
            self, image=image, soft=soft, texture=texture, tumour=tumour, own=own, body=body, organ=organ
        )  # fmt: skip
