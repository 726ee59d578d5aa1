"""Does FreeTumor learn? Each part alone, then both, on stand-ins whose tumours are grainy and have a rim.

    python -m benchmarks.freetumor_learns FOLDER [-seeds 3 4 5] [--alone]

FOLDER is that of benchmarks.tf_gan_learns, which makes the stand-ins, TF-Aug's smooth coarse tumours among them.

* The discriminator alone, against coarse tumours that stay what they are: how well its votes tell new ones from those
  of patients whom nobody was trained on. Wanted: an AUC above 0.7.
* The generator alone, against the segmentor: the probability that this gives to its tumours, before and after.
* Both: the KID of finished tumours to those of patients whom nobody was trained on, through the encoder of a baseline
  that no loss has seen; that of coarse tumours beside it, and how much of tumours a segmentor recognises that was not
  trained against.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from benchmarks.tf_gan_learns import PATCH, REAL, UNSEEN, Setting, baseline, edited, prepared, sites
from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.methods.freetumor.adversaries import mean_votes
from nnunetv2_tf.methods.freetumor.config import PRESETS
from nnunetv2_tf.methods.freetumor.fitting import FreeTumorFit
from nnunetv2_tf.methods.freetumor.method import FreeTumor
from nnunetv2_tf.methods.freetumor.patches import Pieces
from nnunetv2_tf.methods.tf_gan.refinement import in_host
from nnunetv2_tf.quality.realism import kernel_distance, tumour_features
from nnunetv2_tf.training.auc import auc
from nnunetv2_tf.training.loading import as_tensors
from nnunetv2_tf.training.patches import REAL_VOLUMES, patch_of, real_piece
from nnunetv2_tf.working_space.stored import training_cases

CPU = torch.device("cpu")
CONFIG = replace(
    PRESETS["default"], features=(8, 16, 32), epochs=40, iterations=30, pool=60, unlabelled=0.0
)  # brains of 4 cm, of one scanner
ALONE = 150  # steps of one part
TOLD, TAKEN = 0.7, 0.7  # wanted: AUC of votes; a case counts as recognised from this share on


def fit_of(setting: Setting, seed: int, folder: Path, **changes: float) -> FreeTumorFit:
    """Return a training that has not begun."""
    return FreeTumorFit(replace(CONFIG, **changes), setting.data(seed), folder, CPU)


def frozen_coarse(setting: Setting, pieces: Pieces, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return a site as `Pieces` makes them, whose host has a coarse tumour already and gets none besides."""
    site = setting.hosts.sample_site(False, rng)
    (coarse,) = setting.stage1.edit([site], [rng])
    image = in_host(coarse, site, site.weight(coarse.reach_mm))
    piece = replace(pieces, sample_site=lambda _: replace(site, image=image)).new_host(rng)
    return {**piece, "soft": np.zeros_like(piece["soft"])}


def discriminator_alone(setting: Setting, folder: Path) -> float:
    """Train it against frozen coarse tumours; return how well it tells new ones from unseen patients'."""
    fit = fit_of(setting, 0, folder)
    patches, training = fit.patches, fit.training
    made = [frozen_coarse(setting, patches.pieces, np.random.default_rng([5, index])) for index in range(40)]
    for step in range(ALONE):
        rng = np.random.default_rng([6, step])
        batch = []
        for place in range(CONFIG.batch):
            site = made[int(rng.integers(len(made)))]
            batch.append({**patches.host(site, rng), **patches.real(rng), "place": np.array(place)})
        training.step(as_tensors({name: np.stack([one[name] for one in batch]) for name in batch[0]}), 0, step)
    votes = {"synthetic": [], "real": []}
    classes, size = fit.design.classes, fit.design.levels.patch
    discriminator = training.discriminator.eval()
    cohort = setting.hosts.cohort
    everybody = training_cases(cohort.files, REAL, cohort.plan, "all")
    unseen = [case for case in everybody if case.identifier not in cohort.training and case.has_tumour()]
    for index, case in enumerate(unseen):
        rng = np.random.default_rng([7, index])
        site = patches.host(frozen_coarse(setting, patches.pieces, rng), rng)
        real = patch_of(real_piece(case, size, 1.0, False), REAL_VOLUMES, size, 1.0, rng)
        for kind, image, where in (
            ("synthetic", site["host"], site["tumour"]), ("real", real["image"], real["tumour"])
        ):  # fmt: skip
            given = as_tensors({"image": image[None], "where": where[None]})
            with torch.no_grad():
                _, _, found = discriminator(given["image"])
            votes[kind] += mean_votes(found, given["where"], classes).tolist()
    return auc(votes["synthetic"], votes["real"])


