"""How scripts/paper.sh goes on; what it runs is tests/documentation/test_paper.py's, whole."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from nnunetv2_tf.dataset.folders import VARIABLES
from tests.environments import REPOSITORY


def paper(root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    folders = {name: str(root / name) for name in VARIABLES}
    environment = {**os.environ, **folders, "PATH": f"{root / 'bin'}:{os.environ['PATH']}", **variables}
    command = ["bash", REPOSITORY / "scripts" / "paper.sh", *words]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """All is converted and preprocessed; the benchmark's command notes what it is asked for and ends as told."""
    for name in (*VARIABLES, "bin"):
        (tmp_path / name).mkdir()
    for name in ("Dataset511_BraTS23T1", "Dataset611_Healthy"):
        (tmp_path / "nnUNet_raw" / name).mkdir()
        (tmp_path / "nnUNet_raw" / name / "dataset.json").touch()
    preprocessed = tmp_path / "nnUNet_preprocessed" / "Dataset511_BraTS23T1"
    preprocessed.mkdir()
    (preprocessed / ".paper").touch()
    noted = "BraTS IXI PPMI train 100 val 200 seed 0 strip auto"
    (tmp_path / "nnUNet_raw" / ".paper_511").write_text(f"{noted}\n", encoding="utf-8")
    program = tmp_path / "bin" / "nnUNetv2_tf_benchmark"
    lines = (
        "#!/bin/bash",
        f'echo "$1 $(basename "$2" .json)" >> {tmp_path}/asked',
        '[ "$1" = run ] && exit "${CODE:-0}"',
    )
    program.write_text("\n".join([*lines, '[ "$1" != verify ]', ""]), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def test_what_fails_stops_only_what_needs_it(prepared: Path):
    """A table with a failed arm is collected, and the next one is trained; a run that was stopped ends all."""
    done = paper(prepared, "BraTS", "IXI", "PPMI", CODE="1")
    assert done.returncode == 1, done.stderr
    steps = [f"{step} table{table}" for table in (1, 2, 3) for step in ("plan", "run", "collect", "verify")]
    assert (prepared / "asked").read_text(encoding="utf-8").splitlines() == steps
    (prepared / "asked").unlink()
    assert paper(prepared, "BraTS", "IXI", "PPMI", CODE="130").returncode == 130
    assert (prepared / "asked").read_text(encoding="utf-8").splitlines() == steps[:2]


def test_scans_of_other_settings_are_not_taken(prepared: Path):
    """Also when only the healthy ones are left."""
    (prepared / "nnUNet_raw" / "Dataset511_BraTS23T1" / "dataset.json").unlink()
    (prepared / "nnUNet_raw" / "Dataset511_BraTS23T1").rmdir()
    done = paper(prepared, "BraTS", "IXI", "Others")
    assert done.returncode == 2
    assert "dataset 511 was made with: BraTS IXI PPMI" in done.stderr
