"""How long does refining a case take, against the bare forward pass of its generator?

    python -m benchmarks.refinement_time [-device cuda] [-patch 64] [-channels 1] [-pairs 8]

A whole case with a tumour that fits into one patch; random weights; networks as wide as nnU-Net's. The reference runs
the generator on one patch that is on the device already. Ours is all that stage 2 does with a coarse case in memory,
up to the refined one in memory: cutting, both ranges, the rim, putting back. Interleaved pairs. Goal: at most 1.3 times
the reference on a CPU; on a GPU, seconds per case of 128 voxels, at most 0.5.
"""

import sys
from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch

from benchmarks.ratios import interleaved
from benchmarks.tf_gan_step import batch_of, design_of, parser_for
from nnunetv2_tf.methods.base import Edited, Method, Site
from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.method import STAGE1, TFGAN
from nnunetv2_tf.methods.tf_gan.networks import Generator

CASE = (155, 190, 150)  # voxels of a head at 1 mm
GOAL, SECONDS = 1.3, 0.5


class Coarse(Method):
    """A stage 1 that costs nothing."""

    def edit(self, sites: Sequence[Site], rngs: Sequence[np.random.Generator]) -> list[Edited]:  # noqa: ARG002
        """Return the sites as they are."""
        return [Edited(site.image, site.label, 3.0) for site in sites]


def site_of(patch: int, channels: int) -> Site:
    """Return a case with the tumour of benchmarks.tf_gan_step in its middle."""
    ball = batch_of(patch, channels, 0)["tumour"][0]
    image, organ = torch.randn(channels, *CASE), torch.zeros(CASE, dtype=torch.bool)
    tumour = torch.zeros(CASE, dtype=torch.int16)
    room = tuple(slice((whole - patch) // 2, (whole - patch) // 2 + patch) for whole in CASE)
    organ[8:-8, 8:-8, 8:-8] = True
    tumour[room] = ball
    return Site(image, torch.zeros_like(tumour), organ, tumour, (), (1.0, 1.0, 1.0), organ, int(organ.sum()))


def main() -> int:
    """Print the comparison; return 1 when the goal is missed, else 0."""
    parser = parser_for(__doc__, 8)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    design = design_of(arguments.patch, arguments.channels, tuple(arguments.features))
    method = TFGAN(PRESETS["default"], device, {STAGE1: Coarse(None, device, {})})
    method.generator = Generator(design).to(device).eval().requires_grad_(False)
    torch.nn.init.normal_(method.generator.network.head.weight)
    site = site_of(arguments.patch, arguments.channels)
    size = (1, arguments.patch, arguments.patch, arguments.patch)
    x_s_, m_s = (torch.randn(1, number, *size[1:], device=device) for number in (arguments.channels, 3))

    def bare() -> float:
        start = perf_counter()
        with torch.no_grad():
            method.generator(x_s_, m_s)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return perf_counter() - start

    seconds: list[float] = []

    def ours() -> float:
        start = perf_counter()
        method.edit([site], [np.random.default_rng(0)])
        seconds.append(perf_counter() - start)
        return seconds[-1]

    for once in (bare, ours):
        once()
    seconds.clear()
    ratio = interleaved(bare, ours, arguments.pairs)
    middle = float(np.median(seconds))
    print(f"refining a case of {' x '.join(map(str, CASE))} voxels in a patch of {arguments.patch}, {device.type}:")
    print(f"{ratio} (goal on a CPU: at most {GOAL}); {middle:.3f} s a case (goal on a GPU at 128: {SECONDS} s)")
    return int(ratio.median > GOAL if device.type == "cpu" else middle > SECONDS)


if __name__ == "__main__":
    sys.exit(main())
