"""Coarse images refined by a generator. In: whole cases, and the box that may change. Out: what is in the box then.

Where all that may change fits into one patch it is one patch, which is what the generator was trained on. Else tiles
overlap by half and are weighed by a Gaussian. Each tile by itself would be normalised by its own mean and standard
deviation, and tiles would disagree where they meet; so these are measured first, over all tiles, and shared.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from nnunetv2_tf.baseline.crops import Box
from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.methods.tf_gan.networks import Generator, one_hot

OVERLAP = 0.5  # of a patch
WIDTH = 1 / 8  # of a patch, standard deviation of its weights
LEAST = 1e-3  # weight at a patch's corners


@torch.no_grad()
def refine(generator: Generator, coarse: Tensor, site: Site, box: Box) -> Tensor:
    """The refined image in a box, (C, z, y, x); all that is worked out is in the box, and in tiles that cover it.

    Args:
        generator: ready for use
        coarse: (C, Z, Y, X) the coarse image of the whole case, z
        site: whose body, organ and tumour map are used
        box: what may change
    """
    design = generator.design
    rim = [round(design.rim_mm / step) for step in design.spacing]
    around = tuple(
        slice(max(0, one.start - more), min(whole, one.stop + more))
        for one, more, whole in zip(box, rim, coarse.shape[1:], strict=True)
    )
    inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, around, strict=True))
    deep = generator.depth(site.organ[around][None])[(slice(None), *inner)]
    added = added_by(generator, coarse, site, box)
    return generator.refined(coarse[(slice(None), *box)][None], added[None], deep)[0]


@torch.no_grad()
def added_by(generator: Generator, coarse: Tensor, site: Site, box: Box) -> Tensor:
    """What the generator adds in a box, (C, z, y, x), in [-1, 1]; arguments as of `refine`."""
    design, device = generator.design, next(generator.parameters()).device
    size, shape = design.levels.patch, coarse.shape[1:]
    starts = tile_starts(box, shape, size)

    def tiles() -> Iterator[tuple[Tensor, Tensor]]:
        for start in starts:
            image, body, tumour = (
                _tile(volume, start, size)[None].to(device) for volume in (coarse, site.body[None], site.tumour[None])
            )
            yield design.domain.into(image, body[:, 0]), one_hot(tumour[:, 0], design.classes)

    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)  # a GPU comes to the same
    with exact, _shared_statistics(generator, tiles() if len(starts) > 1 else None):
        weight = _weights(size) if len(starts) > 1 else torch.ones(size)
        total = torch.zeros(len(coarse), *(one.stop - one.start for one in box))
        weights = torch.zeros(total.shape[1:])
        for start, tile in zip(starts, tiles(), strict=True):
            found = generator(*tile)[0].cpu()
            here, own = _overlap(start, size, box)
            total[(slice(None), *here)] += (found * weight)[(slice(None), *own)]
            weights[here] += weight[own]
    return total / weights.clamp_min(1e-12)


def tile_starts(box: Box, shape: Sequence[int], size: Sequence[int]) -> list[tuple[int, ...]]:
    """The first voxel of each tile; one, with what may change in its middle, where that fits."""
    axes = []
    for one, whole, extent in zip(box, shape, size, strict=True):
        if one.stop - one.start <= extent:
            start = (one.start + one.stop - extent) // 2  # as `cut` moves it
            axes.append([int(np.clip(start, min(0, whole - extent), max(0, whole - extent)))])
        else:
            number = int(np.ceil((one.stop - one.start - extent) / (extent * OVERLAP))) + 1
            axes.append(np.rint(np.linspace(one.start, one.stop - extent, number)).astype(int).tolist())
    return list(product(*axes))


def borders(starts: Sequence[Sequence[int]], size: Sequence[int]) -> list[set[int]]:
    """By axis, the first voxels of tiles, and the first beyond them: where a seam would be."""
    return [
        {start[axis] for start in starts} | {start[axis] + extent for start in starts}
        for axis, extent in enumerate(size)
    ]


def _tile(volume: Tensor, start: Sequence[int], size: Sequence[int]) -> Tensor:
    """(C, z, y, x) of (C, Z, Y, X); 0, which is no body, beyond the image."""
    tile = volume.new_zeros(len(volume), *size)
    there, own = _overlap(start, size, tuple(slice(0, whole) for whole in volume.shape[1:]))
    tile[(slice(None), *own)] = volume[(slice(None), *there)]
    return tile


def _overlap(start: Sequence[int], size: Sequence[int], box: Box) -> tuple[Box, Box]:
    """Where a tile lies in a box, and which part of the tile that is."""
    low = [max(one.start, first) for one, first in zip(box, start, strict=True)]
    high = [min(one.stop, first + extent) for one, first, extent in zip(box, start, size, strict=True)]
    here = tuple(slice(a - one.start, b - one.start) for a, b, one in zip(low, high, box, strict=True))
    own = tuple(slice(a - first, b - first) for a, b, first in zip(low, high, start, strict=True))
    return here, own


def _weights(size: Sequence[int]) -> Tensor:
    """(Z, Y, X): a Gaussian, nowhere 0."""
    found = torch.ones(())
    for extent in size:
        places = (torch.arange(extent) - (extent - 1) / 2) / (extent * WIDTH)
        found = found[..., None] * torch.exp(-places.square() / 2)
    return found.clamp_min(LEAST)


@contextmanager
def _shared_statistics(generator: Generator, tiles: Iterator[tuple[Tensor, Tensor]] | None) -> Iterator[None]:
    """While it lasts, instance norms use the mean and variance over all tiles; without any they are as in training."""
    norms = [module for module in generator.modules() if isinstance(module, nn.InstanceNorm3d)]
    if tiles is None:
        yield
        return
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}
    watches = [
        norm.register_forward_pre_hook(lambda module, given: seen[module].append(_moments(given[0]))) for norm in norms
    ]
    for tile in tiles:
        generator(*tile)
    for watch in watches:
        watch.remove()
    try:
        for norm in norms:
            mean, square = (torch.stack(several).mean(dim=0) for several in zip(*seen[norm], strict=True))
            norm.running_mean, norm.running_var = mean, square - mean.square()
            norm.track_running_stats = True
        yield
    finally:
        for norm in norms:
            norm.running_mean = norm.running_var = None
            norm.track_running_stats = False


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """(F,) each: mean and mean square over a tile."""
    return x.mean(dim=(0, 2, 3, 4)), x.square().mean(dim=(0, 2, 3, 4))
