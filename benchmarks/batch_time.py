"""How long does a batch of TF-GAN's training take to be made, and how many workers does a fast step want?

    python -m benchmarks.batch_time FOLDER [-patch 128] [-pairs 12]

FOLDER is that of benchmarks.placement: real and healthy scans at 1 mm. One thread, one process. Ours makes a batch as
the default's training does: two healthy hosts with a tumour each (host, model and donor are read, the tumour is placed,
the host harmonised, the tumour made by tf_aug's default, a and b typed in), and two real cases; of each a patch is cut.
The reference only reads two healthy and six real cases, image and label, from the same folders. Interleaved pairs.
"""

import argparse
import cProfile
import pstats
import sys
import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter

import torch

from benchmarks.coarse_time import read_stored, typed_in
from benchmarks.placement import prepared
from benchmarks.ratios import interleaved
from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.patches import Patches
from nnunetv2_tf.synthesis.host_pool import HealthyHostPool

STEPS = (0.25, 0.5, 1.0)  # seconds
SHOWN = 16


def patches_of(hosts: HealthyHostPool, folder: Path, size: int) -> Patches:
    """Return the patches that a fit of the default trains on."""
    config = PRESETS["default"]
    stage1 = typed_in(hosts.cohort.dataset, folder).load(torch.device("cpu"))
    donors = [case for case in hosts.cohort.training.values() if case.has_tumour()]
    return Patches(
        partial(hosts.sample_site, stage1.pastes), stage1, donors, (size,) * 3,
        config.distance_clip_mm, config.centred, range(config.batch), 0,
    )  # fmt: skip


def main() -> None:
    """Print how long a batch takes, where the time goes, and how many workers keep up with a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-patch", type=int, default=128, help="voxels along an axis (default: %(default)s)")
    parser.add_argument("-pairs", type=int, default=12, help="default: %(default)s")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    hosts, numbers = prepared(arguments.root.resolve()), count()
    healthy, real = (list(cases.values()) for cases in (hosts.cases, hosts.cohort.training))
    with tempfile.TemporaryDirectory() as scratch:
        patches = patches_of(hosts, Path(scratch), arguments.patch)

        def make() -> float:
            start = perf_counter()
            patches(next(numbers))
            return perf_counter() - start

        def reference() -> float:
            first, several = next(numbers), ((healthy, 2), (real, 6))
            chosen = [cases[(first + k) % len(cases)] for cases, number in several for k in range(number)]
            start = perf_counter()
            read_stored(chosen)
            return perf_counter() - start

        for _ in range(4):
            make()  # what is measured once and kept, is kept now
        ratio = interleaved(reference, make, arguments.pairs)
        with cProfile.Profile() as profile:
            for _ in range(4):
                make()
    seconds = ratio.median * ratio.reference
    wanted = ", ".join(f"{seconds / step:.0f} for steps of {step:g} s" for step in STEPS)
    print(f"{ratio}")
    print(f"a batch takes about {seconds:.2f} s of a core; workers that keep up: {wanted}")
    pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats("nnunetv2_tf", SHOWN)


if __name__ == "__main__":
    main()
