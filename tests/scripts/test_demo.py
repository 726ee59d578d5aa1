"""The demo, with tiny steps: one line a stage, logs that are named, a table, a sentence and a picture."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import REPOSITORY

pytestmark = pytest.mark.slow

SIZES = {
    "num_train": 2,
    "num_val": 2,
    "num_healthy": 2,
    "num_cases": 2,
    "epochs": 1,
    "size": 20,
    "patch": 16,
    "width": 4,
}
SMALL = [text for name, value in {**SIZES, "width": 4, "processes": 1}.items() for text in (f"-{name}", str(value))]


def demo(*arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
    command = [sys.executable, "-m", "scripts.demo", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, env={**clean, **extra}, capture_output=True, encoding="utf-8")


def test_from_nothing_to_a_table_and_a_picture(tmp_path: Path):
    done = demo(tmp_path / "demo", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    stages = [line for line in lines if re.match(r"\d/6 .*\.\. +\d+ s  ", line)]
    assert len(stages) == 6
    assert all((REPOSITORY / line.split()[-1]).stat().st_size for line in stages)
    assert [line.split()[0] for line in lines if re.match(r"(nnU-Net|CarveMix|TF-Aug) +\d", line)] == [
        "nnU-Net", "CarveMix", "TF-Aug",
    ]  # fmt: skip
    assert len(lines) < 27
    picture = Path(lines[-1].removeprefix("Picture: "))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").touch()
    done = demo(tmp_path)
    assert (done.returncode, "is not an earlier demo" in done.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_stage_that_fails_shows_the_end_of_its_log(tmp_path: Path):
    done = demo(tmp_path / "demo", *SMALL[2:], "-num_train", "0")
    assert done.returncode == 1
    assert "Error: -num_train 0 of 2 cases leaves one side empty" in done.stdout
    assert re.search(r"all it said: .*1_make_2_patients", done.stdout)
