"""What a fold may use: its training cases, their tumours, the healthy scans; and what does not go together."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from nnunetv2_tf.dataset.folders import KEPT, Dataset
from nnunetv2_tf.io import array_files
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, whole_file, write_json
from nnunetv2_tf.sets.manage import clear_kept
from nnunetv2_tf.synthesis.cohort import Cohort
from tests.scenes import Built
from tests.synthesis.making import (
    PEOPLE,
    cohort_of,
    healthy_hosts_of,
    make_glowing,
    preprocess_people,
    without_organ,
    written,
)
from tests.workspace import HEALTHY, Workspace


def test_a_fold_trains_with_its_own_cases_and_knows_all(scene: Built):
    cohort = Cohort(scene.dataset, scene.plan, 0)
    everyone = [f"case_{index:03d}" for index in range(5)]
    assert list(cohort.files) == everyone
    assert list(cohort.training) == list(cohort.training_files) == everyone[:4]  # the last one validates
    assert cohort.training_files["case_002"] == cohort.files["case_002"]
    assert [lesion.donor for lesion in cohort.bank.lesions] == everyone[:4]
    assert cohort.class_values == {"NCR": 1, "ED": 2, "ET": 3}
    assert cohort.roles == scene.cases[0].roles


def test_hosts_and_donors_are_named_with_their_patients(scene: Built):
    """One case has lost its tumour: it may be host, and no donor."""
    cohort = Cohort(scene.dataset, scene.plan, 0)
    healed = cohort.training["case_001"]
    cohort.training = {**cohort.training, "case_001": replace(healed, roles=replace(healed.roles, tumour=(9,)))}
    assert cohort.names.groups == {case.identifier: case.group for case in scene.cases}
    assert list(cohort.names.donors) == ["case_000", "case_002", "case_003"]
    assert not cohort.names.healthy
    assert [lesion.donor for lesion in cohort.bank.lesions] == ["case_000", "case_002", "case_003"]


def test_without_a_healthy_dataset_there_are_no_healthy_scans(scene: Built):
    cohort = Cohort(scene.dataset, scene.plan, 0)
    assert (dict(cohort.healthy_cases), dict(cohort.healthy_stamps)) == ({}, {})


@pytest.mark.parametrize(
    ("scene", "known"), [("one channel", True), ("CT", True), ("unmasked", False)], indirect=["scene"]
)
def test_the_organ_is_known_by_its_labels_or_by_the_background(scene: Built, known):
    assert Cohort(scene.dataset, scene.plan, 0).knows_organ is known


def test_a_healthy_scan_that_goes_takes_its_stamp_along(with_healthy: Workspace):
    before = cohort_of(with_healthy)
    assert set(before.healthy_stamps) == set(before.healthy_cases) == set(before.names.healthy) == PEOPLE
    for folder, end in (("imagesTr", "_0000"), ("labelsTr", "")):
        (HEALTHY.raw / folder / f"person_003{end}.nii.gz").unlink()
    after = cohort_of(with_healthy)
    assert set(after.healthy_cases) == PEOPLE - {"person_003"}
    assert after.healthy_stamps == {
        name: stamp for name, stamp in before.healthy_stamps.items() if name != "person_003"
    }


def test_healthy_scans_without_any_organ_are_refused(with_healthy: Workspace):
    cohort = cohort_of(with_healthy)
    nowhere = {name: without_organ(case) for name, case in cohort.healthy_cases.items()}
    cohort.healthy_cases = {**cohort.healthy_cases, "person_000": nowhere["person_000"]}
    assert len(cohort.bank.lesions) == 8  # one that has none does not matter
    cohort = cohort_of(with_healthy)
    cohort.healthy_cases = nowhere
    with pytest.raises(UserError, match="No scan of Dataset601_Healthy has any of its label, the organ; convert them"):
        _ = cohort.bank


def test_brains_that_lie_elsewhere_are_refused(with_healthy: Workspace):
    for folder in ("imagesTr", "labelsTr"):
        for path in (HEALTHY.raw / folder).iterdir():
            image = sitk.ReadImage(str(path))
            image.SetOrigin((300.0, 0.0, 0.0))
            sitk.WriteImage(image, str(path))
    preprocess_people()
    with pytest.raises(
        UserError, match="The brains of Dataset601_Healthy lie elsewhere than those of .* -reference 501"
    ):
        make_glowing(with_healthy)


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
    preprocess_people()
    with pytest.raises(UserError, match=sentence):
        make_glowing(with_healthy)
    assert not with_healthy.dataset.sets.exists()


def test_labels_of_one_value_may_be_lists(with_healthy: Workspace):
    write_labels({"background": 0, "brain": [1]})
    preprocess_people()
    assert not healthy_hosts_of(with_healthy).cases["person_000"].open().label().any()


def test_a_set_is_the_same_whatever_is_kept_of_its_hosts(with_healthy: Workspace, monkeypatch):
    """Nothing; at first; from then on; and after it was stopped in the middle of keeping something."""
    kept = with_healthy.dataset.preprocessed / "tf" / KEPT

    def made(**changes: Any) -> dict[str, bytes]:
        part = make_glowing(with_healthy, **changes)
        files = written(part)
        part.remove()
        return files

    expected = made(kept_gb=0.0)
    assert not kept.exists()
    assert made() == expected
    entries = {path: path.read_bytes() for path in kept.iterdir()}
    assert len(entries) >= 4
    assert made() == expected
    assert made(num_processes=2) == expected
    assert {path: path.read_bytes() for path in kept.iterdir()} == entries
    pool = kept.with_name("online") / "trainer" / "fold_0"
    pool.mkdir(parents=True)
    clear_kept("501")
    assert not kept.exists()
    assert not pool.exists()

    @contextmanager
    def stopped(path: Path, lasting: bool = True) -> Iterator[Path]:
        with whole_file(path) as temporary:
            yield temporary
            temporary.write_bytes(temporary.read_bytes()[:50])
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(array_files, "whole_file", stopped)
        made()
    assert made() == expected
    assert {path: path.read_bytes() for path in kept.iterdir()} == entries
