"""The command as users type it, on stand-ins: an arm that is done, one that fails, one that trains."""

import csv
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunetv2_tf.baseline.checkpoint import RECORD
from nnunetv2_tf.benchmark.checks import claim_folder
from nnunetv2_tf.benchmark.fits import fits_of
from nnunetv2_tf.benchmark.matrix import Training, read_matrix
from nnunetv2_tf.benchmark.postprocessing import Postprocessing
from nnunetv2_tf.commands import benchmark
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.code_version import CodeVersion, code_version
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.json_dataclass import to_json
from tests.benchmark.examples import CARVEMIX, NNUNET, matrix
from tests.conftest import Once, entered_copy, extended
from tests.environments import REPOSITORY
from tests.synthesis.making import make_set
from tests.workspace import TINY, TRAINER, Workspace

MAKING: dict[str, Any] = {"name": "making", "method": "syntumor", "healthy": 601, "online": True, "percent": 40}
FAILING = {"name": "failing", "method": "tests.benchmark.examples:LearnsAndFails", "healthy": 601, "num_cases": 2}
EXTRA: dict[str, Any] = {"PYTHONPATH": str(REPOSITORY), "nnUNet_n_proc_DA": "0"}
RUN = ["nnUNetv2_tf_benchmark", "run", "matrix.json", "-device", "cpu", "-o", "results", "--allow_changes"]


def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *words: str, expect: int = 0) -> str:
    """What the command says, in this process."""
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_benchmark", *words])
    capsys.readouterr()
    assert benchmark.main() == expect
    return capsys.readouterr().out


