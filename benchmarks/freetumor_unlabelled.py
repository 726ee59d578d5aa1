"""Does FreeTumor learn from unlabelled scans? With and without twenty of them, at equal steps, on stand-ins.

    python -m benchmarks.freetumor_unlabelled FOLDER [-seeds 3 4 5]

FOLDER and the fits without are those of benchmarks.freetumor_learns; what is missing of them is trained. The same sites
are finished by both. Judged by KID to patients whom nobody was trained on, and by the share of finished tumours that a
segmentor recognises that was not trained against; intervals are over tumours, drawn with replacement, seeds being what
they are.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.freetumor_learns import CONFIG, CPU, recognised_shares
from benchmarks.hidden_standins import prepare_hidden
from benchmarks.tf_gan_learns import PATCH, UNSEEN, Setting, baseline, edited, prepared, sites
from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.methods.freetumor.method import FreeTumor
from nnunetv2_tf.quality.realism import kernel_distance, tumour_features

SHARE, RESAMPLED, TAKEN = 0.25, 500, 0.7


def fitted(setting: Setting, root: Path, seed: int, unlabelled: bool) -> FreeTumor:
    """Return the method, trained with unlabelled scans or without."""
    data, config, name = setting.data(seed), CONFIG, f"freetumor_{seed}"
    if unlabelled:
        hosts = setting.hosts.in_unlabelled(prepare_hidden(root))
        data = replace(data, sample_unlabelled=partial(hosts.sample_site, False))
        config, name = replace(CONFIG, unlabelled=SHARE), f"freetumor_unlabelled_{seed}"
    method = FreeTumor(config, CPU, {})
    method.fit(data, root / name)
    return method


def main() -> int:
    """Train, judge and print; return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are, as benchmarks.tf_gan_learns makes them")
    parser.add_argument("-seeds", type=int, nargs="+", default=[3, 4, 5], help="default: %(default)s")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    setting = prepared(root)
    several, judge = sites(setting), Segmentor(baseline(UNSEEN), CPU)
    features: dict[tuple[int, bool], np.ndarray] = {}
    found: dict[tuple[int, bool], np.ndarray] = {}
    for seed in arguments.seeds:
        for unlabelled in (False, True):
            cases = list(edited(fitted(setting, root, seed, unlabelled), several))
            features[seed, unlabelled] = tumour_features(iter(cases), setting.judge, PATCH, CPU)
            found[seed, unlabelled] = recognised_shares(iter(cases), judge) > TAKEN
            distance = kernel_distance(features[seed, unlabelled], setting.real)
            told = f"KID {distance:.2f}, recognised {found[seed, unlabelled].mean():.2f}"
            print(f"seed {seed}, {'with' if unlabelled else 'without'}: {told}", flush=True)
    rng, number = np.random.default_rng(0), len(several)
    every = np.arange(number)

    def differences(made: np.ndarray, real: np.ndarray) -> tuple[float, float]:
        """Return with less without, the mean over seeds, of KID and of what is recognised."""
        kid = [
            kernel_distance(features[seed, True][made], setting.real[real])
            - kernel_distance(features[seed, False][made], setting.real[real])
            for seed in arguments.seeds
        ]
        shares = [found[seed, True][made].mean() - found[seed, False][made].mean() for seed in arguments.seeds]
        return float(np.mean(kid)), float(np.mean(shares))

    drawn = np.array(
        [
            differences(rng.integers(number, size=number), rng.integers(len(setting.real), size=len(setting.real)))
            for _ in range(RESAMPLED)
        ]
    )
    seen = differences(every, np.arange(len(setting.real)))
    for name, value, column in zip(("KID", "recognised"), seen, drawn.T, strict=True):
        low, high = np.percentile(column, (2.5, 97.5))
        print(f"with less without, {name}: {value:+.2f} ({low:+.2f} to {high:+.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
