"""How well can healthy scans be told from the tumour-free tissue of real ones?

    python -m benchmarks.cohort_gap FOLDER

FOLDER is that of benchmarks.healthy_cohort, which makes the datasets. Patches of 24 mm at 1 mm, 16 of each scan, at
least 5 mm away from the tumour. Besides the cohorts as they are: healthy scans that took over the appearance of
training cases of fold 0 (a random one each, at 1 mm), also against the cases that validate, whose appearance nobody
took; only their brightness, and only their sharpness; each collection for itself; and, as a check, halves of one
cohort, which nothing should tell apart.
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
from nnunetv2_tf.dataset.cases import CaseFiles, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups
from nnunetv2_tf.quality.cohort_gap import Brain, cohort_gap
from nnunetv2_tf.synthesis.harmonise import Z_SCORED, Appearance, harmonise
from nnunetv2_tf.synthesis.sharpness import FREQUENCIES
from nnunetv2_tf.working_space.stored import Case

SIZE, PATCHES, AWAY = 24, 16, 5


def brains(dataset: Dataset, real: bool) -> list[Brain]:
    """Return the scans of a dataset, cut to where there is brain in most."""
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


def harmonised(brain: Brain, healthy: Case, model: Case, brightness: bool, sharpness: bool) -> Brain:
    """Return a healthy scan with the appearance of a training case, or a part of it.

    Args:
        brain: the scan, as it is
        healthy: the same scan in working space, which does not resample it: both have 1 mm
        model: the training case
        brightness: whether to take over its brightness
        sharpness: whether to take over its sharpness
    """
    case, appearance = healthy.open(), Appearance.of(model)
    assert not case.grid.resampled
    if not sharpness:
        appearance = replace(appearance, spectra=(((0.0,) * FREQUENCIES,) * 3,))
    if not brightness:
        appearance = replace(appearance, brightness=Appearance.of(healthy).brightness)
    stored = case.image()
    changed = harmonise(stored, case.organ(), case.grid.spacing, appearance, [Z_SCORED]).image[0]
    image = np.zeros(case.grid.native_shape, np.float32)
    z, y, x = (slice(a, a + size) for a, size in zip(case.grid.start, case.grid.cropped, strict=True))
    image[z, y, x] = np.where(stored[0] != 0, changed * case.intensity.sd[0] + case.intensity.mean[0], 0)
    box = tuple(slice(size // 8, size - size // 8) for size in image.shape)
    return replace(brain, image=np.where(brain.brain, np.maximum(np.rint(image[box]), 1), 0))


def show(title: str, cohort: Sequence[Brain]) -> None:
    """Print one line of the result."""
    gap = cohort_gap(cohort, SIZE, PATCHES, np.random.default_rng(0))
    real = sum(brain.real for brain in cohort)
    print(f"{title} ({real} real, {len(cohort) - real} healthy): {gap}")


def halves(cohort: Sequence[Brain], rng: np.random.Generator) -> list[Brain]:
    """Return a cohort of which a random half of the people is called healthy, and the other half real."""
    people = sorted({brain.person for brain in cohort})
    half = {people[index] for index in rng.permutation(len(people))[: len(people) // 2]}
    return [replace(brain, real=brain.person not in half) for brain in cohort]


def main() -> None:
    """Print a line per comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the folder of benchmarks.healthy_cohort")
    root = parser.parse_args().root.resolve()
    enter(root)
    real, healthy = brains(Dataset(ALL), True), brains(Dataset(f"Dataset{NUMBER}_{NAME}"), False)
    show("all", [*real, *healthy])
    hosts = prepared(root)
    training, rng = sorted(hosts.cohort.training), np.random.default_rng(0)
    models = [hosts.cohort.training[training[rng.integers(len(training))]] for _ in healthy]
    people = {"/".join(hosts.cohort.training[name].group) for name in training}
    unseen = [brain for brain in real if brain.person not in people]
    show("all against those that validate", [*unseen, *healthy])
    for title, what in (("harmonised", (True, True)), ("brightness", (True, False)), ("sharpness", (False, True))):
        pairs = zip(healthy, hosts.cases.values(), models, strict=True)
        after = [harmonised(brain, case, model, *what) for brain, case, model in tqdm(list(pairs), desc=title)]
        show(title, [*real, *after])
        if all(what):
            show(f"{title} against those that validate", [*unseen, *after])
    for collection in ("IXI", "ds000011", "ds002748"):
        show(collection, [*real, *_of_collection(healthy, collection)])
    show("real against real", halves(real, np.random.default_rng(1)))
    show("IXI against IXI", halves(_of_collection(healthy, "IXI"), np.random.default_rng(1)))


def _of_collection(brains: Sequence[Brain], collection: str) -> list[Brain]:
    """Return the healthy scans of one collection, which begins the names of its people."""
    return [brain for brain in brains if brain.person.split("/")[1].startswith(collection)]


if __name__ == "__main__":
    main()