@pytest.fixture
def validated(trained_template: Workspace, once: Once, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """`trained`, whose baseline has segmented its validation cases, too."""

    def validate(copy: Workspace) -> None:
        trainer = copy.trainer(TRAINER)
        trainer.load_checkpoint(
            str(copy.results / f"{TRAINER}__{TINY}__3d_fullres" / "fold_0" / "checkpoint_final.pth")
        )
        trainer.perform_actual_validation()

    return entered_copy(extended(once, "validated", trained_template, validate), tmp_path, monkeypatch)


@pytest.mark.slow
def test_from_matrix_to_tables(validated: Workspace, monkeypatch, capsys):
    """The baseline is there, one arm is fitted and then fails, one makes its cases while it trains."""
    workspace = validated
    monkeypatch.chdir(workspace.root)
    content = to_json(matrix(NNUNET, CARVEMIX))
    write_json(workspace.root / "matrix.json", {**content, "arms": [content["arms"][0], FAILING, MAKING]})
    planned = typed(monkeypatch, capsys, "plan", "matrix.json")
    assert "3 trainings of 1 epochs: 1 done, 2 missing" in planned
    assert planned.count("nnUNetv2_tf_fit ") == 1
    assert "With 2 validation cases no difference can be told from chance" in planned
    nnunet, failing, making = read_matrix(workspace.root / "matrix.json").trainings()
    planned = typed(monkeypatch, capsys, "plan", "matrix.json", "-arms", "nnunet", "making")
    assert making.key in planned
    assert failing.key not in planned
    assert "nnUNetv2_tf_fit " not in planned

    said = workspace.run(*RUN, expect=1, **EXTRA).stdout
    assert "1 training failed" in said
    assert (
        f"{failing.key}: nnUNetv2_tf_synthesize ended with exit code 1: RuntimeError: this method always fails" in said
    )
    assert [training.state for training in (nnunet, failing, making)] == ["done", "missing", "done"]
    assert making.folder.parent.name.startswith("TFOnlineTrainer_syntumor_h601_1epochs_seed0_p40__")
    (fit,) = fits_of(failing)
    assert read_json(fit.folder / "config.json", "")["baseline"]["trainer"] == nnunet.trainer
    assert (workspace.root / "results" / "logs" / f"{fit.key}.log").exists()
    assert "In all about" in typed(monkeypatch, capsys, "plan", "matrix.json", "-device", "cpu")

    collected = typed(monkeypatch, capsys, "collect", "matrix.json", "-o", "results", "-np", "1")
    assert "2 of 3 trainings are done" in collected
    check_results(workspace.root / "results", nnunet, making)
    verified = typed(monkeypatch, capsys, "verify", "matrix.json", expect=1)
    expected = 1 if code_version().clean else 3  # besides, two trainings by a changed checkout
    assert verified.count("PROBLEM") == expected
    assert f"PROBLEM: {failing.key} is not trained yet (missing)" in verified
    checkpoint = torch.load(making.folder / "checkpoint_final.pth", weights_only=False)
    checkpoint[RECORD]["enrichment"] |= {"percent": 50}
    torch.save(checkpoint, making.folder / "checkpoint_final.pth")
    said = typed(monkeypatch, capsys, "verify", "matrix.json", expect=1)
    assert f"PROBLEM: {making.key}: it made other cases while it trained" in said
    check_kept_scores(workspace, making, monkeypatch, capsys)
    write_json(workspace.dataset.preprocessed / "splits_final.json", [other_split(workspace)])
    said = typed(monkeypatch, capsys, "verify", "matrix.json", expect=1)
    for sentence in (
        "it trained and validated on other cases than splits_final.json has now",
        "its validation folder does not hold the cases of the fold",
    ):
        assert f"PROBLEM: {nnunet.key}: {sentence}" in said, sentence


def check_kept_scores(workspace: Workspace, gone: Training, monkeypatch, capsys) -> None:
    """What only a table knows counts where the table is given, and is not lost where it is not."""
    shutil.rmtree(gone.folder)
    table = workspace.root / "results" / "tables.md"
    before = table.read_text(encoding="utf-8")
    planned = typed(monkeypatch, capsys, "plan", "matrix.json", "-scores", "results/benchmark.csv")
    assert f"scored   {gone.key}" in planned
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_benchmark", "collect", "matrix.json", "-o", "results"])
    assert benchmark.main() == 2
    assert f"(first: {gone.key}); keep them with -scores" in capsys.readouterr().err
    lines = (workspace.root / "results" / "benchmark.csv").read_text(encoding="utf-8").splitlines()
    fewer = "\n".join(line for line in lines if f",{gone.arm.name}," not in line)
    (workspace.root / "fewer.csv").write_text(f"{fewer}\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", [*sys.argv, "-scores", "fewer.csv"])
    assert benchmark.main() == 2
    assert f"(first: {gone.key}); keep them with -scores" in capsys.readouterr().err
    options = ("-o", "results", "-np", "1", "-scores", "results/benchmark.csv")
    assert "2 of 3 trainings are done" in typed(monkeypatch, capsys, "collect", "matrix.json", *options)
    assert table.read_text(encoding="utf-8") == before


@pytest.mark.exhaustive
def test_few_labels_in_bfloat16_with_postprocessing(workspace: Workspace, monkeypatch, capsys):
    monkeypatch.chdir(workspace.root)
    settings = {"train_cases": (4,), "precision": "bf16", "postprocessing": "nnunet"}
    write_json(workspace.root / "matrix.json", to_json(matrix(NNUNET, **settings)))
    said = workspace.run(*RUN, **EXTRA).stdout
    assert "folds 5 to 5 appended" in said
    (training,) = read_matrix(workspace.root / "matrix.json").trainings()
    assert (training.fold, training.use.train_cases) == (5, 4)
    assert training.folder.parent.name.startswith("TFBaselineTrainer_1epochs_seed0_bf16__")
    split = fold_split(workspace.dataset, 5, raw_cases(workspace.dataset))
    job = Postprocessing(training)
    assert (job.state, job.chosen_on) == ("done", sorted(split.train))
    assert sorted(path.name for path in training.segmentations.glob("*.nii.gz")) == [f"{c}.nii.gz" for c in split.val]
    assert "1 of 1 trainings are done" in typed(
        monkeypatch, capsys, "collect", "matrix.json", "-o", "results", "-np", "1"
    )
    (job.folder / "train" / f"{split.train[0]}.nii.gz").unlink()
    said = typed(monkeypatch, capsys, "verify", "matrix.json", expect=1)
    assert f"PROBLEM: {training.key}: its postprocessing was not chosen on the cases that it trained on" in said


def check_results(folder: Path, *trainings: Training) -> None:
    """What stands in the tables is what nnU-Net says of the same predictions."""
    with (folder / "benchmark.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["arm"] for row in rows} == {training.arm.name for training in trainings}
    assert {row["matrix"] for row in rows} == {trainings[0].matrix.hash}
    commit = code_version().commit
    assert commit is None or all(row["code"].startswith(commit) for row in rows)
    for training in trainings:
        summary = read_json(training.folder / "validation" / "summary.json", "")
        for case in summary["metric_per_case"]:
            name = Path(case["prediction_file"]).name.removesuffix(".nii.gz")
            (enhancing,) = [
                row for row in rows if (row["arm"], row["case"], row["region"]) == (training.arm.name, name, "ET")
            ]
            assert float(enhancing["dice"]) == pytest.approx(case["metrics"]["3"]["Dice"], abs=1e-5)
    assert "paper: ET" in (folder / "tables.md").read_text(encoding="utf-8")
    assert r"\begin{tabular}" in (folder / "tables.tex").read_text(encoding="utf-8")
    assert "<table>" in (folder / "tables.html").read_text(encoding="utf-8")
    for picture in ("forest_Dataset501_StandIns.png", "scatter_Dataset501_StandIns.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def other_split(workspace: Workspace) -> dict[str, list[str]]:
    """The second fold's."""
    return read_json(workspace.dataset.preprocessed / "splits_final.json", "")[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["plan", "missing.json"], "missing.json does not exist"),
        (["plan", "m.json", "-np", "2"], "-np does not belong to plan"),
        (["verify", "m.json", "-device", "cpu"], "-device does not belong to verify"),
        (["run", "m.json", "-sd", "-1"], "-sd is a positive number"),
        (["run", "m.json", "-device", "cpu", "-gpus", "0"], "-gpus goes with -device cuda"),
        (["run", "m.json", "-num_parts", "2", "-part_id", "2"], "-part_id goes from 0 to 1, not 2"),
        (["collect", "m.json"], "No training of m.json is done yet"),
        (["plan", "plans.json"], "nnUNetPlansOther.json does not exist"),
        (["plan", "method.json"], "There is no method tfgan"),
        (["plan", "configuration.json"], "3d_lowres"),
        (["plan", "folds.json"], "has folds 0 to 4, and the matrix asks for 5"),
        (["plan", "twice.json"], "Folds 0 and 5 of"),
        (["plan", "regions.json"], "tf.regions must be an object"),
        (["plan", "taken.json"], "was made with plans nnUNetPlans, and taken.json asks for nnUNetPlansTiny; give arm"),
        (["plan", "filtered.json"], "set mineseed0 was made with no filter, which filtered.json does not ask for"),
        (
            ["plan", "volumes.json"],
            "set carvemixseed0 was made with other wishes (controls), which volumes.json does not",
        ),
        (
            ["run", "m.json", "-device", "cpu", "--allow_changes", "-o", "of_another"],
            "holds results of a matrix with other epochs",
        ),
        (["run", "m.json", "-device", "cpu", "--allow_changes", "-o", "m.json"], "m.json"),
        (["plan", "few.json"], "trains on 8 cases, and train_cases asks for 9; take it out"),
        (["plan", "weights.json"], "gone.pth do not exist"),
        (["plan", "m.json", "-scores", "gone.csv"], "gone.csv does not exist"),
        (["plan", "m.json", "-scores", "m.json"], "m.json is no table of scores"),
        (["pause", "m.json"], "is running on this machine"),
        (["resume", "m.json", "-np", "2"], "-np does not belong to resume"),
        (
            ["run", "m.json", "--allow_changes", "-arms", "nnunet", "cm"],
            "-arms cm is no arm of m.json; it has nnunet, carvemix",
        ),
        (["collect", "m.json", "-arms", "nnunet"], "-arms does not belong to collect"),
        (["plan", "m.json", "--allow_changes"], "--allow_changes does not belong to plan"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(workspace: Workspace, arguments, sentence, monkeypatch, capsys):
    monkeypatch.chdir(workspace.root)
    prepare_what_is_wrong(workspace, arguments[1])
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_benchmark", *arguments])
    assert benchmark.main() == 2
    assert sentence in capsys.readouterr().err


def prepare_what_is_wrong(workspace: Workspace, name: str) -> None:
    good = to_json(matrix())
    arms = [good["arms"][0], {**good["arms"][1], "method": "tfgan"}]
    filtered = [good["arms"][0], {**good["arms"][1], "filter": True, "set": "mine"}]
    changes: dict[str, dict[str, Any]] = {
        "m.json": {}, "plans.json": {"plans": "nnUNetPlansOther"}, "configuration.json": {"configuration": "3d_lowres"},
        "method.json": {"arms": arms}, "folds.json": {"folds": [5]}, "twice.json": {"folds": [0, 5]},
        "regions.json": {}, "taken.json": {}, "few.json": {"train_cases": [9]},
        "weights.json": {"pretrained_weights": "gone.pth"}, "filtered.json": {"arms": filtered}, "volumes.json": {},
    }  # fmt: skip
    if name in changes:
        write_json(workspace.root / name, {**good, **changes[name]})
    splits, description = workspace.dataset.preprocessed / "splits_final.json", workspace.dataset.raw / "dataset.json"
    if name == "twice.json":
        fold_split(workspace.dataset, 0, raw_cases(workspace.dataset))  # writes the file
        content = read_json(splits, "")
        write_json(splits, [*content, content[0]])
    if name == "regions.json":
        write_json(description, read_json(description, "") | {"tf": {"tumour": ["NCR"], "regions": []}})
    if name == "taken.json":
        make_set(workspace, "carvemixseed0", num_cases=1, plans="nnUNetPlans")
    if name == "filtered.json":
        make_set(workspace, "mineseed0", num_cases=1)
    if name == "volumes.json":
        config = make_set(workspace, "carvemixseed0", num_cases=1).config_path
        write_json(config, {**read_json(config, ""), "controls": {"volume_ml": [1, 2]}})
    write_json(workspace.root / "of_another" / "matrix.json", {**good, "epochs": 9})


def test_a_folder_of_an_earlier_version_goes_on(tmp_path):
    """Its matrix.json lacks the keys that came later, and so do its arms."""
    later = ("train_cases", "draws", "precision", "pretrained_weights", "postprocessing")
    content = {key: value for key, value in to_json(matrix()).items() if key not in later}
    content["arms"] = [{key: arm[key] for key in arm if key not in ("volume_ml", "online")} for arm in content["arms"]]
    write_json(tmp_path / "matrix.json", content)
    claim_folder(tmp_path, matrix())
    with pytest.raises(UserError, match="holds results of a matrix with other precision"):
        claim_folder(tmp_path, matrix(precision="bf16"))


def test_a_changed_checkout_is_refused(workspace: Workspace, monkeypatch, capsys):
    write_json(workspace.root / "m.json", to_json(matrix(plans=TINY)))
    changed = CodeVersion("1.0", "a" * 40, ("nnunetv2_tf/x.py",))
    monkeypatch.setattr("nnunetv2_tf.benchmark.steps.code_version", lambda: changed)
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_benchmark", "run", str(workspace.root / "m.json"), "-device", "cpu"])
    assert benchmark.main() == 2
    assert "has changes that are in no commit (nnunetv2_tf/x.py)" in capsys.readouterr().err
