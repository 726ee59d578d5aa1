"""What does each ingredient of TF-Aug's default do for how real its tumours look?

    python -m benchmarks.ablation FOLDER [-n 24] [-f 0] [--judges 3] [-m VARIANT ...] [-o TABLE.csv]

FOLDER is what benchmarks.starting_line worked in, with tf_aug's default fitted. Makes the same lines of the recipe once
for each variant, in memory, on healthy hosts and on patients' free sides, and measures them against all real tumours:
AUC of named features, of fresh judges and of whole brains, and how steep edges are (1: as steep as real ones). All
variants have the default's fit. Run again, it goes on where it was.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.commands import enter
from benchmarks.in_memory import SEED, SteeringFold, made_example
from benchmarks.tables import read_rows, write_rows
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.methods.tf_aug.method import TFAug
from nnunetv2_tf.quality.examples import Example, matched_by_volume
from nnunetv2_tf.quality.two_samples import Estimate
from nnunetv2_tf.report.measured_examples import real_examples
from nnunetv2_tf.report.realism import Yardsticks
from nnunetv2_tf.synthesis.free_sides import FreeSidePool
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.synthesis.site_builder import PlacedSiteBuilder
from nnunetv2_tf.tumours.recipe import RecipeLine
from nnunetv2_tf.tumours.sampling_config import FRONT, USUAL, SamplingConfig

FIGURES = ("AUC named features", "AUC fresh judges", "AUC whole brain")
EDGE = "edge gradient"
HEADER = ["variant", "hosts", "cases", "figure", "value", "low", "high"]
OTHER_LOOKS = 11  # stream of random numbers


@dataclass(frozen=True)
class Variant:
    """The default with something changed."""

    config: Mapping[str, Any] = field(default_factory=dict)  # of TFAugConfig
    sampling: SamplingConfig = USUAL
    own_looks: bool = True  # hosts look like their donor, else like any training case


BEFORE = {"sigma": 2.0, "edge_mm": 1.0, "grain": 0.5, "texture_mm": 2.0, "anchored": False}
VARIANTS = {
    "none of it": Variant(BEFORE, SamplingConfig(), own_looks=False),
    "default": Variant(),
    "without brightness of the donor": Variant({"anchored": False}),
    "without fine texture of the donor": Variant({"texture_mm": 2.0}),
    "half of the host's grain, too": Variant({"grain": 0.5}),
    "the host's grain instead of the donor's texture": Variant({"grain": 1.0, "texture": 0.0}),
    "blur B of 2 mm": Variant({"sigma": 2.0}),
    "edges of 1 mm": Variant({"edge_mm": 1.0}),
    "looks of any case": Variant(own_looks=False),
    "without rounding": Variant(sampling=replace(USUAL, rounded=False)),
    "without mass effect": Variant(sampling=replace(USUAL, mass_effect=False)),
    "with the front of edema": Variant(sampling=FRONT),
}


def main() -> None:
    """Make and measure, variant by variant, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-n", type=int, default=24, help="cases of a variant and kind of host")
    parser.add_argument("-f", type=int, default=0, help="fold (default: 0)")
    parser.add_argument("--judges", type=int, default=3, help="fresh judges that learn for each variant")
    parser.add_argument("-m", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("-o", type=Path, default=Path("docs/results/realism/ablation.csv"))
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    torch.set_num_threads(1)
    ablation = Ablation.of(arguments.f)
    rows: list[Sequence[Any]] = [*read_rows(arguments.o)]
    for name in arguments.m:
        if name in [row[0] for row in rows]:
            continue
        for hosts, pool in (("healthy hosts", ablation.healthy), ("free sides", ablation.free)):
            made = ablation.made(VARIANTS[name], pool, pool.lines(arguments.n))
            for figure, found in ablation.figures(made, arguments.judges).items():
                print(f"{name}, {hosts}, {len(made)} cases: {figure} {found}", flush=True)
                rows.append([name, hosts, len(made), figure, found.value, found.low, found.high])
        write_rows(HEADER, rows, arguments.o)


@dataclass(frozen=True)
class Ablation:
    """A fold with its real tumours, and TF-Aug as it was fitted there."""

    healthy: HealthyHostPool
    free: FreeSidePool
    real: Sequence[Example]
    fitted: TFAug

    @classmethod
    def of(cls, fold: int) -> "Ablation":
        """Open a fold."""
        opened = SteeringFold(fold)
        real = real_examples(opened.healthy.cohort.labelled, whole=True)
        return cls(opened.healthy, opened.free, real, opened.tf_aug)

    def made(self, variant: Variant, pool: HostPool, lines: Sequence[RecipeLine]) -> list[Example]:
        """Make a case of each line, as nnU-Net will see it."""
        config = replace(self.fitted.config, **variant.config)
        method = TFAug(config, self.fitted.device, self.fitted.fitted)
        method.fitted_to = self.fitted.fitted_to
        return [self._example(variant, method, pool, line) for line in tqdm(lines, "Making", unit="case")]

    def figures(self, made: Sequence[Example], judges: int) -> dict[str, Estimate]:
        """Return the figures of made examples against all real ones."""
        cohort = self.healthy.cohort
        channels = tuple(channel_names(cohort.dataset))
        yardsticks = Yardsticks(cohort.roles.tumour, channels, None, frozenset(), torch.device("cpu"), SEED)
        examples = [*self.real, *matched_by_volume(self.real, made)]
        found = yardsticks.figures(examples, judges)
        names, named = yardsticks.named(examples)
        real = np.array([one.real for one in examples])
        steep = named[:, names.index(EDGE)]
        ratio = float(np.nanmedian(steep[~real]) / np.nanmedian(steep[real]))
        return {**{name: found[name] for name in FIGURES if name in found}, EDGE: Estimate(ratio, np.nan, np.nan)}

    def _example(self, variant: Variant, method: TFAug, pool: HostPool, line: RecipeLine) -> Example:
        cohort, builder = self.healthy.cohort, pool.site_builder(line)
        assert isinstance(builder, PlacedSiteBuilder)
        builder = replace(builder, sampling=variant.sampling)
        if builder.appearance_source is not None and not variant.own_looks:
            names = sorted(cohort.training)
            drawn = int(np.random.default_rng([line.seed, OTHER_LOOKS]).integers(len(names)))
            builder = replace(builder, appearance_source=cohort.training[names[drawn]])
        return made_example(cohort, pool, line, method, builder)


if __name__ == "__main__":
    main()
