"""A small world that commands work in, and what they leave in it. In: a folder. Out: the world, jobs, what is in it.

Ten patients, four healthy people, tiny plans and a baseline of two steps, as the tests have them, and the same scans in
the layout of BraTS and in a folder of NIfTI files. Every job is a console command that works in one process.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, cast

import blosc2
import pytest

import nnunetv2_tf
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.io.written import are_whole
from nnunetv2_tf.standin.brains import healthy
from nnunetv2_tf.working_space.healthy import PreprocessHealthyRequest, preprocess_healthy
from nnunetv2_tf.working_space.preprocess import Stamp, StampedFolder, stored_files
from tests.conftest import enter, make_template
from tests.workspace import HEALTHY, TINY, TRAINER, Workspace

REAL = Dataset("Dataset501_StandIns")
SHORT = {"epochs": 2, "iterations": 1, "features": (4, 8, 8), "discriminator_features": (8, 8, 8), "levels": 3}
CACHED = ".kept"  # files that commands do without
STAMPS = ".stamps.json"  # they hold digests of arrays, whose bytes are not always the same for the same values
STAMP = re.compile(r"_\d{4}_\d\d?_\d\d?_\d\d_\d\d_\d\d")  # of the time, in names of logs


@dataclass(frozen=True)
class Job:
    """A command, and what has to be there before it."""

    name: str
    module: str  # of its command
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()  # jobs that run before, once
    reads: str = ""  # a file that it reads late, below the world, for trouble with it
    passes_over: bool = False  # what cannot be used is reported, with exit code 1, and does not stop the others


WHERE = ("501", "3d_fullres", "0")
JOBS = [
    Job("convert_brats", "convert_brats",
        ("-i", "brats", "-source", "2023-gli", "-modalities", "t1n", "-d", "502", "-name", "Again", "--copy",
         "-np", "1"),
        reads="brats/BraTS-GLI-00002-000/BraTS-GLI-00002-000-t1n.nii.gz"),
    Job("convert_healthy", "convert_healthy",
        ("-i", "people", "-d", "602", "-name", "People", "-reference", "501", "-layout", "folder", "-strip", "none",
         "-glob", "t1n=*_t1n.nii.gz", "--keep_outliers", "-np", "1"),
        reads="people/person_001_t1n.nii.gz", passes_over=True),
    Job("preprocess_healthy", "preprocess_healthy",
        ("-d", "501", "-healthy", "603", "-p", TINY, "-c", "3d_fullres", "-np", "1"),
        reads="nnUNet_raw/Dataset603_More/imagesTr/person_002_0000.nii.gz"),
    Job("fit", "fit", (*WHERE, "-m", "tf_gan", "-healthy", "601", "-p", TINY, "-tr", TRAINER, "-device", "cpu"),
        ("fit_tf_aug",), f"nnUNet_results/{REAL.name}/{TRAINER}__{TINY}__3d_fullres/fold_0/checkpoint_final.pth"),
    Job("synthesize", "synthesize",
        (*WHERE, "-m", "tf_aug", "-healthy", "601", "-p", TINY, "-num_cases", "2", "-s", "soaked", "-np", "1"),
        ("fit_tf_aug",), "nnUNet_raw/Dataset601_Healthy/imagesTr/person_003_0000.nii.gz"),
]  # fmt: skip
BEFORE = {
    "fit_tf_aug": Job("fit_tf_aug", "fit", (*WHERE, "-m", "tf_aug", "-healthy", "601", "-p", TINY, "-tr", TRAINER,
                                            "-device", "cpu")),
}  # fmt: skip


def preload() -> None:
    """Import all of the package, so that forks need not."""
    for module in walk_packages(nnunetv2_tf.__path__, "nnunetv2_tf."):
        if "._" not in module.name:
            import_module(module.name)


def shorten() -> None:
    """Cut the fits of this process to two steps."""
    for method in ("tf_aug", "tf_gan"):
        presets = import_module(f"nnunetv2_tf.methods.{method}").PRESETS
        for name, config in presets.items():
            presets[name] = replace(config, **{key: value for key, value in SHORT.items() if hasattr(config, key)})


def make_world(root: Path) -> None:
    """Make the world that jobs start from."""
    workspace = Workspace(root, REAL)
    root.mkdir(parents=True)
    make_template(root)
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        healthy().write_dataset(HEALTHY.raw, 4, seed=5, prefix="person")
        preprocess_healthy(PreprocessHealthyRequest("501", "601", TINY, ("3d_fullres",), 1))
        healthy().write_dataset(Dataset("Dataset603_More").raw, 3, seed=6, prefix="person")
        workspace.trainer(TRAINER).run_training()
        _write_sources(root, REAL, Dataset("Dataset603_More"))


def _write_sources(root: Path, patients: Dataset, people: Dataset) -> None:
    for number, label in enumerate(sorted((patients.raw / "labelsTr").glob("*.nii.gz"))[:3]):
        case = root / "brats" / f"BraTS-GLI-{number:05d}-000"
        case.mkdir(parents=True)
        image = patients.raw / "imagesTr" / label.name.replace(".nii.gz", "_0000.nii.gz")
        shutil.copy(image, case / f"{case.name}-t1n.nii.gz")
        shutil.copy(label, case / f"{case.name}-seg.nii.gz")
    (root / "people").mkdir()
    for image in sorted((people.raw / "imagesTr").glob("*_0000.nii.gz"))[:2]:
        shutil.copy(image, root / "people" / image.name.replace("_0000", "_t1n"))


def work_in(root: Path) -> None:
    """Let this process work in a world."""
    os.chdir(root)
    for variable in VARIABLES:
        os.environ[variable] = str(root / variable)


def command(job: Job) -> Callable[[], int]:
    """Return the console command of a job, as its entry point calls it."""
    return import_module(f"nnunetv2_tf.commands.{job.module}").main


def content(root: Path) -> dict[str, object]:
    """Return what is in a world: digests of files, and the values of arrays, by path without times."""
    found: dict[str, object] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != CACHED):
        name = STAMP.sub("", str(path.relative_to(root)))
        if path.suffix == ".b2nd":
            array = cast(Any, blosc2.open(str(path), mode="r"))
            found[name] = (array.shape, str(array.dtype), hash(array[:].tobytes()))
        elif path.name.endswith(STAMPS):
            folder = StampedFolder(path.with_name(path.name.removesuffix(STAMPS)))
            stamps = folder.stamps().items()
            found[name] = {case: (stamp.made_from, _are_there(folder, case, stamp)) for case, stamp in stamps}
        else:
            found[name] = file_digest(path)
    return found


def _are_there(folder: StampedFolder, case: str, stamp: Stamp) -> bool:
    return are_whole(folder.folder, stored_files(folder.folder, case), stamp.files)


def differing(first: dict[str, object], second: dict[str, object], volatile: Sequence[str] = ()) -> list[str]:
    """Return the names of what differs between two worlds, or is in one of them only."""
    names = first.keys() | second.keys()
    return sorted(name for name in names if first.get(name) != second.get(name) and name not in volatile)
