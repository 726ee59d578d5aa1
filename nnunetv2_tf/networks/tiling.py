"""Tiled inference. In: a network, its inputs per tile, a box that one patch may not cover. Out: its output there.

A box that fits into one patch is one tile, as in training. Else tiles overlap by half and are weighted by a Gaussian.
Instance norms would normalise each tile by its own mean and standard deviation, and tiles would disagree where they
meet; so these are measured first, over all tiles, and shared.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from nnunetv2_tf.geometry.boxes import Box, overlap, shape_of

OVERLAP = 0.5  # of a patch
WIDTH = 1 / 8  # of a patch, standard deviation of its weights
LEAST = 1e-3  # weight at a patch's corners

Start = tuple[int, ...]  # first voxel of a tile


@torch.no_grad()
def apply_tiled(
    network: nn.Module, inputs: Callable[[Start], tuple[Tensor, ...]], box: Box, shape: Sequence[int], size: Start
) -> Tensor:
    """Return the output of a network in a box, (C, z, y, x), on the CPU.

    Args:
        network: in evaluation mode; its output is (1, C, *size)
        inputs: from the first voxel of a tile, which may lie beyond the image's edge, to the network's inputs
        box: where the output is wanted
        shape: (Z, Y, X) of the image
        size: of a tile
    """
    starts = tile_starts(box, shape, size)
    tiled = len(starts) > 1
    tiles = (inputs(start) for start in starts)
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)  # reproducible on a GPU
    with exact, _shared_statistics(network, tiles if tiled else None):
        weight = _weights(size) if tiled else torch.ones(size)
        total, weights = torch.zeros(()), torch.zeros(shape_of(box))
        for start in starts:
            output = network(*inputs(start))[0].cpu()
            in_box, in_tile = overlap(np.subtract(start, [part.start for part in box]), size, weights.shape)
            if not total.ndim:
                total = torch.zeros(len(output), *weights.shape)
            total[(slice(None), *in_box)] += (output * weight)[(slice(None), *in_tile)]
            weights[in_box] += weight[in_tile]
    return total / weights.clamp_min(1e-12)


def tile_starts(box: Box, shape: Sequence[int], size: Sequence[int]) -> list[Start]:
    """Return the first voxel of each tile; a single tile, with the box in its middle, where the box fits into it."""
    axes = []
    for part, whole, extent in zip(box, shape, size, strict=True):
        if part.stop - part.start <= extent:
            start = (part.start + part.stop - extent) // 2  # shifted at edges as by `geometry.boxes.cut`
            axes.append([int(np.clip(start, min(0, whole - extent), max(0, whole - extent)))])
        else:
            number = int(np.ceil((part.stop - part.start - extent) / (extent * OVERLAP))) + 1
            axes.append(np.rint(np.linspace(part.start, part.stop - extent, number)).astype(int).tolist())
    return list(product(*axes))


def borders(starts: Sequence[Start], size: Sequence[int]) -> list[set[int]]:
    """Return by axis the first voxels of tiles, and the first voxels behind them: where a seam would be."""
    return [
        {start[axis] for start in starts} | {start[axis] + extent for start in starts}
        for axis, extent in enumerate(size)
    ]


def tile_of(volume: Tensor, start: Start, size: Sequence[int]) -> Tensor:
    """Return a tile (C, z, y, x) of a volume (C, Z, Y, X); 0 beyond the image."""
    tile = volume.new_zeros(len(volume), *size)
    in_volume, in_tile = overlap(start, size, volume.shape[1:])
    tile[(slice(None), *in_tile)] = volume[(slice(None), *in_volume)]
    return tile


def _weights(size: Sequence[int]) -> Tensor:
    """Return the weights of a tile's voxels, (Z, Y, X): a Gaussian, nowhere 0."""
    weights = torch.ones(())
    for extent in size:
        places = (torch.arange(extent) - (extent - 1) / 2) / (extent * WIDTH)
        weights = weights[..., None] * torch.exp(-places.square() / 2)
    return weights.clamp_min(LEAST)


@contextmanager
def _shared_statistics(network: nn.Module, tiles: Iterable[tuple[Tensor, ...]] | None) -> Iterator[None]:
    """Let instance norms use the mean and variance over all tiles; without tiles those of the input, as in training."""
    norms = [module for module in network.modules() if isinstance(module, nn.InstanceNorm3d)]
    if tiles is None:
        yield
        return
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}
    watches = [
        norm.register_forward_pre_hook(lambda module, given: seen[module].append(_moments(given[0]))) for norm in norms
    ]
    for tile in tiles:
        network(*tile)
    for watch in watches:
        watch.remove()
    try:
        for norm in norms:
            mean, square = (torch.stack(moments).mean(dim=0) for moments in zip(*seen[norm], strict=True))
            norm.running_mean, norm.running_var = mean, square - mean.square()
            norm.track_running_stats = True
        yield
    finally:
        for norm in norms:
            norm.running_mean = norm.running_var = None
            norm.track_running_stats = False


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the mean square of each feature over a tile, (F,) each."""
    return x.mean(dim=(0, 2, 3, 4)), x.square().mean(dim=(0, 2, 3, 4))
