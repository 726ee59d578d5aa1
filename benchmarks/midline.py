"""Is the middle of brains found where it is, and do tumours shift it as far as patients' do?

    python -m benchmarks.midline FOLDER [-n 24] [-f 0] [-o docs/results/realism/midline.csv]

FOLDER holds nnU-Net's folders with Dataset531_AfricaSteer, preprocessed by nnUNetPlans_25mm, and Dataset631 of healthy
scans prepared for it. First pushes healthy brains by known displacements and asks how far off their middle is found;
then compares the shift by volume of the tumour: patients', and that of made tumours with the strengths that are drawn.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.starting_line import DATASET, HEALTHY, PLANS
from benchmarks.tables import write_rows
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.geometry.grid import sideways_axis
from nnunetv2_tf.geometry.symmetry import deep_middle, middle_shift
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.synthesis.site_builder import BuiltSite
from nnunetv2_tf.tumours.recipe import RecipeLine
from nnunetv2_tf.tumours.sampling_config import USUAL
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.site import Site
from nnunetv2_tf.working_space.stored import OpenCase

STRENGTHS = (0.3, 0.7, 1.2)
RESAMPLED = 2000
HEADER = ["kind", "name", "strength", "volume_ml", "shifted_mm", "found_mm"]
Row = tuple[str, str, float | None, float, float | None, float]


def main() -> None:
    """Measure, write a line each, and say both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-n", type=int, default=24, help="lines of the recipe")
    parser.add_argument("-f", type=int, default=0, help="fold (default: 0)")
    parser.add_argument("-o", type=Path, default=Path("docs/results/realism/midline.csv"))
    arguments = parser.parse_args()
    for variable in VARIABLES:
        os.environ[variable] = str(arguments.root.resolve() / variable)
    torch.set_num_threads(1)
    cohort = Cohort(DATASET, Plan.read(DATASET, PLANS, "3d_fullres"), arguments.f, Dataset.find(HEALTHY))
    pool = HealthyHostPool(cohort, 0, USUAL)
    rows: list[Row] = []
    for line in tqdm(pool.lines(arguments.n), unit="line"):
        before = _made(pool, replace(line, mass_effect=0.0))[-1]
        rows += [_known(pool, replace(line, mass_effect=strength), before) for strength in STRENGTHS]
        rows.append(_made(pool, line))
    for name, case in cohort.training.items():
        opened = case.open()
        volume, found = _measured(opened.image()[0], opened.organ(), opened.tumour() > 0, opened)
        rows.append(("patient", name, None, volume, None, found))
    write_rows(HEADER, rows, arguments.o)
    _say(rows)


def _known(pool: HealthyHostPool, line: RecipeLine, before: float) -> Row:
    """Return how far the middle of what is deep was moved, and how much further off it is found than before."""
    host, built = _built(pool, line)
    volume, found = _of_site(built.site, host)
    moved, displacement = 0.0, built.displacement
    if displacement is not None:
        sideways, blocks = sideways_axis(host.grid.affine), displacement.blocks
        there = deep_middle(blocks.mean(built.site.organ.numpy()) > 0.5, blocks.spacing, sideways)
        moved = -float(displacement.shift[sideways][there].mean())
    return ("known", line.host, line.mass_effect, volume, moved, found - before)


def _made(pool: HealthyHostPool, line: RecipeLine) -> Row:
    host, built = _built(pool, line)
    volume, found = _of_site(built.site, host)
    return ("made", line.host, line.mass_effect, volume, None, found)


def _built(pool: HealthyHostPool, line: RecipeLine) -> tuple[OpenCase, BuiltSite]:
    builder, host = pool.site_builder(line), pool.cases[line.host].open()
    return host, builder.build(host, with_donors=False)


def _of_site(site: Site, host: OpenCase) -> tuple[float, float]:
    return _measured(site.image[0].numpy(), site.organ.numpy(), site.tumour.numpy() > 0, host)


def _measured(image: np.ndarray, organ: np.ndarray, tumour: np.ndarray, case: OpenCase) -> tuple[float, float]:
    """Return the tumour's ml, and mm by which the middle is found to be off, away from the tumour."""
    sideways, spacing = sideways_axis(case.grid.affine), case.grid.spacing
    places = np.argwhere(organ)[:, sideways]
    towards = np.sign(np.argwhere(tumour)[:, sideways].mean() - (places.min() + places.max()) / 2)
    found = -towards * middle_shift(image, organ, tumour, spacing, sideways)
    return float(tumour.sum() * np.prod(spacing) / 1000), float(found)


def _say(rows: Sequence[Row]) -> None:
    for strength in STRENGTHS:
        known = np.array([[row[4], row[5]] for row in rows if row[0] == "known" and row[2] == strength], float)
        error = np.abs(np.abs(known[:, 0]) - known[:, 1])
        print(
            f"strength {strength}: moved by {np.median(np.abs(known[:, 0])):.1f} mm (median), found within 1 mm in "
            f"{(error <= 1).sum()} of {(~np.isnan(error)).sum()}, mean error {np.nanmean(error):.2f} mm"
        )
    rng = np.random.default_rng(0)
    for kind in ("patient", "made"):
        points = np.array([[row[3], row[5]] for row in rows if row[0] == kind], float)
        points = points[~np.isnan(points).any(axis=1)]
        drawn = [_slope(points[rng.integers(len(points), size=len(points))]) for _ in range(RESAMPLED)]
        low, high = np.percentile(drawn, [2.5, 97.5])
        print(
            f"{kind}: {len(points)}, shift {np.median(points[:, 1]):.1f} mm (median), "
            f"by 100 ml {_slope(points):.2f} mm (95 % {low:.2f} to {high:.2f})"
        )


def _slope(points: np.ndarray) -> float:
    """Return mm by 100 ml; robust (the median of slopes of pairs), since single middles may not be found."""
    first, second = np.triu_indices(len(points), 1)
    run = points[second, 0] - points[first, 0]
    return 100 * float(np.median(((points[second, 1] - points[first, 1])[run != 0]) / run[run != 0]))


if __name__ == "__main__":
    main()
