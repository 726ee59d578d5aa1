"""Who may continue, overwrite or mix what: nothing is mixed silently, nothing is deleted that was not meant."""

import gzip

import pytest
import SimpleITK as sitk

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets import manage
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis import case_maker
from nnunetv2_tf.synthesis.site_builder import UnusableLineError
from nnunetv2_tf.tumours.recipe import read_recipe, write_recipe
from tests.synthesis.making import cases_in, make_glowing, make_set, preprocess_people, written
from tests.workspace import HEALTHY, TINY, Workspace


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": 1}, "Set cm of fold 0 was begun with seed 0, not 1"),
        ({"preset": "paper"}, "was begun with preset default, not paper"),
        ({"method": "tests.methods.examples:Stamp"}, "was begun with method carvemix, not tests.methods"),
        ({"plans": "nnUNetPlans"}, "was begun with plans nnUNetPlansTiny, not nnUNetPlans"),
    ],
)
def test_another_order_may_not_continue_a_set(workspace: Workspace, changes, sentence):
    part = make_set(workspace, num_cases=2)
    before = written(part)
    with pytest.raises(UserError, match=sentence):
        make_set(workspace, num_cases=2, **changes)
    assert written(part) == before
    make_set(workspace, num_cases=2, overwrite=True, **changes)
    assert written(part)["config.json"] != before["config.json"]


def test_another_cohort_may_not_continue_a_set(workspace: Workspace):
    make_set(workspace, num_cases=2)
    names = [f"case_{index:03d}" for index in range(10)]
    write_json(workspace.dataset.preprocessed / "splits_final.json", [{"train": names[1:], "val": names[:1]}])
    with pytest.raises(UserError, match="was begun with other training cases, groups or donors"):
        make_set(workspace, num_cases=2)


def test_sets_from_elsewhere_are_not_mixed_with_ours(workspace: Workspace):
    folder = workspace.foreign_cases()
    arguments = (folder / "ancestors.json", ("3d_fullres",), "nnUNetPlansTiny", 1)
    manage.add(manage.AddRequest(workspace.id, folder, "foreign", (0,), *arguments))
    with pytest.raises(UserError, match="Set foreign of fold 0 holds cases from elsewhere"):
        make_set(workspace, "foreign", num_cases=2)
    make_set(workspace, "ours", num_cases=2, recipe_only=True)
    with pytest.raises(UserError, match="Set ours is made by nnUNetv2_tf_synthesize"):
        manage.add(manage.AddRequest(workspace.id, folder, "ours", (0,), *arguments))


def test_a_recipe_from_the_sets_own_folder(workspace: Workspace):
    """Written with --recipe_only, changed by hand, followed with --overwrite: nothing of it is lost."""
    part = make_set(workspace, num_cases=3, recipe_only=True)
    path = part.folder / "recipe.jsonl"
    chosen = read_recipe(path)[:2]
    write_recipe(chosen, path)
    make_set(workspace, num_cases=None, recipe=path, overwrite=True)
    assert len(cases_in(part)) == 2
    assert read_recipe(path) == chosen


def test_overwrite_spares_cases_from_elsewhere(workspace: Workspace):
    folder = workspace.foreign_cases()
    manage.add(
        manage.AddRequest(workspace.id, folder, "mine", (0,), folder / "ancestors.json", ("3d_fullres",), TINY, 1)
    )
    with pytest.raises(UserError, match="Set mine of fold 0 holds cases from elsewhere"):
        make_set(workspace, "mine", overwrite=True)
    assert len(SetPart(workspace.dataset, "mine", 0).manifest().cases) == 4


