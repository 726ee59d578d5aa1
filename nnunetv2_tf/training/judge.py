"""A fresh judge: a small network that learns to tell real tumours from made ones, and is asked about others.

What a method was trained against it may have learnt to please; a judge that begins anew has no such past.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool3d, binary_cross_entropy_with_logits, leaky_relu

from nnunetv2_tf.geometry.boxes import overlap

SLOPE = 0.1  # of the leaky rectifiers


@dataclass(frozen=True)
class JudgeConfig:
    """How a judge learns, in some seconds on one core."""

    size: int = 20  # voxels of a patch along each axis
    features: tuple[int, int] = (8, 8)
    steps: int = 150
    batch: int = 16  # half of them real
    rate: float = 2e-3
    decay: float = 0.1
    dropout: float = 0.3
    asked: int = 8  # patches of an example that is judged; their logits are averaged


@dataclass(frozen=True)
class Shown:
    """What a judge sees of one tumour."""

    image: np.ndarray  # (C, z, y, x), 0 out of view
    tumour: np.ndarray  # (z, y, x) bool
    view: np.ndarray  # (z, y, x) bool

    @cached_property
    def places(self) -> np.ndarray:
        """(n, 3): the tumour's voxels."""
        return np.argwhere(self.tumour)


class Judge(nn.Module):
    """Two convolutions, a logit: above 0 for made.

    What it decides by are means of both layers' features in the tumour and around it, and standard deviations of the
    first one's: texture, and nothing of shape or place. With a dozen tumours to learn from, larger networks learn
    patients by heart.
    """

    def __init__(self, channels: int, config: JudgeConfig) -> None:
        super().__init__()
        fine, coarse = config.features
        self.fine = nn.Conv3d(channels + 1, fine, 3, padding=1)
        self.coarse = nn.Conv3d(fine, coarse, 3, stride=2, padding=1)
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(4 * fine + 2 * coarse, 1))

    def forward(self, image: Tensor, view: Tensor) -> Tensor:
        """Return (B,): logits of patches (B, C + 1, z, y, x), the tumour map last, in a view (B, 1, z, y, x)."""
        tumour = image[:, -1:]
        fine = leaky_relu(self.fine(image), SLOPE)
        coarse = leaky_relu(self.coarse(fine), SLOPE)
        described = []
        for features in (fine, coarse):
            for place in (tumour, view - tumour):
                size = tuple(features.shape[2:])
                share = adaptive_avg_pool3d(place, size)  # pyright: ignore[reportArgumentType]
                mean = _mean(features, share)
                described.append(mean)
                if features is fine:
                    squared = _mean((features - mean[..., None, None, None]) ** 2, share)
                    described.append((squared + 1e-6).sqrt())
        return self.head(torch.cat(described, dim=1))[:, 0]


def _mean(features: Tensor, share: Tensor) -> Tensor:
    """Return (B, F): the mean of features (B, F, z, y, x) over places, weighted by (B, 1, z, y, x)."""
    return (features * share).sum(dim=(2, 3, 4)) / share.sum(dim=(2, 3, 4)).clamp_min(1e-6)


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
    with torch.random.fork_rng(devices=[]):  # weights and dropout draw from torch's own generator
        torch.manual_seed(int(rng.integers(2**31)))
        judge = _trained(seen, made, rng, config)
    with torch.no_grad():
        return np.array([float(judge(*_batch([one] * config.asked, config.size, rng)).mean()) for one in asked])


def _trained(seen: Sequence[Shown], made: Sequence[bool], rng: np.random.Generator, config: JudgeConfig) -> Judge:
    judge = Judge(len(seen[0].image), config)
    optimiser = torch.optim.AdamW(judge.parameters(), config.rate, weight_decay=config.decay)
    sides = [[one for one, is_made in zip(seen, made, strict=True) if is_made == which] for which in (False, True)]
    target = torch.tensor([0.0, 1.0]).repeat_interleave(config.batch // 2)
    for _ in range(config.steps):
        drawn = [side[rng.integers(len(side))] for side in sides for _ in range(config.batch // 2)]
        loss = binary_cross_entropy_with_logits(judge(*_batch(drawn, config.size, rng)), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return judge.eval()


def _batch(drawn: Sequence[Shown], size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return patches (B, C + 1, z, y, x), the tumour map as last channel, and views (B, 1, z, y, x)."""
    patches = [_patch(one, size, rng) for one in drawn]
    images, views = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*patches, strict=True))
    return images, views


def _patch(one: Shown, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut a patch around a random voxel of the tumour, turned left to right in half of the cases."""
    start = one.places[rng.integers(len(one.places))] - size // 2
    in_volume, in_patch = overlap(start, (size,) * 3, one.tumour.shape)
    patch = np.zeros((len(one.image) + 2, size, size, size), np.float32)
    for channel, volume in enumerate([*one.image, one.tumour, one.view]):
        patch[(channel, *in_patch)] = volume[in_volume]
    if rng.random() < 0.5:
        patch = patch[..., ::-1]
    return np.ascontiguousarray(patch[:-1]), np.ascontiguousarray(patch[-1:])
