"""One line becomes one case: its files, what it descends from, or why there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.dataset.cases import case_digest
from nnunetv2_tf.dataset.provenance import Sidecar, versions
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.io.written import record_of
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.case_maker import CaseTask, case_name, make_case, ready_method, synthesize_case
from nnunetv2_tf.synthesis.site_builder import RealSiteBuilder
from tests.scenes import CPU, Built
from tests.synthesis.making import without_organ
from tests.workspace import tree

LIAR = "tests.methods.examples:Liar"
STAMP = "tests.methods.examples:Stamp"


@pytest.fixture
def part_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where cases go instead of into the scene, which others share."""
    monkeypatch.setattr(SetPart, "folder", tmp_path)
    return tmp_path


def numbered(task: CaseTask, index: int) -> CaseTask:
    builder = task.site_builder
    assert isinstance(builder, RealSiteBuilder)
    return replace(task, site_builder=replace(builder, line=replace(builder.line, index=index)))


def test_cases_are_named_by_their_set_and_line(scene: Built):
    assert case_name(SetPart(scene.dataset, "glow", 0), 12) == "glow_00012"
    assert numbered(scene.task(0, 1, STAMP), 7).identifier == "made_00007"


def test_a_case_is_written_with_what_it_descends_from(scene: Built, part_folder):
    everyone = tuple(case.identifier for case in scene.cases)
    task = replace(numbered(scene.task(0, 1, STAMP, seed=5), 3), geometry_ancestors=everyone)
    make_case(task)
    assert set(tree(part_folder)) == {
        "imagesTr/made_00003_0000.nii.gz", "labelsTr/made_00003.nii.gz", "sidecars/made_00003.json"
    }  # fmt: skip
    host, donor = everyone[:2]
    files = [part_folder / "imagesTr" / "made_00003_0000.nii.gz", part_folder / "labelsTr" / "made_00003.nii.gz"]
    assert Sidecar.read(part_folder / "sidecars" / "made_00003.json") == Sidecar(
        case="made_00003",
        line=3,
        host=host,
        donors=(donor,),
        ancestors=(host, donor),
        geometry_ancestors=everyone[2:],
        reach_mm=6.0,
        sources={host: case_digest(scene.cases[0].files)},
        controls={},
        seed=5,
        versions=versions(),
        files=record_of(part_folder, files),
    )
    composed, _ = synthesize_case(task)
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(part_folder / "labelsTr" / "made_00003.nii.gz")))
    np.testing.assert_array_equal(label, composed.label.file_voxels)
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(part_folder / "imagesTr" / "made_00003_0000.nii.gz")))
    np.testing.assert_array_equal(image, composed.images[0].file_voxels)


def test_a_method_draws_from_the_seed_of_the_line(scene: Built):
    same, again, other = (synthesize_case(scene.task(0, 1, STAMP, seed))[0].images[0].file_voxels for seed in (1, 1, 2))
    np.testing.assert_array_equal(same, again)
    assert (same != other).any()


def test_an_unusable_line_leaves_its_reason_and_no_case(scene: Built, part_folder):
    task = numbered(scene.task(0, 1, STAMP), 4)
    make_case(replace(task, host=without_organ(task.host)))
    assert set(tree(part_folder)) == {"skipped/made_00004.json"}
    assert read_json(task.part.skipped_path(task.identifier), "") == {
        "line": 4,
        "reason": "the tumour of case_001 falls outside the organ of case_000",
    }


def test_a_case_whose_files_are_not_all_there_has_no_sidecar(scene: Built, part_folder):
    """The label cannot be written, since a folder has its name."""
    task = scene.task(0, 1, STAMP)
    in_the_way = part_folder / "labelsTr" / f"{task.identifier}.nii.gz"
    in_the_way.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        make_case(task)
    assert set(tree(part_folder)) == {f"imagesTr/{task.identifier}_0000.nii.gz"}
    in_the_way.rmdir()
    make_case(task)
    assert task.part.sidecar_path(task.identifier).is_file()


def test_controls_of_a_method_do_not_stand_in_for_ours(scene: Built):
    task = scene.task(0, 1, LIAR)
    _, sidecar = synthesize_case(task)
    assert sidecar.controls["placed"]["volume_ml"] > 0
    assert sidecar.controls["transforms"] == to_json(task.line.tumours)
    assert sidecar.controls["own"] == 7


def test_what_was_learnt_is_read_once_and_again_when_it_has_changed(scene: Built):
    method = find_method("tf_aug")
    fit = scene.fit(method)
    assert fit is not None
    first = ready_method(method, fit, CPU)
    assert ready_method(method, fit, CPU) is first
    assert ready_method(method, replace(fit, digest="another"), CPU) is not first


def test_a_method_that_learns_nothing_is_made_anew(scene: Built):
    method = find_method(STAMP)
    first = ready_method(method, None, CPU)
    assert isinstance(first, method.method_class)
    assert ready_method(method, None, CPU) is not first
