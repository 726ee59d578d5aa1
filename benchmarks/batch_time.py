"""How long does a batch of TF-GAN's training take to be made, and how many workers does a fast step want?

    python -m benchmarks.batch_time FOLDER [-d 531 -healthy 631 -p nnUNetPlans_1mm] [-patch 128] [-pairs 12]

FOLDER as of benchmarks.coarse_time. One thread, one process. Ours makes a batch as the default's training does: two
sites with a coarse tumour each (tf_aug's default, a and b typed in), and two real cases; of each a patch is cut. First
from a pool, whose pieces are there; then with every site made anew (host, model and donor are read, the tumour is
placed, the host harmonised, the tumour made). The reference only reads two healthy and six real cases, image and label,
from the same folders. Interleaved pairs. Goal: at most 3 times the reference from the pool.
"""

import cProfile
import pstats
import resource
import sys
import tempfile
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from benchmarks.coarse_time import cohort_arguments, hosts_of, read_stored, typed_in
from benchmarks.ratios import Ratio, interleaved
from nnunetv2_tf.io.workers import use_one_thread
from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.patches import Patches, Pieces, distance_clip
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.training.pool import Pool, PoolFolder
from nnunetv2_tf.tumours.sampling_config import USUAL

STEPS = (0.25, 0.5, 1.0)  # seconds
SHOWN = 16
GOAL, SITES = 3.0, 12


def patches_of(hosts: HealthyHostPool, folder: Path, size: int, sites: int | None) -> Patches:
    """Return the patches that a fit of the default trains on, with so many sites in its pool, or none."""
    config = PRESETS["default"]
    stage1 = typed_in(hosts.cohort.dataset, folder).load(torch.device("cpu"))
    donors = [case for case in hosts.cohort.training.values() if case.has_tumour()]
    sample_site = partial(hosts.sample_site, stage1.pastes)
    spacing = hosts.cohort.plan.manager.spacing
    clip = distance_clip(config.reach(spacing), spacing)
    pieces = Pieces(sample_site, stage1, donors, (size,) * 3, clip, config.centred < 1, 0)
    pool = PoolFolder(folder, "batch_time")
    fakes, reals = Pool(pieces.fake, sites, 0, pool / "sites"), Pool(pieces.real, len(donors), 0, pool / "real")
    learnt = range(len(donors))
    return Patches(
        pieces, fakes, reals, learnt, config.centred, config.batch, learnt[: config.batch], config.iterations
    )


def main() -> int:
    """Print how long a batch takes, and how many workers keep up with a step; return 1 when the goal is missed."""
    parser = cohort_arguments(__doc__ or "")
    parser.add_argument("-patch", type=int, default=128, help="voxels along an axis (default: %(default)s)")
    parser.add_argument("-pairs", type=int, default=12, help="default: %(default)s")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    use_one_thread()
    hosts, numbers = replace(hosts_of(arguments), sampling=USUAL), count()
    healthy, real = (list(cases.values()) for cases in (hosts.cases, hosts.cohort.training))

    def reference() -> float:
        first, several = next(numbers), ((healthy, 2), (real, 6))
        chosen = [cases[(first + k) % len(cases)] for cases, number in several for k in range(number)]
        start = perf_counter()
        read_stored(chosen)
        return perf_counter() - start

    def compared(patches: Patches) -> Ratio:
        """Compare with the reference, when what is measured once and kept has been."""
        for _ in range(4):
            patches(next(numbers))

        def make() -> float:
            start = perf_counter()
            patches(next(numbers))
            return perf_counter() - start

        return interleaved(reference, make, arguments.pairs)

    with tempfile.TemporaryDirectory() as scratch:
        pooled, anew = (patches_of(hosts, Path(scratch), arguments.patch, sites) for sites in (SITES, None))
        for pool in (pooled.fakes, pooled.reals):
            list(pool.fill(1, "Filling"))
        sizes = [path.stat().st_size for path in (Path(scratch) / "sites").iterdir()]
        from_pool, without = compared(pooled), compared(anew)
        with cProfile.Profile() as profile:
            for _ in range(4):
                pooled(next(numbers))
    pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats("nnunetv2_tf", SHOWN)
    for what, ratio in ((f"from a pool (goal: at most {GOAL:g})", from_pool), ("every site anew", without)):
        seconds = ratio.median * ratio.reference
        wanted = ", ".join(f"{seconds / step:.1f} for steps of {step:g} s" for step in STEPS)
        print(f"{what}: {ratio}; {seconds:.2f} s of a core; workers that keep up: {wanted}")
    print(f"a piece of the pool takes {np.mean(sizes) / 1e6:.1f} MB")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    return 0 if from_pool.median <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
