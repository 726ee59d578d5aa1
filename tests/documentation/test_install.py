"""README's "Install", CONTRIBUTING's "Set-up": pip in a fresh environment, the folder named by hand, make targets."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.documentation.blocks import commands
from tests.environments import REPOSITORY, Environment

INSTALL, DIAGNOSE, *MAKE = commands("README", "Install")
(BY_HAND,) = commands("reference/trainer_names", "When nnU-Net does not find them")
SET_UP = commands("CONTRIBUTING", "Set-up")


@pytest.mark.slow
def test_install(tmp_path: Path):
    """The diagnosis only misses nnU-Net's folders."""
    environment = Environment.make(tmp_path)
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".venv", ".git", "build", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY, checkout, ignore=ignored)
    assert (INSTALL, DIAGNOSE) == ("pip install '.[skullstrip]'", "python -m nnunetv2_tf")
    environment.run("pip", "install", "--quiet", f"{checkout}[skullstrip]")
    assert environment.finds_trainers()
    assert BY_HAND == "export nnUNet_extTrainer=$(python -m nnunetv2_tf --ext)"
    folder = environment.run("python", "-m", "nnunetv2_tf", "--ext").stdout.strip()
    assert environment.finds_trainers(NNUNETV2_TF_NO_AUTOREG="1", nnUNet_extTrainer=folder)


def test_make_targets_exist():
    """`make test` is what runs this test; what `make demo` does is in tests/scripts."""
    assert [*MAKE, *SET_UP] == ["make demo", "make test", "make test-fast", "make lint types docs"]
    targets = [word for line in (*MAKE, *SET_UP) for word in line.split()[1:]]
    planned = subprocess.run(
        ["make", "--dry-run", *targets], cwd=REPOSITORY, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    for program in ("-m scripts.demo build/demo", "-m pytest", "ruff check", "pyright", "-m mkdocs build"):
        assert program in planned
