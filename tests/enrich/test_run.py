"""The command as users type it: from a planned dataset to a training, killed on the way, changed, and done again."""

from pathlib import Path

import pytest

from nnunetv2_tf.benchmark.running import BEGIN, executable
from nnunetv2_tf.commands import enrich
from nnunetv2_tf.sets.store import SetPart
from tests.enrich.killing import killed_while, log_of
from tests.workspace import TINY, TRAINER, Workspace, tree

WORDS = ["501", "3d_fullres", "0", "-healthy", "601", "-num_cases", "2", "-m", "tf_aug", "-p", TINY, "-tr", TRAINER,
         "-device", "cpu", "-np", "1"]  # fmt: skip

TRAIN = ["--train"]


def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *words: str, expect: int = 0) -> str:
    """What the command says, in this process."""
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_enrich", *WORDS, *words])
    capsys.readouterr()
    assert enrich.main() == expect
    said = capsys.readouterr()
    return said.out + said.err


@pytest.mark.slow
def test_from_preprocessed_scans_to_a_set(with_healthy: Workspace, monkeypatch, capsys):
    """By a method that learns nothing; with a fit, the demo goes this way."""
    monkeypatch.chdir(with_healthy.root)
    quick = ("-m", "syntumor")
    before = tree(with_healthy.root)
    assert words_of(typed(monkeypatch, capsys, *quick, *TRAIN, "--only_plan")) == ["done"] * 2 + ["missing"] * 3
    assert tree(with_healthy.root) == before
    killed_while(with_healthy, "nnUNetv2_tf_synthesize", *WORDS, *quick)
    said = typed(monkeypatch, capsys, *quick)
    assert "nnUNetv2_train 501 3d_fullres 0 -tr TFEnrichedTrainer_syntumor2_1epochs_seed0 -p" in said
    assert typed(monkeypatch, capsys, *quick).count("Nothing is left to do.") == 1
    assert [line.split()[4] for line in log_of(with_healthy).splitlines() if line.startswith(BEGIN)][-2:] == [
        "nnUNetv2_tf_synthesize", "nnUNetv2_tf_report",
    ]  # fmt: skip
    part = SetPart(with_healthy.dataset, "syntumor2", 0)
    manifest = part.manifest()
    said = typed(monkeypatch, capsys, *quick, "-seed", "5", expect=2)
    assert "Since it was done has changed: -seed. To be done anew: make 2 cases" in said
    assert part.manifest() == manifest


@pytest.mark.exhaustive
def test_to_a_training_and_all_of_it_anew(trained: Workspace, monkeypatch, capsys):
    monkeypatch.chdir(trained.root)
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    typed(monkeypatch, capsys)
    said = typed(monkeypatch, capsys, *TRAIN)
    assert "[1/1] train with synthetic cases in fold 0" in said
    assert (trained.results / f"TFEnrichedTrainer_tfaug2_1epochs_seed0__{TINY}__3d_fullres" / "fold_0").is_dir()
    check_another_seed(trained, TRAIN, monkeypatch, capsys)
    check_other_scans(trained, TRAIN, monkeypatch, capsys)


def check_another_seed(workspace: Workspace, enriched: list[str], monkeypatch, capsys) -> None:
    """Nothing is done anew without being asked for; then all that came of it is, and what was trained is kept."""
    part = SetPart(workspace.dataset, "tfaug2", 0)
    before = part.manifest()
    said = typed(monkeypatch, capsys, *enriched, "-seed", "5", expect=2)
    assert words_of(said) == ["done"] * 4 + ["changed", "missing", "changed"]
    assert "Since it was done has changed: -seed. To be done anew: make 2 cases" in said
    assert part.manifest() == before
    said = typed(monkeypatch, capsys, *enriched, "-seed", "5", "--redo")
    assert said.count("[") == 3
    assert "(the old one is kept in " in said
    assert part.manifest().config_hash != before.config_hash
    assert "Nothing is left to do." in typed(monkeypatch, capsys, *enriched, "-seed", "5")


def check_other_scans(workspace: Workspace, enriched: list[str], monkeypatch, capsys) -> None:
    """Everything is named, and stays so until each has been done anew."""
    (case, *_) = sorted((workspace.dataset.raw / "labelsTr").iterdir())
    case.write_bytes(case.read_bytes())
    words = [*enriched, "-seed", "5"]
    said = typed(monkeypatch, capsys, *words, expect=2)
    assert words_of(said) == [*["changed"] * 5, "missing", "changed"]
    assert "Since it was done has changed: the cases of Dataset501_StandIns." in said
    with monkeypatch.context() as patch:
        patch.setattr("nnunetv2_tf.enrich.run.executable", only_preprocessing)
        assert "[3/7] train the baseline" in typed(patch, capsys, *words, "--redo", expect=2)
    said = typed(monkeypatch, capsys, *words, "--only_plan")
    assert words_of(said) == ["done", "done", "begun", *["changed"] * 2, "missing", "changed"]


def only_preprocessing(name: str) -> str:
    """The path of a command; of the training one that fails."""
    return executable(name) if name != "nnUNetv2_train" else "/bin/false"


def words_of(said: str) -> list[str]:
    return [line.split()[0] for line in said.splitlines() if line.startswith("  ")]


def test_a_step_that_fails_is_said_with_its_log(with_healthy: Workspace, monkeypatch, capsys):
    (Path(with_healthy.variables["nnUNet_preprocessed"]) / "Dataset601_Healthy").rename(with_healthy.root / "away")
    images = with_healthy.root / "nnUNet_raw" / "Dataset601_Healthy" / "imagesTr"
    next(images.iterdir()).write_bytes(b"broken")
    said = typed(monkeypatch, capsys, expect=2)
    assert "[1/5] preprocess Dataset601_Healthy" in said
    assert "nnUNetv2_tf_preprocess_healthy ended with exit code 2" in said
    assert "tfaug2.log. The same command goes on from there." in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-keep", "0.5", "1"], "give -filter too"),
        (["-raw_brats", "nowhere"], "nowhere is no folder"),
        (["-s", "Big"], "cannot be called 'Big'"),
    ],
)
def test_wrong_options_get_a_sentence(workspace: Workspace, monkeypatch, capsys, words, sentence):
    assert sentence in typed(monkeypatch, capsys, *words, expect=2)


def test_long_work_has_to_be_said_yes_to(trained: Workspace, monkeypatch, capsys):
    monkeypatch.setattr("nnunetv2_tf.enrich.run.seconds_of", lambda *_: 20_000.0)
    said = typed(monkeypatch, capsys, expect=2)
    assert "In all about 16.7 h" in said
    assert "about 17 hours; say --yes to begin" in said
