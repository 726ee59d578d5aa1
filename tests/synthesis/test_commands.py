"""The command as users type it, next to nnU-Net's own."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from nnunetv2_tf.commands import sets, synthesize
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import read_json, write_json
from tests.synthesis.making import make_set, temporary_files, written
from tests.workspace import BIN, QUIET, TINY, Workspace, stored

pytestmark = pytest.mark.slow

MAKE = ["nnUNetv2_tf_synthesize", "501", "3d_fullres", "0", "-m", "carvemix", "-p", TINY]


def test_a_stored_case_is_what_stock_preprocessing_makes_of_it(workspace: Workspace):
    """Promise 4, against nnUNetv2_preprocess on a dataset made of the set's NIfTI files and the same plans."""
    part = make_set(workspace, "cm4", plans="nnUNetPlans")
    stock = Dataset("Dataset601_Stock")
    for folder in ("imagesTr", "labelsTr"):
        shutil.copytree(part.folder / folder, stock.raw / folder)
    description = read_json(workspace.dataset.raw / "dataset.json", "") | {"numTraining": 4}
    for folder in (stock.raw, stock.preprocessed):
        write_json(folder / "dataset.json", description)
    plans = read_json(workspace.dataset.preprocessed / "nnUNetPlans.json", "")
    write_json(stock.preprocessed / "nnUNetPlans.json", plans | {"dataset_name": stock.name})
    workspace.run("nnUNetv2_preprocess", "-d", 601, "-plans_name", "nnUNetPlans", "-c", "3d_fullres", "-np", 1)
    ours = stored(part.preprocessed("nnUNetPlans_3d_fullres"))
    assert len(ours) == 12
    assert ours == stored(stock.preprocessed / "nnUNetPlans_3d_fullres")


def test_listed_exported_removed(workspace: Workspace, monkeypatch, capsys):
    """Like any other set. Training with such sets by command is in tests/scripts and tests/benchmark."""

    def typed(*options: str) -> str:
        monkeypatch.setattr(sys, "argv", ["nnUNetv2_tf_sets", "-d", "501", *options])
        assert sets.main() == 0
        return capsys.readouterr().out

    make_set(workspace, "cm3", num_cases=3)
    assert "carvemix" in typed()
    typed("--export", "-s", "cm3", "-o", "701")
    assert len(list(workspace.root.glob("nnUNet_raw/Dataset701_*/imagesTr/*cm3_0000*"))) == 3
    typed("--remove", "-s", "cm3")
    assert not (workspace.dataset.sets / "cm3").exists()


def test_killed_and_continued(workspace: Workspace):
    """One kill among many in benchmarks/kills.py: when the first cases are there and others are being written."""
    part = make_set(workspace, "killed", num_cases=8)
    expected, arrays = written(part), stored(part.preprocessed("nnUNetPlans_3d_fullres"))
    part.remove()
    command = [*MAKE, "-num_cases", "8", "-s", "killed", "-np", "2"]
    process = subprocess.Popen(
        [str(BIN / command[0]), *command[1:]], env={**os.environ, **QUIET, **workspace.variables},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not list(part.folder.glob("sidecars/*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not part.exists()
    make_set(workspace, "killed", num_cases=8)
    assert written(part) == expected
    assert stored(part.preprocessed("nnUNetPlans_3d_fullres")) == arrays
    assert temporary_files(workspace.root) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-s", "a"], "Say how many cases: -num_cases N"),
        (["-s", "a", "-num_cases", "0"], "a whole number of at least 1, not '0'"),
        (["-s", "a", "-num_cases", "1", "-kept_gb", "-1"], "a number of gigabytes, 0 or more, not '-1'"),
        (["-s", "a", "-num_cases", "1", "-kept_gb", "all"], "a number of gigabytes, 0 or more, not 'all'"),
        (["-s", "n50", "-num_cases", "1"], "A set cannot be called 'n50'"),
        (["-s", "a", "-num_cases", "1", "-num_parts", "2", "-part_id", "2"], "-part_id goes from 0 to 1, not 2"),
        (["-s", "a", "-num_cases", "1", "-num_parts", "2", "--overwrite"], "would delete what other parts have made"),
        (["-s", "a", "-num_cases", "1", "-seed", "-1"], "A seed is 0 or more"),
        (["-s", "a", "-num_cases", "1", "--overwrite", "--recipe_only"], "choose one of them"),
        (["-s", "a", "-recipe", "x", "-seed", "1"], "A recipe has its own seeds"),
        (["-s", "intensity", "-num_cases", "1"], "a folder of that name is ours already"),
    ],
)
def test_arguments_that_make_no_sense(workspace: Workspace, arguments, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [*MAKE, *arguments])
    try:
        code = synthesize.main()
    except SystemExit as stopped:  # argparse's
        code = stopped.code
    assert code == 2
    assert sentence in capsys.readouterr().err
    assert not workspace.dataset.sets.exists()
