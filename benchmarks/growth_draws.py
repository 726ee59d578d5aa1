"""Does growth keep what it promises, and what does it cost?

    python -m benchmarks.growth_draws FOLDER [-n 500] [--native] [-o docs/results/realism/growth_draws.csv]

FOLDER holds nnU-Net's folders with Dataset531_AfricaSteer, preprocessed by nnUNetPlans_25mm, and Dataset631 of healthy
scans prepared for it. Draws lines of fold 0 as nnUNetv2_tf_synthesize does, with mass effects from 0 to 1.5, and grows
each: the least Jacobian (below 0: folded), voxels outside the organ that changed, how far classes are from the sizes
that were placed, how far tissue moved, seconds. With --native at the scans' own spacing instead of the plans', where a
case costs most.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.tables import write_rows
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.geometry.flow import least_jacobian
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.growth import Grown, grow
from nnunetv2_tf.synthesis.native_volume import read_volume
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.synthesis.site_builder import placed_site
from nnunetv2_tf.tumours.fluid import find_fluid
from nnunetv2_tf.tumours.place import HostAnatomy, place_tumours, read_host
from nnunetv2_tf.tumours.recipe import RecipeLine
from nnunetv2_tf.tumours.sampling_config import USUAL
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.site import Site
from nnunetv2_tf.working_space.stored import OpenCase

DATASET, HEALTHY, PLANS = Dataset("Dataset531_AfricaSteer"), Dataset("Dataset631_Healthy"), "nnUNetPlans_25mm"
STRONGEST = (0.0, 1.5)
HEADER = ["line", "mass_effect", "core_ml", "least_jacobian", "changed_outside", "off_by", "largest_mm", "seconds"]


def main() -> None:
    """Draw, grow, write a line each, and say the worst."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-n", type=int, default=500, help="draws")
    parser.add_argument("--native", action="store_true", help="at the scans' own spacing")
    parser.add_argument("-o", type=Path, default=Path("docs/results/realism/growth_draws.csv"))
    arguments = parser.parse_args()
    for variable in VARIABLES:
        os.environ[variable] = str(arguments.root.resolve() / variable)
    torch.set_num_threads(1)
    cohort = Cohort(DATASET, Plan.read(DATASET, PLANS, "3d_fullres"), 0, HEALTHY)
    pool = HealthyHostPool(cohort, 0, USUAL, {"mass_effect": STRONGEST})
    rows = [_measured(pool, line, arguments.native) for line in tqdm(pool.lines(arguments.n), unit="line")]
    write_rows(HEADER, rows, arguments.o)
    worst = np.array(rows, float)
    print(
        f"{len(rows)} draws: least Jacobian {worst[:, 3].min():.3f}, changed outside the organ {worst[:, 4].sum():.0f} "
        f"voxels, classes off by at most {worst[:, 5].max():.1%}, moved at most {worst[:, 6].max():.1f} mm\n"
        f"a case in {np.median(worst[:, 7]):.2f} s (95 % under {np.percentile(worst[:, 7], 95):.2f}), peak memory "
        f"{getrusage(RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    )


def _measured(pool: HealthyHostPool, line: RecipeLine, native: bool) -> list[float]:
    case, cohort = pool.cases[line.host].open(), pool.cohort
    site, anatomy = _native_site(case, pool, line) if native else _site(case, pool, line)
    start = perf_counter()
    grown = grow(site, anatomy, cohort.bank, pool.sampling, line.mass_effect)
    seconds = perf_counter() - start
    outside = int((grown.site.image != site.image)[:, ~site.organ].sum())
    tumour = site.tumour.numpy()
    core = (tumour > 0) & ~np.isin(tumour, cohort.bank.diffuse)
    ml = float(core.sum() * np.prod(site.spacing) / 1000)
    largest = 0.0 if grown.displacement is None else grown.displacement.largest
    return [line.index, line.mass_effect, ml, _jacobian(grown, site), outside, _off_by(site, grown), largest, seconds]


def _site(case: OpenCase, pool: HealthyHostPool, line: RecipeLine) -> tuple[Site, HostAnatomy]:
    anatomy = read_host(case, around_fluid=True)
    placed = place_tumours(line.tumours, pool.cohort.bank, anatomy)
    assert placed is not None
    return placed_site(case, anatomy, placed, None), anatomy


def _native_site(case: OpenCase, pool: HealthyHostPool, line: RecipeLine) -> tuple[Site, HostAnatomy]:
    """Return what plans of the scan's own spacing would give, without preprocessing anything."""
    stored = read_volume(case.files.images[0], case.plan.plans["image_reader_writer"]).file_voxels
    organ = np.ascontiguousarray(stored.transpose(case.plan.plans_manager.transpose_forward)) != 0
    image = stored.transpose(case.plan.plans_manager.transpose_forward).astype(np.float32)
    image = (image - image[organ].mean()) / image[organ].std() * organ
    spacing = case.grid.native_spacing
    channels = ("t1n",)
    fluid = find_fluid(image[None], organ, channels, spacing)
    anatomy = HostAnatomy(case.identifier, organ, fluid, case.grid.native_affine, channels)
    placed = place_tumours(line.tumours, pool.cohort.bank, anatomy)
    assert placed is not None
    body = torch.from_numpy(organ)
    arrays = [torch.from_numpy(part) for part in (image[None], np.zeros(organ.shape, np.int16))]
    tumour = torch.from_numpy(placed.label(organ.shape))
    return Site(arrays[0], arrays[1], body, tumour, (), spacing, body, int(organ.sum())), anatomy


def _jacobian(grown: Grown, site: Site) -> float:
    """Return the least one on the grid of the site, as images are moved."""
    moving = None if grown.displacement is None else grown.displacement.on(np.eye(4), tuple(site.organ.shape))
    return 1.0 if moving is None else least_jacobian(moving[1], site.spacing)


def _off_by(site: Site, grown: Grown) -> float:
    """Return by what share the class that changed most is larger or smaller than it was placed."""
    return max(_changes(site, grown), default=0.0)


def _changes(site: Site, grown: Grown) -> Iterator[float]:
    for value in torch.unique(site.tumour[site.tumour > 0]):
        before, after = (int((one.tumour == value).sum()) for one in (site, grown.site))
        if before * float(np.prod(site.spacing)) >= 500:  # mm3: of a few voxels one is much
            yield abs(after / before - 1)


if __name__ == "__main__":
    main()
