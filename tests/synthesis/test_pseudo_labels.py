"""Tumours that a baseline finds in unlabelled scans: by command and in process; what is refused; killed runs."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.commands import sets as command
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.dataset.volumes import read_nifti
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.quality.pseudo_labels import LEFT, ComponentRules
from nnunetv2_tf.synthesis import pseudo_labels
from nnunetv2_tf.synthesis.pseudo_donors import DONE, pseudo_folder
from nnunetv2_tf.synthesis.pseudo_labels import PseudoLabelRequest, pseudolabel
from tests.synthesis.unlabelled import MORE
from tests.workspace import TINY, TRAINER, Workspace, tree

pytestmark = pytest.mark.slow

ALL = ComponentRules(min_ml=0.0, confidence=0.0, keep=(0.0, 1.0))  # a baseline of two steps is sure of nothing


@pytest.fixture
def more(unlabelled: Workspace) -> Workspace:
    """Unlabelled scans besides, preprocessed."""
    return unlabelled


def labelled(workspace: Workspace, **changes) -> Path:
    settings = {"plans": TINY, "trainer": TRAINER, "rules": ALL, **changes}
    pseudolabel(PseudoLabelRequest(workspace.id, "602", (0,), **settings))
    return folder_of(workspace)


def folder_of(workspace: Workspace) -> Path:
    return pseudo_folder(Baseline(workspace.dataset, TRAINER, TINY, "3d_fullres", 0), MORE)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "components.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_labels_are_files_on_the_scans_grids_and_a_table_says_why(more: Workspace, capsys):
    folder = labelled(more)
    record, rows = read_json(folder / DONE, ""), table(folder)
    assert record["unlabelled"] == MORE.name
    assert set(record["labels"]) == {"scan_000", "scan_001"}
    assert {row["scan"] for row in rows if row["taken"] == "1"} == {
        name for name, digest in record["labels"].items() if digest is not None
    }
    for name, digest in record["labels"].items():
        assert (folder / f"{name}.nii.gz").exists() is (digest is not None)
        if digest is not None:
            label, scan = (read_nifti(path) for path in (folder / f"{name}.nii.gz", raw_cases(MORE)[name].images[0]))
            assert np.array_equal(label.affine, scan.affine)
            values = np.unique(np.asanyarray(label.dataobj))
            assert set(values.tolist()) <= {0, 1, 2, 3, LEFT}
            taken = sum(float(row["volume_ml"]) for row in rows if row["scan"] == name and row["taken"] == "1")
            voxel_ml = float(np.abs(np.linalg.det(label.affine))) / 1000
            inside = np.isin(np.asanyarray(label.dataobj), (1, 2, 3))
            assert inside.sum() * voxel_ml == pytest.approx(taken, rel=0.05)
    assert (folder / "overview.png").stat().st_size > 1000
    said = capsys.readouterr().out
    assert f"{sum(row['taken'] == '1' for row in rows)} of {len(rows)} components are taken" in said
    assert "-pseudolabelled 602" in said


def test_what_is_there_is_kept_and_what_is_damaged_is_made_again(more: Workspace, monkeypatch):
    folder = labelled(more)
    first = tree(folder)
    asked, labeller = [], pseudo_labels._Labeller
    original = labeller._predicted
    monkeypatch.setattr(labeller, "_predicted", lambda self, case: asked.append(case) or original(self, case))
    (folder / DONE).unlink()
    (folder / "scans" / "scan_001.json").unlink()  # as a kill before it was written leaves it
    labelled(more)
    assert [case.identifier for case in asked] == ["scan_001"]
    assert tree(folder) == first
    damaged = next(name for name in ("scan_000", "scan_001") if (folder / f"{name}.nii.gz").exists())
    (folder / f"{damaged}.nii.gz").write_bytes(b"cut short")
    labelled(more)
    assert tree(folder) == first


def test_other_rules_are_refused_until_it_is_made_anew(more: Workspace):
    folder = labelled(more)
    other = replace(ALL, min_ml=0.05)
    with pytest.raises(UserError, match="were labelled with -min_ml 0, not 0.05 .* label the scans anew"):
        labelled(more, rules=other)
    with pytest.raises(UserError, match="were labelled with mirroring .* label the scans anew"):
        labelled(more, mirroring=False)
    labelled(more, rules=other, overwrite=True)
    assert read_json(folder / DONE, "")["rules"]["min_ml"] == 0.05


def test_nothing_taken_is_an_error_that_says_what_to_change(more: Workspace, monkeypatch):
    with pytest.raises(UserError, match="None of the .* components .* is taken: of the surest .*-min_ml, -confidence"):
        labelled(more, rules=replace(ALL, min_ml=10_000.0))
    assert table(folder_of(more))
    assert not (folder_of(more) / DONE).exists()
    segmentor = pseudo_labels.Segmentor
    nothing = segmentor.probabilities

    def background(self, image):
        found = nothing(self, image) * 0
        found[0] = 1
        return found

    monkeypatch.setattr(segmentor, "probabilities", background)
    with pytest.raises(UserError, match="finds no tumour in any of the 2 scans of Dataset602_More; look at them"):
        labelled(more, overwrite=True)


def test_a_scan_of_somebody_who_validates_is_refused(more: Workspace):
    case = fold_split(more.dataset, 0, raw_cases(more.dataset)).val[0]
    before = tree(more.root / "nnUNet_results")
    write_json(MORE.raw / "groups.json", {"scan_000": "patient 1"})
    write_json(more.dataset.raw / "groups.json", {case: "patient 1"})
    with pytest.raises(UserError, match=f"{case}, which validates in fold 0.*take scan_000 out"):
        labelled(more)
    assert tree(more.root / "nnUNet_results") == before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trainer": "TFBaselineTrainer"}, "checkpoint_final.pth does not exist; train it with"),
        ({"configuration": "3d_lowres"}, "3d_lowres"),
    ],
)
def test_without_a_baseline_nothing_is_labelled(more: Workspace, changes, sentence):
    before = tree(more.root / "nnUNet_results")
    with pytest.raises(UserError, match=sentence):
        labelled(more, **changes)
    assert tree(more.root / "nnUNet_results") == before


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["-min_ml", "0", "-confidence", "0", "-keep", "0", "1", "--disable_tta"], 0, ""),
        (["-confidence", "1"], 2, "is taken: of the surest its mean probability is"),
        (["-c", "3d_fullres", "2d"], 2, "One baseline labels the scans, and so one configuration"),
        (["-keep", "1", "0"], 2, "-keep takes two shares, 0 to 1 and the lower first, not 1 0"),
        (["-min_ml", "-1"], 2, "-min_ml takes a volume of 0 ml or more, not -1"),
        (["-s", "mine"], 2, "-s does not belong to --pseudolabel"),
    ],
)
def test_what_users_type(more: Workspace, monkeypatch, capsys, options, code, sentence):
    given = ["x", "-d", "501", "--pseudolabel", "602", "-f", "0", "-p", TINY, "-tr", TRAINER, *options]
    monkeypatch.setattr("sys.argv", given)
    assert command.main() == code
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_dataset_that_is_not_there_is_said(trained: Workspace):
    with pytest.raises(UserError, match="There is no dataset 602"):
        labelled(trained)
