"""Which commands there are, in which order, and on what each works."""

from dataclasses import replace

import pytest

from nnunetv2_tf.enrich.steps import steps_of
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets.store import SetPart
from tests.enrich.test_request import WANTED
from tests.synthesis.making import make_set
from tests.workspace import TINY, TRAINER, Workspace


def programs(request) -> list[str]:
    return [step.command[0] for step in steps_of(request)]


def test_a_method_in_healthy_scans_goes_all_the_way(with_healthy: Workspace):
    made = ["nnUNetv2_tf_synthesize", "nnUNetv2_tf_report", "nnUNetv2_train"]
    fits = ["nnUNetv2_train", "nnUNetv2_tf_fit", "nnUNetv2_tf_fit", *made]
    request = replace(WANTED, method="tf_gan", folds=(0, 1), train=True)
    assert programs(request) == ["nnUNetv2_preprocess", "nnUNetv2_tf_preprocess_healthy", *fits, *fits]
    steps = steps_of(request)
    assert [step.command[5] for step in steps if step.command[0] == "nnUNetv2_tf_fit"] == ["tf_aug", "tf_gan"] * 2
    assert len({step.key for step in steps}) == len(steps)
    for index, step in enumerate(steps):
        assert {need for need in step.needs if not need.startswith("convert ")} <= {one.key for one in steps[:index]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"method": "carvemix", "healthy": None}, ["nnUNetv2_tf_synthesize"]),
        ({"method": "carvemix", "healthy": None, "keep": (0.7, 1.0)}, ["nnUNetv2_train", "nnUNetv2_tf_synthesize"]),
        ({"method": "syntumor"}, ["nnUNetv2_tf_preprocess_healthy", "nnUNetv2_tf_synthesize"]),
    ],
)
def test_there_is_a_baseline_only_where_somebody_needs_one(with_healthy: Workspace, changes, expected):
    assert programs(replace(WANTED, **changes))[1:-1] == expected


def test_raw_folders_become_datasets_first(workspace: Workspace, tmp_path):
    raw = {"dataset": "Dataset777_New", "healthy": "Dataset778_People", "raw_brats": (tmp_path,)}
    first, second, third, *_ = steps_of(replace(WANTED, **raw, raw_healthy=(tmp_path,), plans="nnUNetPlans"))
    assert first.command[:7] == (
        "nnUNetv2_tf_convert_brats", "-i", str(tmp_path), "-d", "777", "-name", "New"
    )  # fmt: skip
    assert second.command[5:9] == ("-name", "People", "-reference", "777")
    assert third.command[0] == "nnUNetv2_plan_and_preprocess"
    assert not any(step.finished() for step in (first, second, third))
    assert (second.needs, third.needs) == ((first.key,), (first.key,))
    before = first.inputs()
    (tmp_path / "scan.nii.gz").touch()
    assert first.inputs() != before
    assert "the files of -raw_brats" in before


@pytest.mark.parametrize(
    ("plans", "spacing", "expected"),
    [
        ("nnUNetResEncUNetMPlans", None, ("-pl", "nnUNetPlannerResEncM")),
        (
            "coarse",
            (3.0, 3.0, 2.5),
            ("-overwrite_target_spacing", "3.0", "3.0", "2.5", "-overwrite_plans_name", "coarse"),
        ),
    ],
)
def test_plans_are_made_as_they_are_called(workspace: Workspace, plans, spacing, expected):
    step = steps_of(replace(WANTED, plans=plans, spacing=spacing, method="carvemix", healthy=None))[0]
    assert step.command[-len(expected) :] == expected


def test_inputs_change_with_what_people_change(with_healthy: Workspace):
    dataset = with_healthy.dataset
    preprocess, healthy, baseline, fit, synthesize, _ = steps_of(WANTED)
    assert preprocess.finished()
    assert healthy.finished()
    assert not baseline.finished()
    before = {step.key: dict(step.inputs()) for step in (preprocess, baseline, fit, synthesize)}

    def differing(step) -> set[str]:
        now = dict(step.inputs())
        return {name for name in now if now[name] != before[step.key].get(name, now[name])}

    (case, *_) = sorted((dataset.raw / "labelsTr").iterdir())
    case.write_bytes(case.read_bytes())  # another time is enough to look again
    assert differing(preprocess) == {f"the cases of {dataset.name}"}
    path = dataset.preprocessed / f"{TINY}.json"
    plans = read_json(path, "")
    plans["configurations"]["3d_fullres"]["batch_size"] = 3  # the arrays do not depend on it
    write_json(path, plans)
    assert differing(preprocess) == {f"the cases of {dataset.name}"}
    assert differing(baseline) == differing(synthesize) == {f"{TINY}.json"}
    plans["configurations"]["3d_fullres"]["spacing"] = [2, 2, 2]
    write_json(path, plans)
    assert f"spacing and normalisation in {TINY} for 3d_fullres" in differing(preprocess)
    other = steps_of(replace(WANTED, seed=3))
    assert {step.key for step in other} == {step.key for step in steps_of(WANTED)}
    assert other[-2].inputs()["-seed"] == "3"
    assert "-seed" not in other[-3].inputs()  # a fit may have any
    assert steps_of(replace(WANTED, healthy="Dataset601_Healthy"))[-2].inputs()["-healthy"] == "Dataset601_Healthy"
    assert synthesize.inputs()["-healthy"] == "Dataset601_Healthy"


