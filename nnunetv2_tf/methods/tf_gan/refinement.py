"""Coarse images refined by a generator. In: whole cases. Out: what it adds, one patch or blended tiles.

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

from nnunetv2_tf.baseline.crops import cut
from nnunetv2_tf.methods.tf_gan.networks import Generator

OVERLAP = 0.5  # of a patch
WIDTH = 1 / 8  # of a patch, standard deviation of its weights
LEAST = 1e-3  # weight at a patch's corners


@torch.no_grad()
def added_by(generator: Generator, x_s_: Tensor, m_s: Tensor, where: Tensor) -> Tensor:
    """What the generator adds to a coarse image, (C, Z, Y, X); 0 where no tile lies.

    Args:
        generator: ready for use
        x_s_: (C, Z, Y, X) the coarse image, in [-1, 1]
        m_s: (K, Z, Y, X) the tumour map
        where: (Z, Y, X) bool: what may change
    """
    size = generator.design.levels.patch
    starts = tile_starts(where.numpy(), size)
    tiles = [_tile(x_s_, m_s, start, size) for start in starts]
    device = next(generator.parameters()).device
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)  # a GPU comes to the same
    with exact, _shared_statistics(generator, tiles, device):
        weight = _weights(size) if len(tiles) > 1 else torch.ones(tuple(size))
        total, weights = torch.zeros_like(x_s_), torch.zeros(x_s_.shape[1:])
        for start, (image, tumour) in zip(starts, tiles, strict=True):
            found = generator(image.to(device), tumour.to(device))[0].cpu()
            here, own = _overlap(start, size, x_s_.shape[1:])
            total[(slice(None), *here)] += (found * weight)[(slice(None), *own)]
            weights[here] += weight[own]
    return total / weights.clamp_min(1e-12)


def tile_starts(where: np.ndarray, size: Sequence[int]) -> list[tuple[int, ...]]:
    """The first voxel of each tile; one, with what may change in its middle, where that fits."""
    found = np.argwhere(where)
    low, high = found.min(axis=0), found.max(axis=0) + 1
    axes = []
    for first, last, whole, extent in zip(low, high, where.shape, size, strict=True):
        if last - first <= extent:
            start = (first + last - extent) // 2  # as `cut` moves it
            axes.append([int(np.clip(start, min(0, whole - extent), max(0, whole - extent)))])
        else:
            number = int(np.ceil((last - first - extent) / (extent * OVERLAP))) + 1
            axes.append(np.rint(np.linspace(first, last - extent, number)).astype(int).tolist())
    return list(product(*axes))


def borders(starts: Sequence[Sequence[int]], size: Sequence[int]) -> list[set[int]]:
    """By axis, the first voxels of tiles, and the first beyond them: where a seam would be."""
    return [
        {start[axis] for start in starts} | {start[axis] + extent for start in starts}
        for axis, extent in enumerate(size)
    ]


def _tile(x_s_: Tensor, m_s: Tensor, start: Sequence[int], size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """(1, C, z, y, x) and (1, K, z, y, x); beyond the image all is dark."""
    centre = np.array(start) + np.array(size) // 2
    inside, image, tumour = (
        torch.from_numpy(cut(volume, centre, size))[None]
        for volume in (np.ones((1, *x_s_.shape[1:]), bool), x_s_.numpy(), m_s.numpy())
    )
    return torch.where(inside, image, torch.full_like(image, -1.0)), tumour


def _overlap(
    start: Sequence[int], size: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a tile lies in the image, and which part of it that is."""
    low = [max(0, first) for first in start]
    high = [min(whole, first + extent) for first, extent, whole in zip(start, size, shape, strict=True)]
    here = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
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
def _shared_statistics(
    generator: Generator, tiles: Sequence[tuple[Tensor, Tensor]], device: torch.device
) -> Iterator[None]:
    """While it lasts, instance norms use the mean and variance over all tiles; one tile is as in training."""
    norms = [module for module in generator.modules() if isinstance(module, nn.InstanceNorm3d)]
    if len(tiles) == 1:
        yield
        return
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}
    watches = [
        norm.register_forward_pre_hook(lambda module, given: seen[module].append(_moments(given[0]))) for norm in norms
    ]
    for image, tumour in tiles:
        generator(image.to(device), tumour.to(device))
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
