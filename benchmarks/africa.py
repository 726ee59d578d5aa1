"""Real T1 scans with gliomas (BraTS-Africa) as nnU-Net datasets, made by the product's commands and nnU-Net's.

The scans are those in NNUNETV2_TF_REAL_DATA/BraTS-Africa. `prepare` takes the first eight by name, `prepare_all` all
thirty at 2.5 mm, for a network that a CPU can train, `prepare_steering` the eighteen that pictures and yardsticks may
look at: the twelve that validate in Dataset530 are kept for final results.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.commands import enter, is_converted, run
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import splits_file
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.working_space.network_plans import write_plans_with

DATASET = "Dataset508_Africa8"
ALL = "Dataset530_AfricaT1"
ALL_PLANS = "nnUNetPlans_25mm"
ALL_PATCH, ALL_FEATURES = (56, 72, 56), (16, 32, 64, 128)
STEERING = "Dataset531_AfricaSteer"
FINAL = tuple(f"BraTS-SSA-{n:05d}-000" for n in (7, 14, 28, 46, 56, 57, 74, 78, 115, 117, 119, 121))
STEERING_FOLDS = 3
HIDDEN = 4  # of a fold's training cases, whose labels are hidden to see how well they are guessed
# very probably one patient each
SAME_PATIENT = {
    "P115": ("BraTS-SSA-00115-000", "BraTS-SSA-00121-000"),
    "P76": ("BraTS-SSA-00076-000", "BraTS-SSA-00081-000"),
}


def prepare(
    root: Path, spacing: float | None = None, num_train: int = 4, num_val: int = 4, processes: int = 2
) -> Dataset:
    """Convert, plan and preprocess the first scans where that is not done yet; return the dataset.

    Args:
        root: where nnU-Net's folders go
        spacing: mm, for plans called nnUNetPlansCoarse; None: as nnU-Net plans
        num_train: how many cases train
        num_val: how many others validate
        processes: worked on at once
    """
    enter(root)
    dataset = Dataset(DATASET)
    name = "nnUNetPlans" if spacing is None else "nnUNetPlansCoarse"
    cases = sorted(path for path in _scans().iterdir() if path.is_dir())[: num_train + num_val]
    folder = _linked(root / "source", cases)
    _convert(dataset, folder, "-num_train", str(num_train), "-num_val", str(num_val), "-np", str(processes))
    if _incomplete(dataset, name):
        _plan(dataset, *([] if spacing is None else _coarse(spacing, name)), processes=processes)
    return dataset


def prepare_all(root: Path) -> Dataset:
    """Prepare all thirty scans by plans nnUNetPlans_25mm: 2.5 mm, the whole brain in one patch, 16 to 128 features.

    One split, 18 train and 12 validate: on a CPU, five folds would cost five times the training.
    """
    enter(root)
    dataset = Dataset(ALL)
    groups = _groups_file(root, [case for cases in SAME_PATIENT.values() for case in cases])
    _convert(dataset, _scans(), "-groups", groups, "-num_train", "18", "-num_val", "12")
    _plan_small(dataset)
    return dataset


def prepare_steering(root: Path) -> Dataset:
    """Prepare the eighteen scans that steer, by the same plans, in three folds that keep patients together."""
    enter(root)
    dataset = Dataset(STEERING)
    if not is_converted(dataset):
        folder = steering_folder(root)
        names = sorted((case.name for case in folder.iterdir()), key=lambda name: (_group_of(name), name))
        _convert(dataset, folder, "-groups", _groups_file(root, names))
        size = len(names) // STEERING_FOLDS
        parts = [names[fold * size : (fold + 1) * size] for fold in range(STEERING_FOLDS)]
        splits = [{"train": sorted(set(names) - set(part)), "val": sorted(part)} for part in parts]
        write_json(splits_file(dataset), splits)
    _plan_small(dataset)
    return dataset


def steering_folder(root: Path) -> Path:
    """Return a folder of links to the eighteen scans that steer."""
    cases = [path for path in sorted(_scans().iterdir()) if path.is_dir() and path.name not in FINAL]
    return _linked(root / "steering", cases)


def prepare_hidden(root: Path, fold: int) -> tuple[Dataset, Dataset]:
    """Prepare a fold of the eighteen with four of its training cases unlabelled.

    Returns:
        a dataset of the fold's other cases with one fold, 0, and one of the four, without their labels
    """
    steering = prepare_steering(root)
    split = read_json(splits_file(steering), "delete it.")[fold]
    alone = [case for case in split["train"] if _group_of(case) == case]
    hidden = set(np.random.default_rng([0, fold]).permutation(sorted(alone))[:HIDDEN].tolist())
    seen = sorted({*split["train"], *split["val"]} - hidden)
    labelled, unlabelled = (
        Dataset(f"Dataset{532 + fold}_AfricaSeen{fold}"),
        Dataset(f"Dataset{642 + fold}_Africa{fold}"),
    )
    if not is_converted(labelled):
        groups = _groups_file(root, seen)
        _convert(labelled, _linked(root / f"seen_{fold}", [_scans() / case for case in seen]), "-groups", groups)
    write_json(splits_file(labelled), [{"train": sorted(set(split["train"]) - hidden), "val": split["val"]}])
    _convert(unlabelled, _linked(root / f"hidden_{fold}", [_scans() / case for case in sorted(hidden)]), "--unlabelled")
    _plan_small(labelled)
    options = ["-unlabelled", unlabelled.number, "-p", ALL_PLANS, "-c", "3d_fullres", "-np", "1"]
    run("nnUNetv2_tf_preprocess_healthy", "-d", labelled.number, *options)
    return labelled, unlabelled


def _plan_small(dataset: Dataset) -> None:
    if _incomplete(dataset, ALL_PLANS):
        _plan(dataset, "--no_pp", *_coarse(2.5, ALL_PLANS))
        write_plans_with(dataset, ALL_PLANS, ALL_PLANS, ALL_PATCH, ALL_FEATURES)
        options = ["-plans_name", ALL_PLANS, "-c", "3d_fullres", "-np", "2"]
        run("nnUNetv2_preprocess", "-d", dataset.number, *options, nnUNet_def_n_proc="2")


def prepare_full(root: Path) -> Dataset:
    """Prepare all thirty scans by nnU-Net's own plans too, at 1 mm."""
    dataset = prepare_all(root)
    if _incomplete(dataset, "nnUNetPlans"):
        _plan(dataset)
    return dataset