def test_a_split_is_an_input_of_whoever_trains_by_it(with_healthy: Workspace):
    def split_of(fold: int) -> str | None:
        request = replace(WANTED, folds=(fold,), method="syntumor")
        return steps_of(request)[-2].inputs().get(f"the split of fold {fold}")

    path = with_healthy.dataset.preprocessed / "splits_final.json"
    path.unlink(missing_ok=True)
    assert split_of(0) is None
    write_json(path, [{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}])
    before = [split_of(0), split_of(1)]
    write_json(path, [{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["c"]}])
    assert (split_of(0) == before[0], split_of(1) == before[1]) == (True, False)


def test_a_set_says_itself_what_it_was_made_of(with_healthy: Workspace):
    make_set(with_healthy, "tfaug2", 2)
    step = steps_of(WANTED)[-2]
    told, asked = step.told(), step.inputs()
    assert {"-m", "-healthy"} <= {name for name in told if asked.get(name, told[name]) != told[name]}
    assert not step.stuck()
    (SetPart(with_healthy.dataset, "tfaug2", 0).folder / "config.json").unlink()
    assert step.told() == {"-m": "cases from elsewhere"}
    assert "take another name with -s" in step.stuck()


def test_a_fit_and_a_set_that_are_as_asked_say_the_same_as_is_asked(with_healthy: Workspace):
    """Else all that is done by hand would count as changed."""
    make_set(with_healthy, "syn2", 2, method="syntumor", healthy="601")
    step = steps_of(replace(WANTED, method="syntumor", set_name="syn2"))[-2]
    told, asked = step.told(), step.inputs()
    assert len(set(told) & set(asked)) >= 8
    assert {name for name in told if name in asked and asked[name] != told[name]} == set()


def test_preprocessing_is_not_done_before_nnunet_has_copied_the_labels(workspace: Workspace):
    """It does so last, and validation wants them."""
    step = steps_of(replace(WANTED, method="carvemix", healthy=None))[0]
    assert step.finished()
    next((workspace.dataset.preprocessed / "gt_segmentations").iterdir()).unlink()
    assert not step.finished()


def test_new_cases_are_planned_anew_and_changed_plans_are_meant(workspace: Workspace):
    dataset = workspace.dataset
    request = replace(WANTED, method="carvemix", healthy=None, plans="nnUNetPlans")
    step = steps_of(request)[0]
    step.clear(("spacing and normalisation in nnUNetPlans for 3d_fullres",))
    assert (dataset.preprocessed / "nnUNetPlans.json").exists()
    step.clear((f"the cases of {dataset.name}",))
    assert not (dataset.preprocessed / "nnUNetPlans.json").exists()
    assert steps_of(request)[0].command[0] == "nnUNetv2_plan_and_preprocess"
    own = steps_of(replace(request, plans=TINY))[0]
    own.clear((f"the cases of {dataset.name}",))
    assert (dataset.preprocessed / f"{TINY}.json").exists()  # it is the user's, and stays
    assert (dataset.preprocessed / "dataset.json").exists()


def test_a_training_is_put_aside_and_a_fit_is_deleted(trained: Workspace):
    baseline, fit = steps_of(WANTED)[2:4]
    assert baseline.finished()
    baseline.clear(())
    assert not baseline.finished()
    (folder,) = (trained.results / f"{TRAINER}__{TINY}__3d_fullres").glob(".fold_0_until_*")
    assert (folder / "checkpoint_final.pth").exists()
    fit.clear(())  # there is none


def test_scans_that_are_gone_are_named(workspace: Workspace):
    min((workspace.dataset.raw / "labelsTr").iterdir()).rename(workspace.root / "away.nii.gz")
    max((workspace.dataset.raw / "imagesTr").iterdir()).unlink()
    with pytest.raises(UserError, match=r"labelsTr|imagesTr|does not exist"):
        steps_of(replace(WANTED, method="carvemix", healthy=None))[0].inputs()


def test_only_what_a_converter_reads_counts(workspace: Workspace, tmp_path):
    raw = {"dataset": "Dataset777_New", "raw_brats": (tmp_path,), "method": "carvemix", "healthy": None}
    first = steps_of(replace(WANTED, **raw, plans="nnUNetPlans"))[0]
    before = first.inputs()
    for name in (".DS_Store", "README.md", "license.txt"):
        (tmp_path / name).touch()
    assert first.inputs() == before
    others = steps_of(replace(WANTED, **raw, plans="nnUNetPlans", modalities=("t1c",)))[0]
    assert {name for name in before if others.inputs()[name] != before[name]} == {"-modalities"}
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "scan.nii.gz").touch()
    more = steps_of(replace(WANTED, **{**raw, "raw_brats": (tmp_path, tmp_path / "more")}, plans="nnUNetPlans"))[0]
    assert {name for name in before if more.inputs()[name] != before[name]} == {"the files of -raw_brats"}
