"""Command blocks of README and guides by page and heading, and how the ways through them run on stand-ins."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.standin.brains import Brains
from tests.conftest import enter
from tests.conversion.people import write_person
from tests.conversion.releases import write_case
from tests.environments import REPOSITORY
from tests.workspace import BIN, Workspace, write_test_plans

DOCS = REPOSITORY / "docs"
PAGES = {
    "README": REPOSITORY / "README.md",
    "CONTRIBUTING": REPOSITORY / "CONTRIBUTING.md",
    **{
        str(path.relative_to(DOCS).with_suffix("")): path
        for folder in ("guide", "reference", "explanation")
        for path in sorted((DOCS / folder).rglob("*.md"))
    },
}
ADULTS = {"shape": (36, 44, 36), "spacing": (4.6, 4.6, 4.6)}  # heads of an adult's size


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def sections(page: str) -> dict[str, list[str]]:
    """Lines of the fenced command blocks below each heading; headings without one are left out."""
    parts = re.split(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    blocks = {
        heading: re.findall(r"^```bash\n(.*?)^```", body, re.M | re.S)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }
    joined = {heading: "\n".join(map(str.strip, found)) for heading, found in blocks.items() if found}
    return {str(heading): lines.splitlines() for heading, lines in joined.items()}


def commands(page: str, heading: str) -> list[str]:
    """The command lines below a heading of a page."""
    return sections(page)[heading]


def commands_outside_blocks(text: str) -> Iterator[str]:
    """Lines that look like commands, indented or in a fence that says nothing of it."""
    without = re.sub(r"^```(bash|text)\n.*?^```", "", text, flags=re.M | re.S)
    return (line for line in without.splitlines() if re.match(r" *(nnUNetv2_\w+ |pip |python -m |make )", line))


def example(page: str, language: str) -> str:
    """The one fenced block of a language in a page."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.M | re.S)
    return block


def new_workspace(root: Path, cohort: Brains) -> Workspace:
    """Empty folders of nnU-Net, and beside them eight patients as in BraTS 2023, two without label, and a method."""
    for variable in VARIABLES:
        (root / variable).mkdir()
    for index in range(6):
        image, label = cohort.draw(np.random.default_rng(index))
        write_case(root / "BraTS2023-GLI", "2023-gli", f"BraTS-GLI-{index:05d}-000", cohort, image, label)
    for index in range(6, 8):
        image, label = cohort.draw(np.random.default_rng(index))
        name = f"BraTS-GLI-{index:05d}-000"
        write_case(root / "BraTS2023-Validation", "2023-gli", name, cohort, image, label)
        (root / "BraTS2023-Validation" / name / f"{name}-seg.nii.gz").unlink()
    (root / "my_module.py").write_text(example("CONTRIBUTING", "python"), encoding="utf-8")
    return Workspace(root, Dataset("Dataset501_BraTS23T1"))


def write_healthy(root: Path, cohort: Brains) -> None:
    """Two people as in IXI, three as in BIDS, stripped and on a grid of their own."""
    for index in range(2):
        image, _ = cohort.draw(np.random.default_rng(100 + index))
        cohort.write(image[0], root / "IXI" / f"IXI{index:03d}-Guys-0828-T1.nii.gz")
    for index in range(3):
        write_person(cohort, root / "ds002748", index)


SHORT = {"tf_gan", "pix2pix", "freetumor", "autoencoder", "difftumor"}  # methods with a preset for a short time


def shortened(line: str) -> list[str]:
    """The words of a command, with one epoch and four cases, on the CPU, GANs by their short presets."""
    line = re.sub(r"_\d+epochs", "_1epochs", re.sub(r"-num_cases \d+", "-num_cases 4", line)).replace("cuda", "cpu")
    line = re.sub(r"(TFOnlineTrainer_tf_gan_h\d+)", r"\1_brief", line)
    words = line.split()
    on_gpus = ("nnUNetv2_train", "nnUNetv2_tf_fit", "nnUNetv2_tf_enrich")
    wants_device = words[0] in on_gpus or words[:2] == ["nnUNetv2_tf_benchmark", "run"]
    device = ["-device", "cpu"] if wants_device and "-device" not in words else []
    if words[0] == "nnUNetv2_tf_enrich" and "-tr" not in words:  # whose default is a baseline of a hundred epochs
        device += ["-tr", "TFBaselineTrainer_1epochs_seed0"]
    return [*words, *device, *(["-preset", "brief"] if SHORT & {*words} else [])]


def run(workspace: Workspace, words: list[str], expect: int = 0) -> None:
    """Runs a command; plans become those of a tiny network. `sbatch --array` runs the shares one after the other."""
    if words[0] == "export":  # tests have variables of their own
        return
    extra: Any = {"PYTHONPATH": str(workspace.root)}
    if words[0] == "sbatch":
        first, last = map(int, words[1].removeprefix("--array=").split("-"))
        for share in range(first, last + 1):
            array = {"MIN": first, "MAX": last, "ID": share}
            extra |= {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in array.items()}
            extra |= {"SLURM_CPUS_PER_TASK": "1", "PATH": f"{BIN}:{os.environ['PATH']}"}
            workspace.run("/bin/bash", REPOSITORY / words[2], *words[3:], **extra)
        return
    workspace.run(*words, expect=expect, **extra)
    if "nnUNetv2_plan_and_preprocess" in words:
        name = words[words.index("-overwrite_plans_name") + 1] if "-overwrite_plans_name" in words else "nnUNetPlans"
        with pytest.MonkeyPatch.context() as patch:
            enter(workspace, patch)
            write_test_plans(workspace.dataset, source=name, name=name)
