"""README's command blocks by section, and how the ways through them run on stand-ins."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.standin.brains import Brains
from tests.conftest import enter
from tests.conversion.releases import write_case
from tests.environments import REPOSITORY
from tests.workspace import Workspace, write_test_plans

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
Blocks = dict[str, list[list[str]]]


def blocks_by_section(text: str = README) -> Blocks:
    """Lines of the fenced command blocks below each heading (up to its colon); headings without one are left out."""
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    found = {}
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        blocks = [block.strip().splitlines() for block in re.findall(r"^```bash\n(.*?)^```", body, re.M | re.S)]
        if blocks:
            found[heading.partition(":")[0]] = blocks
    return found


def commands_outside_blocks(text: str = README) -> Iterator[str]:
    """Lines that look like commands, indented or in a fence that says nothing of it."""
    without = re.sub(r"^```bash\n.*?^```", "", text, flags=re.M | re.S)
    return (line for line in without.splitlines() if re.match(r" *(nnUNetv2_\w+ |pip |python -m |make )", line))


def new_workspace(root: Path, cohort: Brains) -> Workspace:
    """Empty folders of nnU-Net, and six stand-in patients named as in BraTS 2023 beside them."""
    for variable in VARIABLES:
        (root / variable).mkdir()
    for index in range(6):
        image, label = cohort.draw(np.random.default_rng(index))
        write_case(root / "BraTS2023-GLI", "2023-gli", f"BraTS-GLI-{index:05d}-000", cohort, image, label)
    return Workspace(root, Dataset("Dataset501_BraTS23T1"))


def shortened(line: str) -> list[str]:
    """The words of a command, with one epoch and four cases for 100, on the CPU."""
    line = line.replace("_100epochs", "_1epochs").replace("-num_cases 100", "-num_cases 4").replace("cuda", "cpu")
    words = line.split()
    wants_device = words[0] in ("nnUNetv2_train", "nnUNetv2_tf_fit") or words[:2] == ["nnUNetv2_tf_benchmark", "run"]
    return [*words, "-device", "cpu"] if wants_device else words


def run(workspace: Workspace, words: list[str], expect: int = 0, **extra: str) -> None:
    """Runs a command; plans become those of a tiny network."""
    workspace.run(*words, expect=expect, **extra)
    if "nnUNetv2_plan_and_preprocess" in words:
        with pytest.MonkeyPatch.context() as patch:
            enter(workspace, patch)
            write_test_plans(workspace.dataset, name="nnUNetPlans")