def _convert(dataset: Dataset, folder: Path, *options: str) -> None:
    """Convert all cases of a folder into a raw dataset that is not there yet."""
    if is_converted(dataset):
        return
    identity = ["-i", str(folder), "-d", dataset.number, "-name", dataset.name[11:]]
    settings = ["-source", "2023-ssa", "-modalities", "t1n", *options]
    run("nnUNetv2_tf_convert_brats", *identity, *settings, nnUNet_def_n_proc="2")


def _scans() -> Path:
    return Path(os.environ["NNUNETV2_TF_REAL_DATA"]) / "BraTS-Africa"


def _linked(folder: Path, cases: Sequence[Path]) -> Path:
    """Return a folder that holds links to these cases only."""
    folder.mkdir(exist_ok=True)
    for case in cases:
        if not (folder / case.name).exists():
            (folder / case.name).symlink_to(case)
    return folder


def _group_of(case: str) -> str:
    return next((group for group, cases in SAME_PATIENT.items() if case in cases), case)


def _groups_file(root: Path, cases: Sequence[str]) -> str:
    """Write who is one patient, as far as names do not say, for -groups; return its path."""
    path = root / "groups.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        same = [(case, _group_of(case)) for case in cases if _group_of(case) != case]
        csv.writer(file).writerows([("case", "group"), *same])
    return str(path)


def _incomplete(dataset: Dataset, plans: str) -> bool:
    """Return whether preprocessing has not ended yet; it writes a .pkl per case last."""
    stored = list((dataset.preprocessed / f"{plans}_3d_fullres").glob("*.pkl"))
    return len(stored) < len(raw_cases(dataset))


def _plan(dataset: Dataset, *options: str, processes: int = 2) -> None:
    number = str(processes)
    command = ["nnUNetv2_plan_and_preprocess", "-d", dataset.number, "-c", "3d_fullres", "-np", number, "-npfp", number]
    run(*command, *options, nnUNet_def_n_proc=number)


def _coarse(spacing: float, name: str) -> list[str]:
    return ["-overwrite_target_spacing", *[f"{spacing:g}"] * 3, "-overwrite_plans_name", name]
