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
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from benchmarks.tf_aug_real import baseline_of, hosts_of, prepared
from nnunetv2_tf.baseline.checkpoint import built
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.methods.base import FitData, Site
from nnunetv2_tf.methods.tf_aug.config import PRESETS, TFAugConfig
from nnunetv2_tf.methods.tf_aug.fitting import IntensityMapFit
from nnunetv2_tf.methods.tf_aug.samples import assemble, coarse_parts
from nnunetv2_tf.working_space.stored import Case, OpenCase

SIZE = (32, 32, 32)
REAL, SITES = 18, 40
A, B = (0.5, 1.2), (-1.0, 1.0)
MANNERS = {
    "paper": PRESETS["paper"],
    "default from a = 1, b = 0": replace(PRESETS["default"], moments=False),
    "default": PRESETS["default"],
}


@dataclass(frozen=True)
class KnownCase(OpenCase):
    """A healthy case with a tumour that was made with known a and b, both in memory."""

    shown: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (C, Z, Y, X)
    placed: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (Z, Y, X)

    def open(self) -> OpenCase:
        """Return the case itself, whose arrays are no files."""
        return self

    def image(self, box: tuple[slice, ...] = (slice(None),) * 3) -> np.ndarray:
        """Return the image (C, Z, Y, X) with the tumour."""
        return self.shown[(slice(None), *box)]

    def tumour(self) -> np.ndarray:
        """Return (Z, Y, X) int16: the placed tumour map."""
        return self.placed

    def has_tumour(self) -> bool:
        """Return True: all of these have a tumour."""
        return True


@dataclass(frozen=True)
class Trial:
    """One fit."""

    root: Path
    manner: str
    trained: bool
    seed: int


@dataclass(frozen=True)
class Outcome:
    """How far a fit came from what its tumours were made with."""

    trial: Trial
    a: float  # largest error over classes
    b: float
    brightness: float
    before: float  # largest error of the brightness at a = 1, b = 0
    epochs: int
    seconds: float


def attempt(trial: Trial) -> Outcome:
    """Make cases with known a and b, fit to them, and compare."""
    torch.set_num_threads(1)
    config = MANNERS[trial.manner]
    dataset = prepared(trial.root)
    preset = "paper" if trial.manner == "paper" else "default"
    hosts, baseline = hosts_of(dataset, preset), baseline_of(dataset)
    sites = [hosts.sample_site(config.texture > 0, np.random.default_rng([trial.seed, i])) for i in range(REAL + SITES)]
    rng = np.random.default_rng([trial.seed, 10**6])
    class_names = hosts.cohort.class_values
    classes = tuple(class_names.values())
    a, b = rng.uniform(*A, (len(classes), 1)), rng.uniform(*B, (len(classes), 1))
    a_case = next(iter(hosts.cohort.training.values()))
    real = [_known(a_case, f"known_{i:02d}", site, config, classes, a, b) for i, site in enumerate(sites[:REAL])]
    data = FitData(
        real=real,
        healthy=list(hosts.cases.values())[:SITES],
        sample_site=partial(_one_of, sites[REAL:]),
        baseline=baseline,
        plan=hosts.cohort.plan,
        roles=hosts.cohort.roles,
        channels=channel_names(dataset),
        class_names=class_names,
        rng=np.random.default_rng(trial.seed),
    )
    with tempfile.TemporaryDirectory() as folder:
        fit = IntensityMapFit(config, data, Path(folder), torch.device("cpu"))
        encoder = fit.extractor.encoder
        if not trial.trained:
            torch.manual_seed(trial.seed)
            encoder = Encoder.within(built(baseline.checkpoint()["init_args"]), "random weights")
        fit.extractor = replace(fit.extractor, size=SIZE, encoder=encoder)
        start = perf_counter()
        fitted = fit.run()
        seconds = perf_counter() - start
    means = np.array([_mean_below(sites[REAL:], config, classes, value) for value in classes])
    errors = np.array(fitted.a) - a, np.array(fitted.b) - b
    brightness = errors[0] * means + errors[1]
    before = (1 - a) * means - b
    in_a, in_b, of_both, at_start = (float(np.abs(error).max()) for error in (*errors, brightness, before))
    return Outcome(trial, in_a, in_b, of_both, at_start, len(fitted.losses), seconds)


def _one_of(sites: Sequence[Site], rng: np.random.Generator, without: Collection[str] = (), /) -> Site:  # noqa: ARG001
    return sites[int(rng.integers(len(sites)))]


def _known(
    like: Case, name: str, site: Site, config: TFAugConfig, classes: tuple[int, ...], a: np.ndarray, b: np.ndarray
) -> KnownCase:
    """Return a site with its tumour as a case, normalised anew as nnU-Net would."""
    box, parts = coarse_parts(site, config, classes)
    image = site.image.clone()
    image[(slice(None), *box)] = assemble(parts, torch.from_numpy(a), torch.from_numpy(b))
    image, body = image.numpy(), site.body.numpy()
    inside = image[:, body]
    mean, sd = inside.mean(axis=1)[:, None, None, None], inside.std(axis=1)[:, None, None, None]
    shown = np.where(body, (image - mean) / sd, image).astype(np.float32)
    return KnownCase(
        like.dataset, like.plan, replace(like.files, identifier=name), like.group, like.roles, like.folder,
        shown=shown, placed=site.tumour.numpy(),
    )  # fmt: skip


def _mean_below(sites: Sequence[Site], config: TFAugConfig, classes: tuple[int, ...], value: int) -> np.ndarray:
    """Return (C,): the mean of the blurred hosts where a class is placed."""
    means = []
    for site in sites:
        box, parts = coarse_parts(site, config, classes)
        where = site.tumour.numpy()[box] == value
        if where.any():
            means.append(parts.blurred[:, where].mean(axis=1))
    return np.mean(means, axis=0)


def main() -> None:
    """Print a table with a row for each fit."""
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
    for outcome in in_parallel(attempt, trials, arguments.np, "Fitting", "fit"):
        trial, encoder = outcome.trial, "trained" if outcome.trial.trained else "random"
        print(
            f"| {trial.manner} | {encoder} | {trial.seed} | {outcome.a:.3f} | {outcome.b:.3f} "
            f"| {outcome.brightness:.3f} | {outcome.before:.3f} | {outcome.epochs} | {outcome.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
