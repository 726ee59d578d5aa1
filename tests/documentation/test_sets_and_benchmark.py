"""The guides' ways with CarveMix: sets made here, by Slurm's shares, or brought along, and the benchmark."""

import json
from pathlib import Path

import pytest

from nnunetv2_tf.conversion.brats.labels import MODALITIES
from nnunetv2_tf.dataset.code_version import code_version
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.standin.brains import Brains
from tests.documentation.blocks import commands, example, new_workspace, run, shortened

pytestmark = pytest.mark.exhaustive

CONVERT, _, PLAN, _, BASELINE, *_ = commands("README", "From raw folders to a trained model")
SLURM = [
    line.replace("0-9", "0-1").replace("cm100", "cmshared") for line in commands("guide/gpus_and_clusters", "Slurm")
]
LINES = [
    CONVERT,
    PLAN,
    BASELINE,
    *commands("guide/sets", "Make one"),
    *commands("guide/methods/cutmix", "CutMix"),
    *commands("guide/methods/mixup", "Mixup"),
    *SLURM,
    *commands("guide/sets", "Bring your own cases"),
    *commands("guide/sets", "Use it"),
    *commands("guide/benchmark", "Does it help? The benchmark"),
]
MATRIX = json.loads(example("guide/benchmark", "json"))
PATIENTS = [arm for arm in MATRIX["arms"] if "healthy" not in arm]  # test_tumor_fabrication has healthy scans
ARMS = [arm if arm["method"] is None else {**arm, "num_cases": 4} for arm in PATIENTS]
ARMS.append({"name": "mixup", "mixup": True})


def test_the_way(tmp_path: Path):
    workspace = new_workspace(tmp_path, Brains(channel_names=MODALITIES))
    for line in LINES:
        words, expect = shortened(line), 0
        if words[0] == "nnUNetv2_tf_benchmark":
            write_json(tmp_path / "matrix.json", {**MATRIX, "folds": [0], "seeds": [0], "epochs": 1, "arms": ARMS})
            words += ["-np", "2", "--allow_changes"] if words[1] == "run" else []
            # verify finds fault with a checkout that is being worked on
            expect = 1 if words[1] == "verify" and not code_version().clean else 0
        run(workspace, words, expect)
    raw = tmp_path / "nnUNet_raw"
    sets = {path.name for path in (raw / workspace.dataset.name / "tf").iterdir()}
    assert sets == {"cm100", "cx100", "cmshared", "carvemixseed0"}  # `mine` was removed
    assert (raw / "Dataset701_BraTS23T1_mine" / "dataset.json").exists()
    trainers = {path.name.split("__")[0] for path in workspace.results.iterdir()}
    made = ("cm100", "mine", "carvemixseed0_n4")
    names = ("TFBaselineTrainer", "TFMixupTrainer", *(f"TFEnrichedTrainer_{name}" for name in made))
    assert trainers == {f"{name}_1epochs_seed0" for name in names}
    tables = tmp_path / "nnUNet_results" / "tf_benchmark" / "matrix" / "tables.md"
    assert all(f"| {arm} | " in tables.read_text(encoding="utf-8") for arm in ("carvemix", "mixup"))
