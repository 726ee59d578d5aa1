"""README's way from healthy scans to tumours in them: conversion, a method of one's own, TF-Aug, TF-GAN, a training."""

import inspect
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.conversion.brats.labels import MODALITIES
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.standin.brains import Brains
from tests.conftest import enter
from tests.conversion.people import research, write_person
from tests.methods import examples
from tests.readme.blocks import blocks_by_section, new_workspace, run, shortened

pytestmark = pytest.mark.exhaustive

BLOCKS = blocks_by_section()
CONVERTED = BLOCKS["From raw data to an enriched nnU-Net"][0]
PLANNED = [line for line in BLOCKS["From raw data to an enriched nnU-Net"][1] if "plan_and_preprocess" in line]
INSTALLED, *HEALTHY = BLOCKS["Healthy scans"][0]
OWN = BLOCKS["Tumours in healthy scans"][0]
TF = [*BLOCKS["TF-Aug"][0], *BLOCKS["TF-GAN"][0]]
ADULTS = Brains(shape=(36, 44, 36), spacing=(4.6, 4.6, 4.6), channel_names=MODALITIES)


def test_the_way(tmp_path: Path):
    """TF-GAN's preset `brief` for its default, which trains ten times as long."""
    assert INSTALLED == "pip install '.[skullstrip]'"
    assert len(PLANNED) == 1
    workspace = new_workspace(tmp_path, ADULTS)
    write_healthy(tmp_path)
    write_own_method(tmp_path)
    for line in [*CONVERTED, *PLANNED, *HEALTHY, *OWN, *TF]:
        words = shortened(line)
        run(workspace, [*words, "-preset", "brief"] if "tf_gan" in words else words, PYTHONPATH=str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        for name in ("ta100", "tf100"):
            assert len(SetPart(workspace.dataset, name, 0).manifest().accepted) == 4
        assert (SetPart(workspace.dataset, "plan", 0).folder / "preview.png").exists()
        assert len(list((Dataset("Dataset601_Healthy").raw / "imagesTr").iterdir())) == 5
    folder = workspace.results / "TFEnrichedTrainer_tf100_1epochs__nnUNetPlans__3d_fullres" / "fold_0"
    assert (folder / "validation" / "summary.json").exists()


def write_healthy(root: Path) -> None:
    """Two people as in IXI, three as in BIDS, stripped and on a grid of their own."""
    cohort = research()
    for index in range(2):
        image, _ = cohort.draw(np.random.default_rng(100 + index))
        cohort.write(image[0], root / "IXI" / f"IXI{index:03d}-Guys-0828-T1.nii.gz")
    for index in range(3):
        write_person(cohort, root / "ds002748", index)


def write_own_method(root: Path) -> None:
    """A method with healthy hosts in a module of its own."""
    text = inspect.getsource(examples).replace("class Glow(", "class MyMethod(").replace("(Glow)", "(MyMethod)")
    (root / "my_module.py").write_text(text, encoding="utf-8")
