"""Promise 4: a synthetic case is preprocessed like a real one. Bit for bit against nnUNetv2_preprocess."""

import shutil

import pytest

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.written import are_whole
from nnunetv2_tf.working_space.preprocess import Plan, preprocess_cases, stored_files
from tests.conftest import enter, write_template
from tests.workspace import TINY, Workspace, stored, tree


@pytest.fixture(scope="module")
def by_nnunet(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The raw cases of `template`, planned and preprocessed by nnU-Net's own command; not to be changed."""
    workspace = Workspace(tmp_path_factory.mktemp("by_nnunet"), Dataset("Dataset501_StandIns"))
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        write_template(workspace)
    workspace.run("nnUNetv2_plan_and_preprocess", "-d", 501, "-c", "3d_fullres", "-np", 1, "-npfp", 1)
    return workspace


def arrays_of(workspace: Workspace, configuration: str) -> dict[str, object]:
    """What nnU-Net's own command stores, by a command of its own where planning did not."""
    folder = workspace.root / "nnUNet_preprocessed" / workspace.dataset.name / f"nnUNetPlans_{configuration}"
    if not folder.exists():
        workspace.run("nnUNetv2_preprocess", "-d", 501, "-c", configuration, "-np", 1)
    return stored(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("configuration", "processes"),
    [
        ("3d_fullres", 1),
        pytest.param("3d_fullres", 2, marks=pytest.mark.exhaustive),
        pytest.param("2d", 1, marks=pytest.mark.exhaustive),
        pytest.param("2d", 2, marks=pytest.mark.exhaustive),
    ],
)
def test_equals_what_nnunet_stores(by_nnunet: Workspace, monkeypatch, tmp_path, configuration, processes):
    enter(by_nnunet, monkeypatch)
    stock = arrays_of(by_nnunet, configuration)
    cases = list(raw_cases(by_nnunet.dataset).values())[:3]
    folder = tmp_path / "ours" / configuration
    done = list(preprocess_cases(by_nnunet.plan(configuration, "nnUNetPlans"), cases, folder, processes))
    assert [name for name, _ in done] == [case.identifier for case in cases]
    assert all(are_whole(folder, stored_files(folder, name), files) for name, files in done)
    ours = stored(folder)
    names = {case.identifier for case in cases}
    assert len(ours) == 9
    assert ours == {name: data for name, data in stock.items() if name.split(".")[0].removesuffix("_seg") in names}
    assert [path.name for path in folder.parent.iterdir()] == [configuration]  # no scratch left


@pytest.mark.slow
@pytest.mark.parametrize("configuration", ["3d_fullres", pytest.param("2d", marks=pytest.mark.exhaustive)])
def test_the_template_of_the_tests_is_what_nnunet_makes(by_nnunet: Workspace, template: Workspace, configuration):
    """Arrays bit for bit, plans and fingerprint but for the last digits of brightness on another processor."""
    folders = [place.root / "nnUNet_preprocessed" / place.dataset.name for place in (by_nnunet, template)]
    names = [{path.name for path in folder.iterdir()} - {"nnUNetPlans_2d"} for folder in folders]
    assert names[1] == names[0] | {f"{TINY}.json"}
    assert arrays_of(by_nnunet, configuration) == stored(folders[1] / f"nnUNetPlans_{configuration}")
    for name in ("nnUNetPlans", "dataset_fingerprint"):
        theirs, ours = (read_json(folder / f"{name}.json", "") for folder in folders)
        bright = [plans.pop("foreground_intensity_properties_per_channel")["0"] for plans in (theirs, ours)]
        assert bright[0] == pytest.approx(bright[1], rel=1e-5)
        assert theirs == ours


def test_plans_that_do_not_exist_are_named(workspace: Workspace):
    with pytest.raises(UserError, match=r"nnUNetPlansX\.json does not exist; run nnUNetv2_plan_and_preprocess"):
        Plan.read(workspace.dataset, "nnUNetPlansX", "3d_fullres")
    with pytest.raises(UserError, match="has no configuration 3d_lowres, only 2d, 3d_fullres"):
        Plan.read(workspace.dataset, TINY, "3d_lowres")


def test_plans_under_another_name_than_their_own_are_refused(workspace: Workspace):
    """nnU-Net would look for its results, and leave them, under the name within."""
    copy = workspace.dataset.preprocessed / "nnUNetPlansMine.json"
    shutil.copy(workspace.dataset.preprocessed / f"{TINY}.json", copy)
    with pytest.raises(UserError, match=f'is called {TINY} within, .* write "plans_name": "nnUNetPlansMine" there'):
        Plan.read(workspace.dataset, "nnUNetPlansMine", "3d_fullres")


def changed(plan: Plan, **settings) -> Plan:
    plans = {**plan.plans, "configurations": {**plan.plans["configurations"]}}
    plans["configurations"]["3d_fullres"] = {**plans["configurations"]["3d_fullres"], **settings}
    return Plan(plans, "3d_fullres", plan.dataset_json)


def test_the_stamp_knows_what_changes_arrays(workspace: Workspace):
    plan = workspace.plan()
    same = [changed(plan, batch_size=7), changed(plan, patch_size=[8, 8, 8])]
    other = [
        changed(plan, spacing=[2.0, 1.0, 1.0]),
        changed(plan, use_mask_for_norm=[False]),
        changed(plan, resampling_fn_data_kwargs={"order": 1}),
        changed(plan, normalization_schemes=["CTNormalization"]),
        Plan({**plan.plans, "transpose_forward": [2, 0, 1]}, "3d_fullres", plan.dataset_json),
        Plan(plan.plans, "3d_fullres", {**plan.dataset_json, "labels": {"background": 0, "x": 1}}),
    ]
    assert {each.stamp for each in same} == {plan.stamp}
    assert len({plan.stamp, *(each.stamp for each in other)}) == 1 + len(other)
    assert workspace.plan("2d").stamp != plan.stamp


def test_what_nnunet_cannot_preprocess_is_one_sentence(workspace: Workspace):
    case = next(iter(raw_cases(workspace.dataset).values()))
    shutil.copy(workspace.dataset.raw / "dataset.json", case.label)
    with pytest.raises(UserError, match="case_000 could not be preprocessed into"):
        list(preprocess_cases(workspace.plan(), [case], workspace.root / "out", 1))
    assert tree(workspace.root / "out") == {}
    assert read_json(workspace.dataset.raw / "dataset.json", "")["numTraining"] == 10
