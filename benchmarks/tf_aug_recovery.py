"""Does fitting find the a and b that tumours were made with?

    python -m benchmarks.tf_aug_recovery FOLDER [-seeds 3]

FOLDER is that of benchmarks.healthy_cohort and of `benchmarks.real_training baseline -o FOLDER`, whose encoder is used.
Tumours are put into healthy scans by Eq. 1 with a and b drawn at random, and these scans are taken for the real ones;
other healthy scans are fitted to them, by each preset from a = 1 and b = 0, and by `default` from the moments too. The
same through an encoder of random weights. The encoder sees 32 voxels along each axis around a tumour, and sites are
drawn beforehand, so that a fit takes minutes; all else is the preset's. Errors are those of a, of b, and of the
brightness a x + b at the mean x of the hosts: a and b can make up for one another where hosts vary little.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from benchmarks.tf_aug_real import baseline_of, hosts_of, prepared
from nnunetv2_tf.baseline.checkpoint import built
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.meaning import class_values
from nnunetv2_tf.methods.base import FitData, Site
from nnunetv2_tf.methods.tf_aug.config import PRESETS, TFAugConfig
from nnunetv2_tf.methods.tf_aug.fitting import Fit
from nnunetv2_tf.methods.tf_aug.samples import parts_of, put_together
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.work import in_parallel

SIZE = (32, 32, 32)
REAL, SITES = 18, 40
A, B = (0.5, 1.2), (-1.0, 1.0)
MANNERS = {
    "paper": PRESETS["paper"],
    "default from a = 1, b = 0": replace(PRESETS["default"], moments=False),
    "default": PRESETS["default"],
}


@dataclass(frozen=True)
class Known(Case):
    """A healthy case with a tumour that was made with known a and b."""

    shown: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (C, Z, Y, X)
    placed: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (Z, Y, X)

    def image(self, box: tuple[slice, ...] = (slice(None),) * 3) -> np.ndarray:
        """With the tumour."""
        return self.shown[(slice(None), *box)]

    def tumour(self) -> np.ndarray:
        """What was placed."""
        return self.placed

    def has_tumour(self) -> bool:
        """All have one."""
        return True


@dataclass(frozen=True)
class Trial:
    """One fit."""

    root: Path
    manner: str
    trained: bool
    seed: int


@dataclass(frozen=True)
class Found:
    """How it went."""

    trial: Trial
    a: float  # largest error over classes
    b: float
    brightness: float
    before: float  # largest error of the brightness at a = 1, b = 0
    epochs: int
    seconds: float


def attempt(trial: Trial) -> Found:
    """Makes cases, fits, compares."""
    torch.set_num_threads(1)
    config = MANNERS[trial.manner]
    dataset = prepared(trial.root)
    preset = "paper" if trial.manner == "paper" else "default"
    hosts, baseline = hosts_of(dataset, preset), baseline_of(dataset)
    sites = [hosts.sample_site(config.texture > 0, np.random.default_rng([trial.seed, i])) for i in range(REAL + SITES)]
    rng = np.random.default_rng([trial.seed, 10**6])
    values, classes = class_values(dataset), tuple(class_values(dataset).values())
    a, b = rng.uniform(*A, (len(classes), 1)), rng.uniform(*B, (len(classes), 1))
    a_case = next(iter(hosts.training.values()))
    real = [_known(a_case, f"known_{i:02d}", site, config, classes, a, b) for i, site in enumerate(sites[:REAL])]
    data = FitData(
        real=real,
        healthy=list(hosts.cases.values())[:SITES],
        sample_site=partial(_one_of, sites[REAL:]),
        baseline=baseline,
        class_names=values,
        rng=np.random.default_rng(trial.seed),
    )
    with tempfile.TemporaryDirectory() as folder:
        fit = Fit(config, data, Path(folder), torch.device("cpu"))
        encoder = fit.eye.encoder
        if not trial.trained:
            torch.manual_seed(trial.seed)
            encoder = Encoder.within(built(baseline.checkpoint()["init_args"]), "random weights")
        fit.eye = replace(fit.eye, size=SIZE, encoder=encoder)
        start = perf_counter()
        found = fit.run()
        seconds = perf_counter() - start
    means = np.array([_mean_below(sites[REAL:], config, classes, value) for value in classes])
    errors = np.array(found.a) - a, np.array(found.b) - b
    brightness = errors[0] * means + errors[1]
    before = (1 - a) * means - b
    in_a, in_b, of_both, at_start = (float(np.abs(error).max()) for error in (*errors, brightness, before))
    return Found(trial, in_a, in_b, of_both, at_start, len(found.losses), seconds)


def _one_of(sites: Sequence[Site], rng: np.random.Generator) -> Site:
    return sites[int(rng.integers(len(sites)))]


def _known(
    like: Case, name: str, site: Site, config: TFAugConfig, classes: tuple[int, ...], a: np.ndarray, b: np.ndarray
) -> Known:
    """A site with its tumour, normalised anew as nnU-Net would."""
    box, parts = parts_of(site, config, classes)
    image = site.image.clone()
    image[(slice(None), *box)] = put_together(parts, torch.from_numpy(a), torch.from_numpy(b))
    image, body = image.numpy(), site.body.numpy()
    inside = image[:, body]
    mean, sd = inside.mean(axis=1)[:, None, None, None], inside.std(axis=1)[:, None, None, None]
    shown = np.where(body, (image - mean) / sd, image).astype(np.float32)
    return Known(
        like.dataset, like.plan, replace(like.files, identifier=name), like.group, like.meaning, like.folder,
        shown=shown, placed=site.tumour.numpy(),
    )  # fmt: skip


def _mean_below(sites: Sequence[Site], config: TFAugConfig, classes: tuple[int, ...], value: int) -> np.ndarray:
    """(C,) the mean of the blurred hosts where a class is placed."""
    means = []
    for site in sites:
        box, parts = parts_of(site, config, classes)
        where = site.tumour.numpy()[box] == value
        if where.any():
            means.append(parts.blurred[:, where].mean(axis=1))
    return np.mean(means, axis=0)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-seeds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("-np", type=int, default=2, help="fits at once (default: %(default)s)")
    parser.add_argument("-manners", nargs="+", choices=MANNERS, default=list(MANNERS), help="default: all")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    prepared(root)
    trials = [
        Trial(root, manner, trained, seed)
        for manner in arguments.manners
        for trained in (True, False)
        for seed in range(arguments.seeds)
    ]
    print("| preset | encoder | seed | error of a | of b | of brightness | at the start | epochs | seconds |")
    print("|" + "---|" * 9)
    for one in in_parallel(attempt, trials, arguments.np, "Fitting", "fit"):
        trial = one.trial
        print(
            f"| {trial.manner} | {'trained' if trial.trained else 'random'} | {trial.seed} | {one.a:.3f} | {one.b:.3f} "
            f"| {one.brightness:.3f} | {one.before:.3f} | {one.epochs} | {one.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
