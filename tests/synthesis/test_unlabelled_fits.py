"""Fits that learn from unlabelled scans, too: FreeTumor, by command and in process."""

from dataclasses import replace
from pathlib import Path

import pytest

from nnunetv2_tf.commands import fit as command
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.methods import freetumor
from nnunetv2_tf.methods.base import CheckConfig
from nnunetv2_tf.methods.freetumor import fitting
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.standin.brains import healthy
from nnunetv2_tf.synthesis import requests
from nnunetv2_tf.synthesis.fitting import CONFIG, fit_folder
from nnunetv2_tf.working_space.healthy import PreprocessHealthyRequest, preprocess_healthy
from tests.synthesis.making import cases_in, cohort_of, healthy_hosts_of, make_set
from tests.workspace import TINY, TRAINER, Workspace, tree

pytestmark = pytest.mark.slow

MORE = Dataset("Dataset602_More")
SHORT = {"epochs": 2, "iterations": 2, "pool": 2, "batch": 1, "features": (2, 2), "levels": 2}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch):
    """A default that is fitted in seconds, in unlabelled scans where there are some."""
    changed = replace(freetumor.PRESETS["default"], **SHORT, free_sides=0.0, unlabelled=1.0)
    monkeypatch.setitem(freetumor.PRESETS, "default", changed)
    monkeypatch.setitem(freetumor.CHECKED, "default", CheckConfig(rejects=False))  # it has hardly learnt anything


@pytest.fixture
def more(trained: Workspace) -> Workspace:
    """Unlabelled scans besides, preprocessed."""
    healthy().write_dataset(MORE.raw, 2, seed=6, prefix="scan")
    path = MORE.raw / "dataset.json"
    write_json(path, read_json(path, "") | {"tf": {"unlabelled": True}})
    preprocess_healthy(PreprocessHealthyRequest("501", "602", TINY, ("3d_fullres",), unlabelled=True))
    return trained


def fitted(workspace: Workspace, method: str = "freetumor", **changes) -> Path:
    settings = {"healthy": "601", "plans": TINY, "trainer": TRAINER, "device": "cpu", "unlabelled": "602", **changes}
    requests.fit(requests.FitRequest(workspace.id, "3d_fullres", (0,), method, **settings))
    return fit_folder(cohort_of(workspace), find_method(method))


def test_a_fit_in_unlabelled_scans_and_a_set_made_with_it(more: Workspace, monkeypatch):
    drawn = []
    original = fitting.MixedSites.__call__

    def watched(self, rng):
        site = original(self, rng)
        drawn.append(site)
        return site

    monkeypatch.setattr(fitting.MixedSites, "__call__", watched)
    folder = fitted(more)
    config = read_json(folder / CONFIG, "")
    assert config["unlabelled"] == MORE.name
    scans = [case.open() for case in healthy_hosts_of(more).in_unlabelled(MORE).cases.values()]
    bodies = [int(scan.body().sum()) for scan in scans]  # by which scans are told apart
    assert drawn
    assert all(site.n_norm in bodies for site in drawn)
    assert (folder / "generator.safetensors").exists()
    part = make_set(more, "ft", num_cases=2, method="freetumor", healthy="601")
    assert len(cases_in(part)) == 2
    assert part.manifest().unlabelled == read_json(part.config_path, "")["unlabelled"] == MORE.name
    train = fold_split(more.dataset, 0, raw_cases(more.dataset)).train
    assert all(set(part.sidecar(name).ancestors) == set(train) for name in cases_in(part))
    learnt_from = {f"{MORE.name}/scan_{index:03d}": ("case", f"scan_{index:03d}") for index in range(2)}
    assert all(part.sidecar(name).unlabelled == learnt_from for name in cases_in(part))


def test_with_and_without_are_two_fits(more: Workspace):
    fitted(more)
    with pytest.raises(UserError, match="was begun with unlabelled dataset Dataset602_More, not None"):
        fitted(more, unlabelled=None)
    assert "unlabelled" not in read_json(fitted(more, unlabelled=None, overwrite=True) / CONFIG, "")
    assert make_set(more, "ft", num_cases=1, method="freetumor", healthy="601").manifest().unlabelled is None
    with pytest.raises(UserError, match="was begun with"):
        fitted(more)


def test_other_unlabelled_scans_are_another_fit(more: Workspace):
    fitted(more)
    gone = MORE.raw / "imagesTr" / "scan_001_0000.nii.gz"
    gone.unlink()
    (MORE.raw / "labelsTr" / "scan_001.nii.gz").unlink()
    with pytest.raises(UserError, match=r"fit again: nnUNetv2_tf_fit .* -unlabelled 602 --overwrite|not preprocessed"):
        make_set(more, "ft", num_cases=1, method="freetumor", healthy="601")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "tf_aug"}, "tf_aug learns nothing from unlabelled scans; leave -unlabelled out"),
        ({"unlabelled": "601"}, "-healthy and -unlabelled both name Dataset601"),
        ({"unlabelled": "603"}, "There is no dataset 603"),
        ({"healthy": "602", "unlabelled": None}, "Dataset602_More holds unlabelled scans, which may show tumours"),
    ],
)
def test_what_is_refused_leaves_nothing(more: Workspace, changes, sentence):
    before = tree(more.root / "nnUNet_results")
    with pytest.raises(UserError, match=sentence):
        fitted(more, **changes)
    assert tree(more.root / "nnUNet_results") == before


def test_somebody_who_validates_is_refused(more: Workspace):
    case = fold_split(more.dataset, 0, raw_cases(more.dataset)).val[0]
    write_json(MORE.raw / "groups.json", {"scan_000": "patient 1"})
    write_json(more.dataset.raw / "groups.json", {case: "patient 1"})
    with pytest.raises(UserError, match=f"{case}, which validates in fold 0.*take scan_000 out"):
        fitted(more)


def test_a_baseline_that_finds_nothing_is_refused(more: Workspace, monkeypatch):
    segmentation = fitting.Segmentor.segmentation
    monkeypatch.setattr(fitting.Segmentor, "segmentation", lambda self, image: segmentation(self, image) * 0)
    with pytest.raises(UserError, match="finds no tumour in any of the .* training cases .*train the baseline longer"):
        fitted(more, unlabelled=None)


def test_healthy_scans_are_what_is_preprocessed_as_such(more: Workspace):
    with pytest.raises(UserError, match="give it as -unlabelled"):
        preprocess_healthy(PreprocessHealthyRequest("501", "602", TINY, ("3d_fullres",)))


def test_what_users_type(more: Workspace, monkeypatch, capsys):
    given = ["x", "501", "3d_fullres", "0", "-m", "freetumor", "-healthy", "601", "-unlabelled", "602"]
    monkeypatch.setattr("sys.argv", [*given, "-p", TINY, "-tr", TRAINER, "-device", "cpu"])
    assert command.main() == 0
    assert "freetumor_default_h601" in capsys.readouterr().out
