"""The paper's tables from raw folders, on stand-ins in the layouts of BraTS 2023, IXI and PPMI."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunetv2_tf.conversion.brats.labels import MODALITIES
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.standin.brains import Brains
from tests.conftest import enter
from tests.conversion.people import research
from tests.documentation.blocks import ADULTS, commands, new_workspace
from tests.environments import REPOSITORY
from tests.workspace import BIN, Workspace, write_test_plans

LOOK, DO, ONE = commands("guide/benchmark", "The paper's tables")
PAPERS = "nnUNetPlans_paper"
SMALL: dict[str, Any] = {
    "NUM_TRAIN": "4", "NUM_VAL": "2", "PRESET": "brief", "EPOCHS": "1", "NUM_SEEDS": "1", "DEVICE": "cpu", "NP": "1",
    "STRIP": "none", "LABELLED": "501", "HEALTHY": "601",
    "nnUNet_n_proc_DA": "1", "PATH": f"{BIN}:{os.environ['PATH']}",
}  # fmt: skip


def write_people(root: Path) -> None:
    """Two as in IXI, two as in PPMI's archive."""
    cohort = research()
    for index in range(4):
        image, _ = cohort.draw(np.random.default_rng(100 + index))
        name = f"PPMI_{3000 + index}_MR_MPRAGE_br_raw_20110101120000000_1_S1_I{index}.nii"
        visit = root / "PPMI" / str(3000 + index) / "MPRAGE" / "2011-01-01_12_00_00.0" / f"I{index}"
        path = root / "IXI" / f"IXI{index:03d}-Guys-0828-T1.nii.gz" if index < 2 else visit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cohort.write(image[0], path)


def typed(workspace: Workspace, line: str, **extra: str) -> str:
    """What a command of the guide says."""
    words = [str(REPOSITORY / word) if word.startswith("scripts/") else word for word in line.split()]
    program = "/bin/bash" if words[0] == "bash" else words[0]
    return workspace.run(program, *words[1:], **{**SMALL, **extra}).stdout


@pytest.mark.exhaustive
def test_from_raw_folders_to_the_tables(tmp_path: Path):
    workspace = new_workspace(tmp_path, Brains(**ADULTS, channel_names=MODALITIES))
    write_people(tmp_path)
    said = typed(workspace, LOOK)
    assert "table1.json: table 1 of the paper on Dataset501_BraTS23T1, preset brief." in said
    assert "4 trainings of 1 epochs: 4 missing" in said
    assert "On disk about" in said
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        assert len(raw_cases(workspace.dataset)) == 6
        write_test_plans(workspace.dataset, source=PAPERS, name=PAPERS)
    said = typed(workspace, DO, TABLES="1 2", nnUNet_n_proc_DA="0")
    assert said.count("All ") == 2  # verified
    folder = workspace.results.parent / "tf_benchmark"
    for table, pictures in ((1, ("forest", "scatter", "samples")), (2, ("forest", "scatter", "samples", "dose"))):
        for name in pictures:
            assert (folder / f"table{table}" / f"{name}_Dataset501_BraTS23T1.png").exists()
    assert "paper: ET" in (folder / "table1" / "tables.md").read_text(encoding="utf-8")
    again = typed(workspace, DO, TABLES="1 2", nnUNet_n_proc_DA="0")
    assert again.count("Nothing is left to do.") == 4  # of each table, by plan and by run
    assert "table 1 of the paper on Dataset501_BraTS23T1, preset paper" in typed(workspace, ONE)