def generator_alone(setting: Setting, folder: Path) -> tuple[float, float]:
    """Train it against the segmentor; return what this gives to its tumours, at first and at last."""
    fit = fit_of(setting, 0, folder, lambda_adv=0.0)
    found = [
        float(fit.training.step(as_tensors(fit.patches(step)), 0, step)["p of S"]) for step in range(ALONE)
    ]  # fmt: skip
    return float(np.mean(found[:10])), float(np.mean(found[-10:]))


def recognised(cases: Iterator[tuple[np.ndarray, np.ndarray]], segmentor: Segmentor) -> float:
    """Return how many cases' tumours a segmentor calls tumour, by more than TAKEN of them."""
    return float(np.mean(recognised_shares(cases, segmentor) > TAKEN))


def recognised_shares(cases: Iterator[tuple[np.ndarray, np.ndarray]], segmentor: Segmentor) -> np.ndarray:
    """Return (N,), how much of each case's tumour a segmentor calls tumour."""
    shares = []
    for image, tumour in cases:
        found = segmentor.segmentation(torch.from_numpy(image)).numpy() > 0
        shares.append(float(found[tumour > 0].mean()))
    return np.array(shares)


def main() -> int:
    """Train, judge and print; return 1 when something is not as wanted, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are, as benchmarks.tf_gan_learns makes them")
    parser.add_argument("-seeds", type=int, nargs="+", default=[3, 4, 5], help="default: %(default)s")
    parser.add_argument("--alone", action="store_true", help="each part alone, and no more")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    setting = prepared(root)
    told = discriminator_alone(setting, root / "freetumor_d")
    print(
        f"discriminator alone: AUC of its votes {told:.3f} on those that it has not seen (wanted: > {TOLD})", flush=True
    )
    first, last = generator_alone(setting, root / "freetumor_g")
    print(f"generator alone: the segmentor gives its tumours {first:.3f} at first, {last:.3f} at last", flush=True)
    if arguments.alone:
        return 0 if told > TOLD and last > first else 1
    several, judge = sites(setting), Segmentor(baseline(UNSEEN), CPU)

    def distance(cases: Iterator[tuple[np.ndarray, np.ndarray]]) -> float:
        return kernel_distance(tumour_features(cases, setting.judge, PATCH, CPU), setting.real)

    coarse = distance(edited(setting.stage1, several))
    share = recognised(edited(setting.stage1, several), judge)
    print(f"coarse: KID {coarse:.2f}, recognised {share:.2f}", flush=True)
    for seed in arguments.seeds:
        start = perf_counter()
        method = FreeTumor(CONFIG, CPU, {})
        method.fit(setting.data(seed), root / f"freetumor_{seed}")
        found, share = distance(edited(method, several)), recognised(edited(method, several), judge)
        print(
            f"seed {seed}: KID {found:.2f}, {found / coarse:.2f} of coarse; recognised {share:.2f}; "
            f"{perf_counter() - start:.0f} s",
            flush=True,
        )
    return 0 if told > TOLD and last > first else 1


if __name__ == "__main__":
    sys.exit(main())
