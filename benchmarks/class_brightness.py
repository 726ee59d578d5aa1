"""Are TF-Aug's classes as bright as their donors', with and without making up for soft edges?

    python -m benchmarks.class_brightness FOLDER [-o PICTURE.png]

FOLDER is that of benchmarks.starting_line, where TF-Aug has been fitted, by whichever rule: a and b are taken as they
are. For the first lines of fold 0's recipe and each class: voxels, the mean share of them that is the class's own, and
its mean brightness in the donor, on the host's scale, and in the finished image before nnU-Net normalises it anew, both
ways. Paints patient and made tumours side by side.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.commands import enter
from benchmarks.starting_line import DATASET, HEALTHY, PLANS
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_aug.method import TFAug
from nnunetv2_tf.methods.tf_aug.samples import coarse_parts
from nnunetv2_tf.synthesis.case_maker import edit
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.fitting import fit_folder
from nnunetv2_tf.synthesis.placing_pools import hosts_for
from nnunetv2_tf.working_space.preprocess import Plan

LINES, FOLD, SPAN = 10, 0, (-2.0, 3.0)
FEWEST = 10  # voxels of a class


def main() -> None:
    """Print a line for each class of each case, and paint the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER", help="where nnU-Net's folders are")
    parser.add_argument("-o", type=Path, default=Path("class_brightness.png"), help="picture (default: %(default)s)")
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    selected = find_method("tf_aug")
    cohort = Cohort(DATASET, Plan.read(DATASET, PLANS, "3d_fullres"), FOLD, Dataset.find(HEALTHY))
    hosts = hosts_for(selected, cohort, 0, {}, 1)
    ways = []
    for through_edges in (False, True):
        method = TFAug(replace(selected.config, through_edges=through_edges), torch.device("cpu"), {})
        method.load(fit_folder(cohort, selected))
        ways.append(method)
    rows = []
    for line in hosts.lines(LINES):
        host, donor = hosts.cases[line.host].open(), cohort.donors[line.donors[0]].open()
        map_, builder = donor.tumour(), hosts.site_builder(line)
        cut = fullest_slice(map_ > 0)
        patient = donor.grid.upright(donor.image()[0][cut])
        row = [Panel(patient, SPAN, donor.grid.upright(map_[cut]), donor.identifier[-9:]), Panel(patient, SPAN)]
        made = [edit(host, builder, method) for method in ways]
        site = made[0][0].site
        placed = site.tumour.numpy()
        box, parts = coarse_parts(site, ways[1].config, ways[1].fitted_to.classes)
        for index, value in enumerate(ways[1].fitted_to.classes):
            here = placed == value
            there = [(one.tumour.numpy() == value) & one.organ.numpy() for one in site.donors]
            if here.sum() < FEWEST or not any(inside.any() for inside in there):
                continue
            pairs = zip(site.donors, there, strict=True)
            wanted = np.concatenate([one.image[0].numpy()[inside] for one, inside in pairs]).mean()
            plain, through = (edited.image[0].numpy()[here].mean() for _, edited in made)
            own = parts.shares[index][here[box]].mean()
            print(
                f"line {line.index}, class {value}: {int(here.sum())} voxels, own share {own:.2f}, donor {wanted:.2f}, "
                f"without {plain:.2f}, with {through:.2f}"
            )
        cut = fullest_slice(placed > 0)
        for (_, edited), title in zip(made, ("without", "with"), strict=True):
            row.append(Panel(host.grid.upright(edited.image[0].numpy()[cut]), SPAN, None, title))
        rows.append([*row, replace(row[-1], outline=host.grid.upright(placed[cut]), title="map")])
    write_panels(rows, arguments.o, inches=1.9)
    print(arguments.o)


if __name__ == "__main__":
    main()
