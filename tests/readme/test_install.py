"""README's "Install" and "Try it": pip in a fresh environment, the folder named by hand, the make targets."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.environments import REPOSITORY, Environment
from tests.readme.blocks import blocks_by_section

BLOCKS = blocks_by_section()


@pytest.mark.slow
def test_install(tmp_path: Path):
    """The diagnosis only misses nnU-Net's folders."""
    first, by_hand = BLOCKS["Install"]
    environment = Environment.make(tmp_path)
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".venv", ".git", "build", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY, checkout, ignore=ignored)
    assert first == ["pip install .", "python -m nnunetv2_tf"]
    environment.run("pip", "install", "--quiet", checkout)
    assert environment.finds_trainers()
    assert by_hand == ["export nnUNet_extTrainer=$(python -m nnunetv2_tf --ext)"]
    folder = environment.run("python", "-m", "nnunetv2_tf", "--ext").stdout.strip()
    assert environment.finds_trainers(NNUNETV2_TF_NO_AUTOREG="1", nnUNet_extTrainer=folder)


def test_make_targets_exist():
    """`make test` is what runs this test; what `make demo` does is in tests/scripts."""
    assert BLOCKS["Try it"] == [["make demo", "make test"]]
    planned = subprocess.run(
        ["make", "--dry-run", "demo", "test"], cwd=REPOSITORY, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    assert "-m scripts.demo build/demo" in planned
    assert "-m pytest" in planned
