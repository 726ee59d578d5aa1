"""Which commands there are, in which order, and on what each works."""

from dataclasses import replace

import pytest

from nnunetv2_tf.enrich.steps import steps_of
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from tests.enrich.test_request import WANTED
from tests.workspace import TINY, Workspace


def programs(request) -> list[str]:
    return [step.command[0] for step in steps_of(request)]


def test_a_method_in_healthy_scans_goes_all_the_way(with_healthy: Workspace):
    fits = ["nnUNetv2_train", "nnUNetv2_tf_fit", "nnUNetv2_tf_fit", "nnUNetv2_tf_synthesize", "nnUNetv2_train"]
    request = replace(WANTED, method="tf_gan", folds=(0, 1), train=True)
    assert programs(request) == ["nnUNetv2_preprocess", "nnUNetv2_tf_preprocess_healthy", *fits, *fits]
    steps = steps_of(request)
    assert [step.command[5] for step in steps if step.command[0] == "nnUNetv2_tf_fit"] == ["tf_aug", "tf_gan"] * 2
    known = {step.key for step in steps}
    assert len(known) == len(steps)
    for index, step in enumerate(steps):
        assert set(step.needs) <= {before.key for before in steps[:index]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"method": "carvemix", "healthy": None}, ["nnUNetv2_tf_synthesize"]),
        ({"method": "carvemix", "healthy": None, "keep": (0.7, 1.0)}, ["nnUNetv2_train", "nnUNetv2_tf_synthesize"]),
        ({"method": "syntumor"}, ["nnUNetv2_tf_preprocess_healthy", "nnUNetv2_tf_synthesize"]),
    ],
)
def test_there_is_a_baseline_only_where_somebody_needs_one(with_healthy: Workspace, changes, expected):
    assert programs(replace(WANTED, **changes))[1:] == expected


def test_raw_folders_become_datasets_first(workspace: Workspace, tmp_path):
    raw = {"dataset": "Dataset777_New", "healthy": "Dataset778_People", "raw_brats": (tmp_path,)}
    first, second, third, *_ = steps_of(replace(WANTED, **raw, raw_healthy=(tmp_path,), plans="nnUNetPlans"))
    assert first.command[:7] == (
        "nnUNetv2_tf_convert_brats", "-i", str(tmp_path), "-d", "777", "-name", "New"
    )  # fmt: skip
    assert second.command[5:9] == ("-name", "People", "-reference", "777")
    assert third.command[0] == "nnUNetv2_plan_and_preprocess"
    assert not any(step.done() for step in (first, second, third))
    before = first.inputs()
    (tmp_path / "scan.nii.gz").touch()
    assert first.inputs() != before
    assert list(before) == [f"the files in {tmp_path}"]


@pytest.mark.parametrize(
    ("plans", "spacing", "expected"),
    [
        ("nnUNetResEncUNetMPlans", None, ("-pl", "nnUNetPlannerResEncM")),
        ("coarse", (3.0, 3.0, 2.5), ("-overwrite_target_spacing", "3", "3", "2.5", "-overwrite_plans_name", "coarse")),
    ],
)
def test_plans_are_made_as_they_are_called(workspace: Workspace, plans, spacing, expected):
    step = steps_of(replace(WANTED, plans=plans, spacing=spacing, method="carvemix", healthy=None))[0]
    assert step.command[-len(expected) :] == expected
    with pytest.raises(UserError, match="has no plans whatever"):
        steps_of(replace(WANTED, plans="whatever", method="carvemix", healthy=None))


def test_inputs_change_with_what_people_change(with_healthy: Workspace):
    dataset = with_healthy.dataset
    preprocess, _, baseline, fit, synthesize = steps_of(WANTED)
    assert preprocess.done()
    assert not baseline.done()
    before = {step.key: step.inputs() for step in (preprocess, baseline, fit, synthesize)}
    (case, *_) = sorted((dataset.raw / "labelsTr").iterdir())
    case.write_bytes(case.read_bytes())  # another time is enough to look again
    assert preprocess.inputs() != before[preprocess.key]
    path = dataset.preprocessed / f"{TINY}.json"
    write_json(path, read_json(path, "") | {"remark": 1})
    changed = dict(baseline.inputs())
    assert {name for name in changed if changed[name] != before[baseline.key].get(name)} == {f"{TINY}.json"}
    other = steps_of(replace(WANTED, seed=3))[-1]
    assert other.key == synthesize.key
    assert other.inputs() != before[synthesize.key]
    assert list(fit.inputs()) == ["settings of tf_aug"]
