"""Healthy hosts, methods and wishes that do not go together: refused in a sentence, nothing written, nothing lost."""

import shutil

import pytest
import SimpleITK as sitk

from nnunetv2_tf.commands import synthesize
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.preparation.healthy import preprocess_healthy
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.work import read_json, write_json
from tests.synthesis.making import healthy_hosts_of, make_glowing, written
from tests.workspace import HEALTHY, TINY, Workspace


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"volume_ml": [500.0, 600.0]}, "-volume_ml 500 600 cannot be made of tumours of"),
        (
            {"class_fraction": {"necrosis": [0.1, 0.2]}},
            "-class_fraction necrosis: the tumour's classes are NCR, ED, ET",
        ),
        ({"center": [500.0, 0.0, 0.0], "radius": 5.0}, "-center 500 0 0 lies outside the brains"),
        ({"center": [5.0, 3.0, 4.0], "radius": 0.5}, "No tumour could be placed as asked for in 5 healthy scans"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(with_healthy: Workspace, asked, sentence):
    with pytest.raises(UserError, match=sentence):
        make_glowing(with_healthy, asked=asked)
    assert not with_healthy.dataset.sets.exists()


def test_other_tumours_or_hosts_may_not_continue_a_set(with_healthy: Workspace):
    make_glowing(with_healthy, num_cases=1)
    scan = HEALTHY.raw / "imagesTr" / "person_002_0000.nii.gz"
    image = sitk.ReadImage(str(scan))
    sitk.WriteImage(sitk.Cast(image * 2, image.GetPixelID()), str(scan))
    with pytest.raises(UserError, match="person_002 of .* is not preprocessed, or was before it or the plans changed"):
        make_glowing(with_healthy, num_cases=2)
    preprocess_healthy("501", "601", TINY, ["3d_fullres"], 1)
    with pytest.raises(UserError, match=r"was begun with other tumours, healthy scans or rules of drawing \(tumours\)"):
        make_glowing(with_healthy, num_cases=2)
    Dataset("Dataset602_Others").raw.parent.joinpath(HEALTHY.name).rename(Dataset("Dataset602_Others").raw)
    preprocess_healthy("501", "602", TINY, ["3d_fullres"], 1)
    with pytest.raises(UserError, match="was begun with healthy dataset Dataset601_Healthy, not Dataset602_Others"):
        make_glowing(with_healthy, num_cases=2, healthy="602")


def test_brains_that_lie_elsewhere_are_refused(with_healthy: Workspace):
    for folder in ("imagesTr", "labelsTr"):
        for path in (HEALTHY.raw / folder).iterdir():
            image = sitk.ReadImage(str(path))
            image.SetOrigin((300.0, 0.0, 0.0))
            sitk.WriteImage(image, str(path))
    preprocess_healthy("501", "601", TINY, ["3d_fullres"], 1)
    with pytest.raises(
        UserError, match="The brains of Dataset601_Healthy lie elsewhere than those of .* -reference 501"
    ):
        make_glowing(with_healthy)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"healthy": None}, "puts tumours into healthy scans; name their dataset with -healthy"),
        ({"method": "carvemix"}, "carvemix has real hosts, and leaves tumours as they are; leave -healthy out"),
        ({"method": "carvemix", "healthy": None, "asked": {"side": "left"}}, "leave -side out"),
        ({"healthy": "777"}, "There is no dataset 777"),
        ({"plans_name": "nnUNetPlans"}, "is not preprocessed with the plans of .*; run nnUNetv2_tf_preprocess_healthy"),
    ],
)
def test_hosts_and_methods_that_do_not_go_together(with_healthy: Workspace, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        make_glowing(with_healthy, **changes)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-class_fraction", "ED", "a", "b"], "-class_fraction takes a class and two shares, not ED a b"),
        (["-volume_ml", "5", "inf"], "-volume_ml takes the least and the most, not 5 inf"),
        (["-side", "left", "-recipe", "mine.jsonl"], "A recipe says what tumours are like; give -side or -recipe"),
        (["-center", "-3", "0", "1"], "-center and -radius go together"),
    ],
)
def test_what_users_type(with_healthy: Workspace, monkeypatch, capsys, options, sentence):
    command = ["nnUNetv2_tf_synthesize", "501", "3d_fullres", "0", "-m", "tests.methods.examples:Glow", "-p", TINY]
    monkeypatch.setattr("sys.argv", [*command, "-healthy", "601", "-s", "typed", "-num_cases", "1", *options])
    assert synthesize.main() == 2
    assert sentence in capsys.readouterr().err
    assert not with_healthy.dataset.sets.exists()


