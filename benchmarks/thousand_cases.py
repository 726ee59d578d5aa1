"""Does a thousand cases take ten times what a hundred take, and no more memory? How long until a training begins?

    python -m benchmarks.thousand_cases FOLDER [-np 2] [-numbers 100 500 1000] [-entries 10 1000 10000]

Makes sets of so many cases of stand-ins with CarveMix and preprocesses them, by the command, each from nothing: seconds
per case and the most memory of any of its processes, against the first number. Then copies the files of a few cases
under other names (as links) until a manifest has so many entries, and measures from nnUNetv2_train's trainer object
until its first batch, against TFBaselineTrainer without a set.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from benchmarks.commands import measured
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.working_space.preprocess import stored_files
from tests.conftest import enter, make_template
from tests.workspace import TINY, Workspace

CASES = 10  # that are copied under other names
MAKE = ("3d_fullres", "0", "-m", "carvemix", "-p", TINY, "-num_cases")
REPEATS = 3  # of each start


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where the world goes; what is there is deleted")
    parser.add_argument("-np", type=int, default=2, help="cases worked on at once (default: 2)")
    parser.add_argument("-numbers", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("-entries", type=int, nargs="+", default=[10, 1000, 10000])
    parser.add_argument("--start", metavar="TRAINER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    os.environ |= {"nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "0", "OMP_NUM_THREADS": "1"}
    workspace = Workspace(root, Dataset("Dataset501_StandIns"))
    if arguments.start:
        _start(workspace, arguments.start)
        return
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    make_template(root)
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        _throughput(workspace, arguments.numbers, arguments.np)
        _starts(workspace, arguments.entries)


def _throughput(workspace: Workspace, numbers: list[int], processes: int) -> None:
    print("| cases | s per case | against the first | GiB at most | against the first |\n|---|---|---|---|---|")
    first: tuple[float, float] | None = None
    for number in numbers:
        seconds, memory = measured(
            "nnUNetv2_tf_synthesize", workspace.id, *MAKE, str(number), "-s", f"many{number}x", "-np", str(processes)
        )
        figures = (seconds / number, memory)
        first = first or figures
        ratios = [now / then for now, then in zip(figures, first, strict=True)]
        print(f"| {number} | {figures[0]:.3f} | {ratios[0]:.2f} | {memory:.2f} | {ratios[1]:.2f} |", flush=True)


def _starts(workspace: Workspace, numbers: list[int]) -> None:
    measured("nnUNetv2_tf_synthesize", workspace.id, *MAKE, str(CASES), "-s", "few", "-np", "2")
    for number in numbers:
        _multiply(workspace, SetPart(workspace.dataset, "few", 0), f"copied{number}x", number)
    trainers = {0: "TFBaselineTrainer"} | {number: f"TFEnrichedTrainer_copied{number}x" for number in numbers}
    seconds: dict[int, list[float]] = {number: [] for number in trainers}
    memory: dict[int, float] = {}
    for _ in range(REPEATS):
        for number, trainer in trainers.items():
            command = [sys.executable, "-m", "benchmarks.thousand_cases", str(workspace.root), "--start", trainer]
            said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.splitlines()[-1]
            took, memory[number] = map(float, said.split())
            seconds[number].append(took)
    print("\n| entries | s until the first batch | more than without a set | GiB at most |\n|---|---|---|---|")
    for number, several in seconds.items():
        extra = median(several) - median(seconds[0])
        print(f"| {number or 'no set'} | {median(several):.2f} | {extra:.2f} | {memory[number]:.2f} |")


def _multiply(workspace: Workspace, few: SetPart, name: str, number: int) -> None:
    """Make a set of so many cases out of the files of a few."""
    many = SetPart(workspace.dataset, name, 0)
    manifest, plan = few.manifest(), workspace.plan()
    arrays = few.preprocessed(plan.data_identifier), many.preprocessed(plan.data_identifier)
    stamps_of = [folder.with_name(f"{folder.name}.stamps.json") for folder in arrays]
    stored = read_json(stamps_of[0], "")
    entries, stamps = [], {}
    for index in range(number):
        entry = manifest.cases[index % len(manifest.cases)]
        case = f"{name}_{index:05d}"
        pairs = zip(few.files(entry, ".nii.gz").images, many.case_files(case, ".nii.gz", 1).images, strict=True)
        labels = few.files(entry, ".nii.gz").label, many.case_files(case, ".nii.gz", 1).label
        for source, target in [*pairs, labels]:
            _link(source, target)
        for source, target in zip(stored_files(arrays[0], entry.case), stored_files(arrays[1], case), strict=True):
            _link(source, target)
        files = {path.replace(entry.case, case): value for path, value in stored[entry.case]["files"].items()}
        stamps[case] = {**stored[entry.case], "files": files}
        replace(few.sidecar(entry.case), case=case, files={}).write(many.sidecar_path(case))
        entries.append(replace(entry, case=case))
    shutil.copy(few.config_path, many.config_path)
    write_json(stamps_of[1], stamps)
    replace(manifest, set=name, cases=tuple(entries)).write(many.manifest_path)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)


def _start(workspace: Workspace, name: str) -> None:
    """Print how long a trainer takes from its making to its first batch, and the memory."""
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        workspace.trainer("TFBaselineTrainer")  # what is imported once counts for none
        began = perf_counter()
        trainer = workspace.trainer(name)
        trainer.on_train_start()
        next(trainer.dataloader_train)
        print(perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


if __name__ == "__main__":
    main()
