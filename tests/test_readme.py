"""The README is true: every command block in it runs, in the order in which it stands there."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.codebase import codebase
from nnunetv2_tf.folders import VARIABLES, Dataset
from nnunetv2_tf.labels import MODALITIES
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.plans import write_tiny_plans
from nnunetv2_tf.work import write_json
from tests.conftest import enter
from tests.dataset_conversion.releases import write_case
from tests.environments import REPOSITORY, Environment
from tests.workspace import BIN, Workspace

pytestmark = pytest.mark.slow

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = [block.strip().splitlines() for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)]
COHORT = Brains(channel_names=MODALITIES)
INSTALL, BY_HAND, MAKE, *THE_WAY = BLOCKS
(MATRIX,) = map(json.loads, re.findall(r"```json\n(.*?)```", README, re.DOTALL))
ARMS = [arm if arm["method"] is None else {**arm, "num_cases": 4} for arm in MATRIX["arms"]]


def test_install(tmp_path: Path):
    """pip install in a fresh environment; the diagnosis only misses nnU-Net's folders."""
    environment = Environment.make(tmp_path)
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".venv", ".git", "build", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY, checkout, ignore=ignored)
    assert INSTALL == ["pip install .", "python -m nnunetv2_tf"]
    environment.run("pip", "install", "--quiet", checkout)
    assert environment.finds_trainers()
    assert BY_HAND == ["export nnUNet_extTrainer=$(python -m nnunetv2_tf --ext)"]
    folder = environment.run("python", "-m", "nnunetv2_tf", "--ext").stdout.strip()
    assert environment.finds_trainers(NNUNETV2_TF_NO_AUTOREG="1", nnUNet_extTrainer=folder)


def test_make_targets_exist_and_the_demo_ends_with_table_and_pictures(tmp_path: Path):
    """`make test` is what runs this test."""
    assert MAKE == ["make demo", "make test"]
    subprocess.run(["make", "--dry-run", "demo", "test"], cwd=REPOSITORY, check=True, capture_output=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "scripts/demo.sh", str(tmp_path / "demo"), "1"]  # one epoch, not five
    done = subprocess.run(command, cwd=REPOSITORY, env={**clean, "PATH": path}, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith("| arm | seeds | ET | TC | WT | mean |") for line in lines) == 1
    assert {line.split(" | ")[0] for line in lines if line.startswith("| ")} >= {"| nnunet", "| tf"}
    pictures = lines[-8:]  # stand-ins, synthetic cases, two plots, progress of two trainings and of two fits
    again = subprocess.run(
        ["bash", "scripts/demo.sh", str(tmp_path)], cwd=REPOSITORY, capture_output=True, encoding="utf-8"
    )
    assert (again.returncode, "is not an earlier demo" in again.stderr) == (2, True)
    assert all(Path(picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_the_way_so_far(tmp_path: Path):
    """On six stand-in patients named as in BraTS 2023, one epoch and four cases for 100, a tiny network, the CPU."""
    workspace = Workspace(tmp_path, Dataset("Dataset501_BraTS23T1"))
    for variable in VARIABLES:
        (tmp_path / variable).mkdir()
    for index in range(6):
        image, label = COHORT.draw(np.random.default_rng(index))
        write_case(tmp_path / "BraTS2023-GLI", "2023-gli", f"BraTS-GLI-{index:05d}-000", COHORT, image, label)
    for block in THE_WAY:
        for line in block:
            if "tf_benchmark" in line:
                write_json(tmp_path / "matrix.json", {**MATRIX, "folds": [0], "seeds": [0], "epochs": 1, "arms": ARMS})
            run(workspace, line)
            if "plan_and_preprocess" in line:
                with pytest.MonkeyPatch.context() as patch:
                    enter(workspace, patch)
                    write_tiny_plans(workspace.dataset, name="nnUNetPlans")
    raw = tmp_path / "nnUNet_raw"
    sets = {path.name for path in (raw / workspace.dataset.name / "tf").iterdir()}
    assert sets == {"cm100", "carvemixseed0"}  # `mine` was removed
    assert (raw / "Dataset701_BraTS23T1_mine" / "dataset.json").exists()
    trainers = {path.name.split("__")[0] for path in workspace.results.iterdir()}
    names = ("TFBaselineTrainer", "TFEnrichedTrainer_cm100", "TFEnrichedTrainer_mine")
    compared = {"TFBaselineTrainer_1epochs_seed0", "TFEnrichedTrainer_carvemixseed0_n4_1epochs_seed0"}
    assert trainers == {f"{name}_1epochs" for name in names} | compared
    assert "| carvemix | " in (tmp_path / "nnUNet_results" / "tf_benchmark" / "matrix" / "tables.md").read_text(
        encoding="utf-8"
    )


def run(workspace: Workspace, line: str) -> None:
    words = line.replace("_100epochs", "_1epochs").replace("-num_cases 100", "-num_cases 4").split()
    if words[0] == "nnUNetv2_train" or words[:2] == ["nnUNetv2_tf_benchmark", "run"]:
        words += ["-device", "cpu"]
    if words[:2] == ["nnUNetv2_tf_benchmark", "run"]:
        words += ["-np", "2", "--allow_changes"]
    expect = 0 if codebase().clean or words[1] != "verify" else 1  # a checkout that is being worked on
    workspace.run(*words, expect=expect)


def test_links_lead_somewhere():
    for page in [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
