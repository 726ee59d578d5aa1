"""Does TF-GAN learn on real scans? Each part alone first, then refined tumours before fresh judges.

    python -m benchmarks.tf_gan_gates FOLDER {alone,judge} [-f 0 ...] [-preset brief] [-g GENERATOR] [-o FOLDER/gates]

FOLDER is what benchmarks.starting_line worked in, with tf_aug fitted in each fold (and tf_gan, for `judge`).

alone: the discriminator with a generator that never changes (gate: AUC above 0.7 at visible places), and the generator
without a discriminator (gate: the distance between textures falls); some minutes each.

judge: tumours on patients' free sides and in healthy hosts, coarse and refined, judged by five fresh judges. They learn
from the fold's training patients and are asked about its validation patients: how often is the made one of a pair
found? Refining is to lower that. With several folds every patient is asked about once; intervals are over patients and
hosts. What stands in FOLDER/gates/<preset>.csv is not judged again: another generator (-g)
wants another -o. Besides, named figures of coarse, refined and real
tumours.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.commands import enter
from benchmarks.in_memory import CPU, SEED, SteeringFold, made_example
from benchmarks.starting_line import DATASET, FITTED, JUDGE, PLANS
from benchmarks.tables import read_rows, write_rows
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.methods.base import Method
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_gan.config import TFGANConfig
from nnunetv2_tf.methods.tf_gan.fitting import GANFit
from nnunetv2_tf.methods.tf_gan.method import TFGAN
from nnunetv2_tf.methods.tf_gan.networks import read_generator
from nnunetv2_tf.quality.examples import Example
from nnunetv2_tf.quality.fresh_judge import JUDGES, shown_to_judge
from nnunetv2_tf.quality.fresh_judge import USUAL as USUAL_JUDGE
from nnunetv2_tf.report.measured_examples import person, real_examples
from nnunetv2_tf.report.realism import Yardsticks
from nnunetv2_tf.synthesis.fitting import find_fit, fit_data
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.training.judge import judged
from nnunetv2_tf.training.pool import PoolFolder

CASES = 72  # lines on free sides, and as many in healthy hosts
RESAMPLED = 2000
KINDS = ("free sides", "healthy hosts")
HEADER = ["fold", "hosts", "image", "judge", "patient", "host", "found"]
ALONE = {
    "discriminator": {"rate_g": 0.0, "lambda_e": 0.0, "epochs": 5, "iterations": 60},
    "generator": {"lambda_a": 0.0, "lambda_b": 0.0, "epochs": 5, "iterations": 60},
}


@dataclass(frozen=True)
class JudgedFold(SteeringFold):
    """A fold, and what is made and judged in it."""

    def refining(self, preset: str, generator: Path | None) -> TFGAN:
        """Return TF-GAN as it was fitted, or with the generator of a file."""
        chosen = find_method("tf_gan", preset)
        if generator is None:
            method = find_fit(self.healthy, chosen).load(CPU)
            assert isinstance(method, TFGAN)
            return method
        method = TFGAN(chosen.config, CPU, {"tf_aug": self.tf_aug})
        method.generator = read_generator(generator, "")
        return method

    def training(self, config: TFGANConfig, folder: Path) -> GANFit:
        """Return a training of TF-GAN in a folder; sites come from the folder beside it."""
        baseline = Baseline(DATASET, FITTED, PLANS, "3d_fullres", self.fold)
        pool = PoolFolder(folder.parent / "pool", digest([to_json(config), self.healthy.settings]))
        data = fit_data(self.healthy.for_fitting(SEED), baseline, self.tf_aug.pastes, pool=pool)
        return GANFit(config, data, self.tf_aug, folder, CPU)

    @cached_property
    def pools(self) -> Mapping[str, HostPool]:
        """Hosts by kind."""
        return {"free sides": self.free, "healthy hosts": self.healthy}

    def made(self, method: Method, kind: str) -> list[Example]:
        """Make the cases of a kind of host."""
        pool = self.pools[kind]
        lines = tqdm(pool.lines(CASES), f"Fold {self.fold}, {kind}", unit="case")
        return [made_example(self.healthy.cohort, pool, line, method) for line in lines]

    @cached_property
    def real(self) -> list[Example]:
        """The tumours of all patients."""
        return real_examples(self.healthy.cohort.labelled, whole=False)

    @cached_property
    def taught(self) -> frozenset[str]:
        """Training patients; and every other healthy host."""
        patients = {person(case) for case in self.healthy.cohort.training.values()}
        return frozenset(patients | set(sorted(self.healthy.cases)[::2]))

    def found(self, made: Sequence[Example]) -> list[tuple[int, str, str, float]]:
        """Return, for each judge, validation patient and host, how often the made tumour of a pair was found."""
        answers = []
        learnt = [one for one in (*self.real, *made) if one.groups[0] in self.taught]
        asked = [one for one in (*self.real, *made) if one.groups[0] not in self.taught]
        shown = {id(one): shown_to_judge(one) for one in (*learnt, *asked)}
        for judge in range(JUDGES):
            rng = np.random.default_rng([SEED, judge])
            scores = judged(
                [shown[id(one)] for one in learnt], [not one.real for one in learnt],
                [shown[id(one)] for one in asked], rng, USUAL_JUDGE,
            )  # fmt: skip
            by_host: dict[str, list[float]] = {}
            for one, score in zip(asked, scores, strict=True):
                if not one.real:
                    by_host.setdefault(one.groups[0], []).append(score)
            for one, score in zip(asked, scores, strict=True):
                if one.real:
                    for host, others in by_host.items():
                        answers.append((judge, one.groups[0], host, float((np.array(others) > score).mean())))
        return answers


def alone(folds: Sequence[int], config: TFGANConfig, folder: Path) -> None:
    """Train each part by itself."""
    for fold in folds:
        for part, changes in ALONE.items():
            JudgedFold(fold).training(replace(config, **changes), folder / f"fold_{fold}" / part).run()


def judge(folds: Sequence[int], preset: str, generator: Path | None, folder: Path) -> None:
    """Let fresh judges find made tumours, and write what they found."""
    path = folder / f"{preset}.csv"
    rows = [*read_rows(path)]
    for fold in folds:
        cases = JudgedFold(fold)
        for image, method in (("coarse", cases.tf_aug), ("refined", cases.refining(preset, generator))):
            for kind in KINDS:
                if any(tuple(row[:3]) == (str(fold), kind, image) for row in rows):
                    continue
                made = cases.made(method, kind)
                figures(cases, image, kind, made)
                rows += [[str(fold), kind, image, *answer] for answer in cases.found(made)]
                write_rows(HEADER, rows, path)
    known = sorted({str(row[0]) for row in rows})
    for kind in KINDS:
        of_kind = [row for row in rows if row[1] == kind]
        for fold in known if len(known) > 1 else ():
            print(f"{kind}, fold {fold}: {difference([row for row in of_kind if str(row[0]) == fold])}")
        print(f"{kind}: {difference(of_kind)}", flush=True)


def figures(cases: JudgedFold, image: str, kind: str, made: Sequence[Example]) -> None:
    """Print figures of made tumours beside those of real ones."""
    cohort = cases.healthy.cohort
    baseline = Baseline(DATASET, JUDGE, PLANS, "3d_fullres", cases.fold)
    encoder = Encoder.of(baseline) if baseline.path.exists() else None
    trained = frozenset(person(case) for case in cohort.training.values())
    yardsticks = Yardsticks(cohort.roles.tumour, tuple(channel_names(DATASET)), encoder, trained, CPU, SEED)
    examples = [*cases.real, *made]
    found = {**yardsticks.figures(examples, judges=0, resampled=0), **yardsticks.encoded(examples, resampled=0)}
    print(f"fold {cases.fold}, {kind}, {image}: " + ", ".join(f"{name} {one.value:.2f}" for name, one in found.items()))
    names, values = yardsticks.named(examples)
    for name, column in zip(names, values.T, strict=True):
        if name.startswith(("mean ", "sd ", "edge", "grain", "texture")):
            real, ours = np.nanmedian(column[: len(cases.real)]), np.nanmedian(column[len(cases.real) :])
            print(f"    {name}: real {real:.3f}, {image} {ours:.3f}")


def difference(rows: Sequence[Sequence]) -> str:
    """Return the AUCs of coarse and refined, and their difference with an interval over patients and hosts."""
    tables = {image: _table([row for row in rows if row[2] == image]) for image in ("coarse", "refined")}
    rng = np.random.default_rng(SEED)
    draws = []
    for _ in range(RESAMPLED):
        differences = []
        for fold, coarse in tables["coarse"].items():
            rows_, columns = (rng.integers(size, size=size) for size in coarse.shape)
            differences.append((tables["refined"][fold] - coarse)[np.ix_(rows_, columns)].mean())
        draws.append(np.mean(differences))
    means = {image: np.mean([table.mean() for table in tables[image].values()]) for image in tables}
    low, high = np.percentile(draws, [2.5, 97.5])
    return (
        f"fresh judges' AUC {means['coarse']:.3f} on coarse, {means['refined']:.3f} on refined, "
        f"difference {means['refined'] - means['coarse']:+.3f} ({low:+.3f} to {high:+.3f})"
    )


def _table(rows: Sequence[Sequence]) -> dict[str, np.ndarray]:
    """Return, by fold, (patients, hosts): how often judges found the made tumour."""
    tables = {}
    for fold in sorted({row[0] for row in rows}):
        own = [row for row in rows if row[0] == fold]
        patients, hosts = (sorted({str(row[place]) for row in own}) for place in (4, 5))
        total, number = np.zeros((2, len(patients), len(hosts)))
        for *_, patient, host, found in own:  # by each judge, and where a patient has two cases, for each
            place = patients.index(str(patient)), hosts.index(str(host))
            total[place] += float(found)
            number[place] += 1
        tables[fold] = total / number
    return tables


def main() -> None:
    """Run one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("part", choices=("alone", "judge"))
    parser.add_argument("-f", type=int, nargs="+", default=[0], help="folds (default: 0)")
    parser.add_argument("-preset", default="brief")
    parser.add_argument("-g", type=Path, help="a generator.safetensors instead of the fit's")
    parser.add_argument("-o", type=Path, help="where results go (default: FOLDER/gates)")
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    torch.set_num_threads(1)
    folder = arguments.o or arguments.root / "gates"
    if arguments.part == "alone":
        alone(arguments.f, find_method("tf_gan", arguments.preset).config, folder)
    else:
        judge(arguments.f, arguments.preset, arguments.g, folder)


if __name__ == "__main__":
    main()
