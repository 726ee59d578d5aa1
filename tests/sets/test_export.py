"""A set as a dataset of its own: complete, portable, and without synthetic cases in any validation."""

from dataclasses import replace
from pathlib import Path

import pytest

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets import manage
from tests.workspace import TINY, Workspace, add_set, log_of, tree


@pytest.fixture
def exported(enriched: Workspace) -> Dataset:
    add_set(enriched, "demo", fold=1)
    write_json(enriched.dataset.raw / "groups.json", {"case_000": "P"})
    manage.export(manage.ExportRequest("501", "demo", None, 701, None, TINY))
    return Dataset("Dataset701_StandIns_demo")


def test_real_cases_by_reference_synthetic_ones_in_train_only(enriched: Workspace, exported: Dataset):
    description = read_json(exported.raw / "dataset.json", "")
    assert description["numTraining"] == len(description["dataset"]) == 10 + 2 * 4
    assert description["dataset"]["case_003"] == {
        "images": ["$nnUNet_raw/Dataset501_StandIns/imagesTr/case_003_0000.nii.gz"],
        "label": "$nnUNet_raw/Dataset501_StandIns/labelsTr/case_003.nii.gz",
    }
    assert len(tree(exported.raw, ignore=["dataset.json", "groups.json"])) == 2 * 3 * 4  # image, label, sidecar
    before = read_json(enriched.dataset.preprocessed / "splits_final.json", "")
    after = read_json(exported.preprocessed / "splits_final.json", "")
    for fold, (old, new) in enumerate(zip(before, after, strict=True)):
        extra = [f"demo_f{fold}_synthetic_{index:04d}" for index in range(4)] if fold < 2 else []
        assert new == {"train": [*old["train"], *extra], "val": old["val"]}
    assert (exported.raw / "groups.json").read_bytes() == (enriched.dataset.raw / "groups.json").read_bytes()


def test_plans_are_those_nnunet_would_move(enriched: Workspace, exported: Dataset):
    ours = read_json(exported.preprocessed / f"{TINY}.json", "")
    arguments = ["-s", "501", "-t", "701", "-sp", TINY, "-tp", TINY]
    enriched.run("nnUNetv2_move_plans_between_datasets", *arguments)
    assert ours == read_json(exported.preprocessed / f"{TINY}.json", "")


@pytest.mark.slow
def test_stock_nnunet_preprocesses_and_trains_with_it(enriched: Workspace, exported: Dataset):
    enriched.run("nnUNetv2_preprocess", "-d", 701, "-plans_name", TINY, "-c", "3d_fullres", "-np", 1)
    trainer = replace(enriched, dataset=exported).trainer("nnUNetTrainer")
    trainer.run_training()
    train, val = trainer.do_split()
    assert (len(train), len(val)) == (12, 2)
    assert set(trainer.dataloader_train.data_loader.indices) == set(train)
    assert len([case for case in train if "synthetic" in case]) == 4
    assert "This split has 12 training and 2 validation cases." in log_of(Path(trainer.output_folder))


def refused(
    workspace: Workspace, sentence: str, number: int = 702, name: str | None = None, plans: str = TINY, folds=None
):
    with pytest.raises(UserError, match=sentence):
        manage.export(manage.ExportRequest("501", "demo", folds, number, name, plans))
    for folder in ("nnUNet_raw", "nnUNet_preprocessed"):
        assert not [path for path in (workspace.root / folder).iterdir() if "702" in path.name]


def test_what_cannot_be_exported_is_one_sentence_without_a_trace(workspace: Workspace):
    refused(workspace, "Dataset501_StandIns has no set demo")
    add_set(workspace, "demo")
    refused(workspace, "There is a dataset Dataset501_StandIns already; choose another number than 501", number=501)
    refused(workspace, "number goes from 1 to 999", number=-5)
    refused(workspace, "number goes from 1 to 999", number=9999)
    refused(workspace, "There is no set demo for fold 3", folds=(3,))
    refused(workspace, "A dataset cannot be called 'a/b'", name="a/b")
    refused(workspace, r"nnUNetPlansX\.json does not exist", plans="nnUNetPlansX")
    label = workspace.dataset.set_part("demo", 0) / "labelsTr" / "synthetic_0002.nii.gz"
    content = label.read_bytes()
    label.write_bytes(content + b"x")
    refused(workspace, r"synthetic_0002\.nii\.gz is missing or was changed")
    label.write_bytes(content)
    path = workspace.dataset.preprocessed / "splits_final.json"
    splits = read_json(path, "")
    write_json(path, [{"train": splits[0]["val"], "val": splits[0]["train"]}])
    refused(workspace, "Set demo leaks validation cases of fold 0 into training")
    write_json(path, splits)
    taken = workspace.root / "nnUNet_results" / "Dataset702_Trained"
    taken.mkdir(parents=True)
    with pytest.raises(UserError, match="There is a dataset Dataset702_Trained already"):
        manage.export(manage.ExportRequest("501", "demo", None, 702, None, TINY))
    taken.rmdir()
    add_set(workspace, "demo", fold="all")
    refused(workspace, "Part all of set demo is for a fold that splits_final.json does not list")
    manage.export(manage.ExportRequest("501", "demo", (0,), 703, "chosen", TINY))
    assert (workspace.root / "nnUNet_raw" / "Dataset703_chosen").is_dir()


def test_a_real_case_called_like_an_exported_one_is_refused(workspace: Workspace):
    """Or it would vanish, and the synthetic one stand in train and val."""
    for path in list(workspace.dataset.raw.glob("*Tr/case_000*")):
        path.rename(path.with_name(path.name.replace("case_000", "demo_f0_synthetic_0000")))
    add_set(workspace, "demo", num_cases=3)  # not those of the template, whose ancestors are real cases of old names
    refused(workspace, "demo_f0_synthetic_0000 would be the name of a real and of a synthetic case")


def test_references_hold_for_a_relative_raw_folder(workspace: Workspace, monkeypatch):
    add_set(workspace, "demo")
    monkeypatch.chdir(workspace.root)
    monkeypatch.setenv("nnUNet_raw", "nnUNet_raw")
    manage.export(manage.ExportRequest("501", "demo", None, 702, None, TINY))
    description = read_json(Path("nnUNet_raw/Dataset702_StandIns_demo/dataset.json"), "")
    assert description["dataset"]["case_003"]["label"] == "$nnUNet_raw/Dataset501_StandIns/labelsTr/case_003.nii.gz"


def test_what_to_run_next_and_what_nobody_checked_are_said(workspace: Workspace, capsys):
    manage.add(manage.AddRequest("501", workspace.foreign_cases(), "demo", (0,), None, ("3d_fullres",), TINY, 1))
    capsys.readouterr()
    manage.export(manage.ExportRequest("501", "demo", None, 702, None, TINY))
    said = capsys.readouterr().out
    assert f"nnUNetv2_preprocess -d 702 -plans_name {TINY} -c 3d_fullres 2d" in said
    assert f"nnUNetv2_train 702 3d_fullres 0 -p {TINY}" in said
    assert "WARNING: the ancestors of 4 are unknown" in said