def test_what_is_wrong_with_one_fold_spares_the_sets_of_others(with_healthy: Workspace):
    both = [make_glowing(with_healthy, folds=[0, 1], num_cases=1), SetPart(with_healthy.dataset, "glow", 1)]
    before = [written(part) for part in both]
    path = both[0].config_path  # as if fold 0 had been begun otherwise
    write_json(path, read_json(path, "") | {"seed": 5})
    before[0]["config.json"] = path.read_bytes()
    for overwrite, asked in ((False, {}), (True, {"volume_ml": [500.0, 600.0]})):
        with pytest.raises(UserError):
            make_glowing(with_healthy, folds=[1, 0], num_cases=2, overwrite=overwrite, asked=asked)
        assert [written(part) for part in both] == before


def test_kept_lines_that_a_hand_changed_are_refused(with_healthy: Workspace):
    make_glowing(with_healthy, "one", num_cases=2, recipe_only=True)
    (kept,) = (with_healthy.dataset.preprocessed / "tf" / "recipes").glob("*.json")
    text = kept.read_text(encoding="utf-8")
    for changed, sentence in (
        (text.replace('"flip": false', '"flip": true').replace('"flip": true', '"flip": false', 1), "changed by hand"),
        (text[:-40], "is not valid JSON"),
        ("[]", "must be an object"),
    ):
        kept.write_text(changed, encoding="utf-8")
        with pytest.raises(UserError, match=f"{sentence}.*; delete it, its lines are drawn anew"):
            make_glowing(with_healthy, "two", num_cases=3, recipe_only=True)
    kept.unlink()
    make_glowing(with_healthy, "two", num_cases=3, recipe_only=True)


def copied_scan() -> None:
    shutil.copy(Dataset("Dataset501_StandIns").raw / "imagesTr" / "case_003_0000.nii.gz",
                HEALTHY.raw / "imagesTr" / "person_001_0000.nii.gz")  # fmt: skip


def tumour_label() -> None:
    write_labels({"background": 0, "ED": 1})


def write_labels(labels: dict) -> None:
    path = HEALTHY.raw / "dataset.json"
    write_json(path, read_json(path, "") | {"labels": labels})


def odd_preparation() -> None:
    write_json(HEALTHY.raw / "preparation.json", [])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (copied_scan, "person_001_0000.nii.gz is the same file as .*case_003_0000.nii.gz, a labelled case"),
        (tumour_label, "has the label ED, which is tumour in Dataset501_StandIns, and healthy scans have none"),
        (odd_preparation, "preparation.json does not say how the scans were made"),
    ],
)
def test_healthy_datasets_that_cannot_be(with_healthy: Workspace, spoil, sentence):
    spoil()
    preprocess_healthy("501", "601", TINY, ["3d_fullres"], 1)
    with pytest.raises(UserError, match=sentence):
        make_glowing(with_healthy)
    assert not with_healthy.dataset.sets.exists()


def test_labels_of_one_value_may_be_lists(with_healthy: Workspace):
    write_labels({"background": 0, "brain": [1]})
    preprocess_healthy("501", "601", TINY, ["3d_fullres"], 1)
    assert not healthy_hosts_of(with_healthy).cases["person_000"].label().any()


def test_narrow_wishes_are_refused_by_their_own_reason(with_healthy: Workspace):
    hosts = healthy_hosts_of(with_healthy)
    share = sorted(lesion.classes[3] / lesion.volume for lesion in hosts.bank.lesions)[0]
    asked = {"class_fraction": {"ET": [share - 1e-9, share + 1e-9]}}
    with pytest.raises(
        UserError, match="in 5 healthy scans, .*: its classes are not in the proportions asked for. Ask"
    ):
        make_glowing(with_healthy, asked=asked)
