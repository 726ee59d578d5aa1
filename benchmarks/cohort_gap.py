"""How well can healthy scans be told from the tumour-free tissue of real ones?

    python -m benchmarks.cohort_gap FOLDER

FOLDER is that of benchmarks.healthy_cohort, which makes the datasets. Patches of 24 mm at 1 mm, 16 of each scan, at
least 5 mm away from the tumour. Besides the cohorts as they are: healthy scans that took over the looks of training
cases of fold 0 (a random one each, at 1 mm), also against the cases that validate, whose looks nobody took; only their
brightness, and only their sharpness; each collection for itself; and, as a check, halves of one cohort, which nothing
should tell apart.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from tqdm import tqdm

from benchmarks.africa import ALL
from benchmarks.commands import enter
from benchmarks.healthy_cohort import NAME, NUMBER
from benchmarks.placement import prepared
from nnunetv2_tf.cases import CaseFiles, raw_cases
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.folds import Groups
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.quality.cohort_gap import Brain, cohort_gap
from nnunetv2_tf.synthesis.harmonise import FREQUENCIES, Z_SCORED, Looks, harmonise

SIZE, PATCHES, AWAY = 24, 16, 5


def brains(dataset: Dataset, real: bool) -> list[Brain]:
    """The scans of a dataset, cut to where there is brain in most."""
    groups = Groups.read(dataset)
    return [
        _brain(case, "/".join(groups[name]), real)
        for name, case in tqdm(raw_cases(dataset).items(), desc=dataset.name, unit="scan")
    ]


def _brain(case: CaseFiles, person: str, real: bool) -> Brain:
    image, label = (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (case.images[0], case.label))
    tumour = label > 0 if real else np.zeros(label.shape, bool)
    if real:
        tumour = np.asarray(ndimage.distance_transform_edt(~tumour)) <= AWAY
    box = tuple(slice(size // 8, size - size // 8) for size in image.shape)
    return Brain(person, real, image[box].astype(np.float32), (image != 0)[box], tumour[box])


def harmonised(brain: Brain, case: Case, model: Case, brightness: bool, sharpness: bool) -> Brain:
    """A healthy scan with the looks of a training case, or some of them; nothing is resampled at 1 mm."""
    assert not case.grid.resampled
    own, looks = case.image(), Looks.of(replace(model))
    if not sharpness:
        looks = replace(looks, spectra=(((0.0,) * FREQUENCIES,) * 3,))
    if not brightness:
        looks = replace(looks, landmarks=Looks.of(replace(case)).landmarks)
    found = harmonise(own, case.organ(), looks, [Z_SCORED]).image[0]
    image = np.zeros(case.grid.native_shape, np.float32)
    z, y, x = (slice(a, a + size) for a, size in zip(case.grid.start, case.grid.cropped, strict=True))
    image[z, y, x] = np.where(own[0] != 0, found * case.intensity.sd[0] + case.intensity.mean[0], 0)
    box = tuple(slice(size // 8, size - size // 8) for size in image.shape)
    return replace(brain, image=np.where(brain.brain, np.maximum(np.rint(image[box]), 1), 0))


def show(title: str, cohort: Sequence[Brain]) -> None:
    """One line of the result."""
    gap = cohort_gap(cohort, SIZE, PATCHES, np.random.default_rng(0))
    print(f"{title} ({sum(one.real for one in cohort)} real, {sum(not one.real for one in cohort)} healthy): {gap}")


def halves(cohort: Sequence[Brain], rng: np.random.Generator) -> list[Brain]:
    """Half of the people of a cohort called healthy."""
    people = sorted({one.person for one in cohort})
    other = {people[index] for index in rng.permutation(len(people))[: len(people) // 2]}
    return [Brain(one.person, one.person not in other, one.image, one.brain, one.tumour) for one in cohort]


def main() -> None:
    """Prints a line per comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the folder of benchmarks.healthy_cohort")
    root = parser.parse_args().root.resolve()
    enter(root)
    real, healthy = brains(Dataset(ALL), True), brains(Dataset(f"Dataset{NUMBER}_{NAME}"), False)
    show("all", [*real, *healthy])
    hosts = prepared(root)
    training, rng = sorted(hosts.training), np.random.default_rng(0)
    models = [hosts.training[training[rng.integers(len(training))]] for _ in healthy]
    people = {"/".join(hosts.training[name].group) for name in training}
    unseen = [brain for brain in real if brain.person not in people]
    show("all against those that validate", [*unseen, *healthy])
    for title, what in (("harmonised", (True, True)), ("brightness", (True, False)), ("sharpness", (False, True))):
        pairs = zip(healthy, hosts.cases.values(), models, strict=True)
        after = [harmonised(brain, replace(case), model, *what) for brain, case, model in tqdm(list(pairs), desc=title)]
        show(title, [*real, *after])
        if all(what):
            show(f"{title} against those that validate", [*unseen, *after])
    for collection in ("IXI", "ds000011", "ds002748"):
        show(collection, [*real, *(one for one in healthy if one.person.split("/")[1].startswith(collection))])
    show("real against real", halves(real, np.random.default_rng(1)))
    show(
        "IXI against IXI",
        halves([one for one in healthy if one.person.split("/")[1].startswith("IXI")], np.random.default_rng(1)),
    )


if __name__ == "__main__":
    main()
