"""Figures of a set: every eye looks, what cannot be measured is said, and nothing of it reaches a training."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from nnunetv2_tf.dataset.provenance import BaselineUse
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.quality import voxel_classifier
from nnunetv2_tf.report import figures
from nnunetv2_tf.report.figures import FREE, GAP, HOSTS, REAL, FiguresRequest, report_figures
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.report.realism import Yardsticks
from nnunetv2_tf.synthesis import free_sides
from nnunetv2_tf.training.judge import JudgeConfig
from tests.synthesis.making import make_glowing, make_set
from tests.workspace import TINY, TRAINER, Workspace

SHORT = JudgeConfig(size=8, features=(4, 4), steps=6, batch=4, asked=1)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "Yardsticks", partial(Yardsticks, config=SHORT))
    monkeypatch.setattr(voxel_classifier, "TREES", 10)


def report(workspace: Workspace, name: str, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"folds": (0,), "judge": None, "trainer": None, "num_free": 4, **changes}
    request = FiguresRequest(
        dataset=workspace.id, set_name=name, seed=0, num_processes=1, device="cpu", **settings
    )  # fmt: skip
    report_figures(request)
    return read_json(workspace.dataset.sets / name / "fold_0" / "figures.json", "")


@pytest.mark.slow
def test_a_set_with_healthy_hosts(trained: Workspace, capsys):
    make_glowing(trained, num_cases=6)
    content = report(trained, "glow", judge=TRAINER, trainer=TRAINER)
    said = capsys.readouterr().out
    assert "These figures read the validation cases of fold 0: do not report results on this fold" in said
    assert "Patients with a free side: " in said
    assert set(content["realism"]) >= {REAL, HOSTS}
    assert FREE not in content["realism"]  # these heads are too small
    assert "and 8 are needed: not measured" in said
    value, low, high = content["realism"][HOSTS]["AUC named features"]
    assert low <= value <= high
    assert value > 0.7  # they glow
    assert "AUC encoder" not in content["realism"][REAL]  # two cases validate: too few to ask about
    useful = content["usefulness"]
    assert useful["place alone"]["WT"] != useful["real"]["WT"]  # how well either does is chance, with two cases
    together, alone = useful["real and synthetic"]["WT"][0], useful["real"]["WT"][0]
    assert useful["gain"]["WT"][0] == pytest.approx(together - alone, abs=2e-5)  # both rounded
    assert set(useful) == {"place alone", "real", "synthetic", "real and synthetic", "gain"}
    recognised = content["recognition"]
    assert len(recognised["synthetic"]["shares"]) == 6
    assert len(recognised["real, not seen in training"]["shares"]) == 2
    assert set(content["seconds"]) == {"realism", "usefulness", "recognition"}
    assert content["method"] == "tests.methods.examples:Glow"


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_set_with_real_hosts_is_measured_on_free_sides(trained: Workspace, monkeypatch, capsys):
    monkeypatch.setattr(free_sides, "AWAY", 1.0)
    monkeypatch.setattr(free_sides, "LEAST_INSIDE", 0.2)
    monkeypatch.setattr(figures, "FEWEST_HOSTS", 2)
    make_set(trained, num_cases=3)
    content = report(trained, "cm", num_free=8)
    assert set(content["realism"]) == {REAL, FREE}
    assert content["hosts_with_free_sides"] >= 2
    assert content["recognition"] == {}
    assert "name its trainer with -tr" in capsys.readouterr().out
    assert GAP not in content["realism"]


@pytest.mark.slow
def test_what_cannot_be_measured(workspace: Workspace):
    with pytest.raises(UserError, match="no set"):
        report(workspace, "nothing")
    make_set(workspace, folds=("all",))
    with pytest.raises(UserError, match="Fold all holds nobody out"):
        report(workspace, "cm", folds=("all",))


@pytest.mark.slow
def test_a_judge_that_does_not_exist(trained: Workspace):
    make_glowing(trained, num_cases=3)
    with pytest.raises(UserError, match="checkpoint_final.pth does not exist"):
        report(trained, "glow", judge="TFBaselineTrainer_seed7")
    assert not (trained.dataset.sets / "glow" / "fold_0" / "figures.json").exists()


@pytest.mark.slow
def test_nobody_judges_what_was_made_to_please_it(trained: Workspace, monkeypatch):
    make_glowing(trained, num_cases=3)
    used = BaselineUse(TRAINER, TINY, "3d_fullres", "0" * 64)
    config = replace(MeasuredSet.of(trained.dataset, "glow", 0, 1, "cpu").config, baseline=used)
    monkeypatch.setattr(MeasuredSet, "config", config)
    with pytest.raises(UserError, match=f"made or filtered through {TRAINER}, .* another seed with -judge"):
        report(trained, "glow", judge=TRAINER)