def test_overwrite_leads_out_of_a_dead_end(workspace: Workspace, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(case_maker, "synthesize_case", lambda task: (_ for _ in ()).throw(UnusableLineError("no room")))
        with pytest.raises(UserError, match="no room"):
            make_set(workspace, num_cases=2)
    with pytest.raises(UserError, match="no room"):
        make_set(workspace, num_cases=2)
    assert len(cases_in(make_set(workspace, num_cases=2, overwrite=True))) == 2


def test_a_shorter_recipe_does_not_shrink_a_set(workspace: Workspace, tmp_path):
    given = make_set(workspace, "planned", num_cases=4, recipe_only=True).folder / "recipe.jsonl"
    part = make_set(workspace, "cm", num_cases=None, recipe=given)
    write_recipe(read_recipe(given)[:2], tmp_path / "short.jsonl")
    with pytest.raises(UserError, match="follows 4 lines of a longer recipe"):
        make_set(workspace, "cm", num_cases=None, recipe=tmp_path / "short.jsonl")
    assert len(cases_in(part)) == 4


def test_changed_scans_do_not_continue_a_set(workspace: Workspace):
    part = make_set(workspace, num_cases=2)
    name = part.sidecar("cm_00000").host
    label = workspace.dataset.raw / "labelsTr" / f"{name}.nii.gz"
    make_set(workspace, num_cases=3)
    label.write_bytes(gzip.compress(gzip.decompress(label.read_bytes()), 9, mtime=1))
    with pytest.raises(UserError, match=f"The files of {name} have changed since set cm of fold 0 was begun"):
        make_set(workspace, num_cases=4)


def test_what_a_job_of_the_removed_set_still_writes_is_made_again(workspace: Workspace):
    """It has the same hosts, donors and seeds, by the same recipe, but is of another method."""
    part = make_set(workspace, num_cases=2)
    by_carvemix = written(part)
    stamp = {"num_cases": 2, "method": "tests.methods.examples:Stamp"}
    make_set(workspace, overwrite=True, **stamp)
    by_stamp = written(part)
    late = [path for path in by_carvemix if "cm_00001" in path]
    assert any("imagesTr" in path for path in late if by_carvemix[path] != by_stamp[path])
    for path in late:
        (part.folder / path).write_bytes(by_carvemix[path])
    make_set(workspace, **stamp)
    assert all((part.folder / path).read_bytes() == by_stamp[path] for path in late)


def test_what_the_labels_mean_is_part_of_the_order(workspace: Workspace):
    make_set(workspace, num_cases=1)
    path = workspace.dataset.raw / "dataset.json"
    write_json(path, read_json(path, "") | {"tf": {"tumour": ["NCR", "ET"]}})
    with pytest.raises(UserError, match=r"was begun with tumour labels \[1, 2, 3\] in dataset.json, not \[1, 3\]"):
        make_set(workspace, num_cases=2)


def test_a_set_removed_meanwhile_is_not_finished(workspace: Workspace, monkeypatch):
    original = case_maker.make_case

    def make_and_remove(task):
        original(task)
        task.part.remove()

    monkeypatch.setattr("nnunetv2_tf.synthesis.set_builder.make_case", make_and_remove)
    with pytest.raises(UserError, match="config.json does not exist"):
        make_set(workspace, num_cases=1)
    assert not SetPart(workspace.dataset, "cm", 0).exists()


def test_other_tumours_or_hosts_may_not_continue_a_set(with_healthy: Workspace):
    make_glowing(with_healthy, num_cases=1)
    scan = HEALTHY.raw / "imagesTr" / "person_002_0000.nii.gz"
    image = sitk.ReadImage(str(scan))
    sitk.WriteImage(sitk.Cast(image * 2, image.GetPixelID()), str(scan))
    with pytest.raises(UserError, match="person_002 of .* is not preprocessed, or was before it or the plans changed"):
        make_glowing(with_healthy, num_cases=2)
    preprocess_people()
    with pytest.raises(UserError, match=r"was begun with other tumours, healthy scans or rules of drawing \(tumours\)"):
        make_glowing(with_healthy, num_cases=2)
    Dataset("Dataset602_Others").raw.parent.joinpath(HEALTHY.name).rename(Dataset("Dataset602_Others").raw)
    preprocess_people("602")
    with pytest.raises(UserError, match="was begun with healthy dataset Dataset601_Healthy, not Dataset602_Others"):
        make_glowing(with_healthy, num_cases=2, healthy="602")
