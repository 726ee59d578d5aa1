"""Does a tumour's map say what is drawn? In: a method, sites, real voxels of each class. Out: lines that say it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from tqdm import tqdm

from nnunetv2_tf.methods.base import Method, Site


def conditioned(
    method: Method, sites: Sequence[Site], seeds: Sequence[int], real: Mapping[int, np.ndarray]
) -> list[str]:
    """Draw each tumour as one class, as another, and not at all; return how far apart classes are drawn.

    Args:
        method: that draws
        sites: where
        seeds: of each site; all classes are drawn from the same noise
        real: the brightness of real voxels of each class
    """
    means: dict[int, list[float]] = {value: [] for value in real}
    unchanged = True
    for site, seed in tqdm(list(zip(sites, seeds, strict=True)), "Conditioning", unit="site"):
        inside = site.tumour > 0
        for value in real:
            called = replace(site, tumour=torch.where(inside, value, 0).to(site.tumour.dtype))
            (edited,) = method.edit([called], [np.random.default_rng(seed)])
            means[value].append(float(edited.image[0][inside].mean()))
        nothing = replace(site, tumour=torch.zeros_like(site.tumour))
        (edited,) = method.edit([nothing], [np.random.default_rng(seed)])
        unchanged &= torch.equal(edited.image, site.image) and torch.equal(edited.label, site.label)
    lines = [f"an empty map changes {'nothing' if unchanged else 'SOMETHING'}"]
    for one, other in combinations(real, 2):
        if not len(real[one]) or not len(real[other]):
            continue
        spread = np.sqrt((real[one].var() + real[other].var()) / 2)
        drawn = np.subtract(means[one], means[other]) / spread
        apart = (real[one].mean() - real[other].mean()) / spread
        lines.append(
            f"label {one} less label {other}: drawn {drawn.mean():+.2f} sd ({drawn.min():+.2f} to {drawn.max():+.2f}), "
            f"real {apart:+.2f} sd"
        )
    return lines
