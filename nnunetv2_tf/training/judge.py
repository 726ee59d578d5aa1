"""A fresh judge: a small network that learns to tell real tumours from made ones, and is asked about others.

What a method was trained against it may have learnt to please; a judge that begins anew has no such past.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool3d, binary_cross_entropy_with_logits


@dataclass(frozen=True)
class JudgeConfig:
    """How a judge learns, in a quarter of a minute on one core."""

    size: int = 20  # voxels of a patch along each axis
    features: tuple[int, ...] = (12, 24, 32)
    steps: int = 150
    batch: int = 16  # half of them real
    rate: float = 2e-3
    decay: float = 1e-2
    asked: int = 8  # patches of an example that is judged; their logits are averaged


@dataclass(frozen=True)
class Shown:
    """What a judge sees of one tumour."""

    image: np.ndarray  # (C, z, y, x), 0 out of view
    tumour: np.ndarray  # (z, y, x) bool
    view: np.ndarray  # (z, y, x) bool


class Judge(nn.Module):
    """Three convolutions, a mean over what is in view, a logit: above 0 for made."""

    def __init__(self, channels: int, config: JudgeConfig) -> None:
        super().__init__()
        widths = (channels + 1, *config.features)
        self.layers = nn.ModuleList(
            nn.Conv3d(before, after, 3, stride=1 if index == 0 else 2, padding=1)
            for index, (before, after) in enumerate(pairwise(widths))
        )
        self.head = nn.Linear(config.features[-1], 1)

    def forward(self, image: Tensor, view: Tensor) -> Tensor:
        """Return (B,): logits of patches (B, C + 1, z, y, x); only places in view (B, 1, z, y, x) count."""
        features = image
        for layer in self.layers:
            features = nn.functional.leaky_relu(layer(features), 0.1)
        size = tuple(features.shape[2:])
        share = adaptive_avg_pool3d(view, size)  # pyright: ignore[reportArgumentType]
        mean = (features * share).sum(dim=(2, 3, 4)) / share.sum(dim=(2, 3, 4)).clamp_min(1e-6)
        return self.head(mean)[:, 0]


def judged(
    seen: Sequence[Shown],
    made: Sequence[bool],
    asked: Sequence[Shown],
    rng: np.random.Generator,
    config: JudgeConfig,
) -> np.ndarray:
    """Train a judge, and return (A,) how made it finds others.

    Args:
        seen: what it learns from
        made: which of them are made
        asked: A others
        rng: draws weights, patches and flips
        config: how it learns
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        judge = Judge(len(seen[0].image), config)
    optimiser = torch.optim.AdamW(judge.parameters(), config.rate, weight_decay=config.decay)
    sides = [[one for one, is_made in zip(seen, made, strict=True) if is_made == which] for which in (False, True)]
    target = torch.tensor([0.0, 1.0]).repeat_interleave(config.batch // 2)
    for _ in range(config.steps):
        drawn = [side[rng.integers(len(side))] for side in sides for _ in range(config.batch // 2)]
        image, view = _batch(drawn, config.size, rng)
        loss = binary_cross_entropy_with_logits(judge(image, view), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    judge.eval()
    with torch.no_grad():
        return np.array([float(judge(*_batch([one] * config.asked, config.size, rng)).mean()) for one in asked])


def _batch(drawn: Sequence[Shown], size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return patches (B, C + 1, z, y, x), the tumour map as last channel, and views (B, 1, z, y, x)."""
    patches = [_patch(one, size, rng) for one in drawn]
    images, views = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*patches, strict=True))
    return images, views


def _patch(one: Shown, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut a patch around a random voxel of the tumour, turned left to right in half of the cases."""
    stacked = np.concatenate([one.image, one.tumour[None], one.view[None]]).astype(np.float32)
    inside = np.argwhere(one.tumour)
    corner = inside[rng.integers(len(inside))]  # of the padded volume: the voxel comes to lie in the patch's middle
    half = size // 2
    padded = np.pad(stacked, [(0, 0), *[(half, size - half)] * 3])
    z, y, x = (int(start) for start in corner)
    patch = padded[:, z : z + size, y : y + size, x : x + size]
    if rng.random() < 0.5:
        patch = patch[..., ::-1]
    return np.ascontiguousarray(patch[:-1]), np.ascontiguousarray(patch[-1:])
