"""What is asked for: made, or refused in a sentence with nothing written and nothing lost."""

import json
from dataclasses import replace

import pytest

from nnunetv2_tf.commands import synthesize
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.methods.carvemix import CarveMix
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.host_pool import RealHostPool
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.synthesis.requests import FitRequest, MethodRequest, _mostly_of_one, fit
from nnunetv2_tf.tumours.recipe import DonorTumour, RecipeLine, read_recipe
from tests.synthesis.making import make_glowing, make_set, written
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


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"healthy": None}, "puts tumours into healthy scans; name their dataset with -healthy"),
        ({"method": "carvemix"}, "carvemix has real hosts, and leaves tumours as they are; leave -healthy out"),
        ({"method": "carvemix", "healthy": None, "asked": {"side": "left"}}, "leave -side out"),
        ({"healthy": "777"}, "There is no dataset 777"),
        ({"plans": "nnUNetPlans"}, "is not preprocessed with the plans of .*; run nnUNetv2_tf_preprocess_healthy"),
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


def test_methods_that_need_others_are_not_there_yet(workspace: Workspace, monkeypatch):
    monkeypatch.setattr(CarveMix, "needs", ("tf_aug",))
    with pytest.raises(UserError, match="carvemix learns what this version cannot fit yet"):
        make_set(workspace)


def test_all_folds_are_checked_before_any_is_made(workspace: Workspace):
    make_set(workspace, num_cases=1, folds=[1])
    with pytest.raises(UserError, match="Set cm of fold 1 was begun with seed 0, not 5"):
        make_set(workspace, num_cases=1, folds=[0, 1], seed=5)
    assert not list(workspace.dataset.set_part("cm", 0).rglob("*.nii.gz"))


@pytest.mark.slow
def test_a_recipe_drawn_changed_and_given(with_healthy: Workspace, tmp_path, capsys):
    drawn = make_glowing(with_healthy, "planned", num_cases=3, recipe_only=True)
    said = capsys.readouterr().out
    assert f"3 lines in {drawn.folder / 'recipe.jsonl'}" in said
    assert (drawn.folder / "preview.png").is_file()
    lines = read_recipe(drawn.folder / "recipe.jsonl")
    given = tmp_path / "mine.jsonl"
    text = (drawn.folder / "recipe.jsonl").read_text(encoding="utf-8").splitlines()
    given.write_text(text[0].replace(str(lines[0].healthy_host), "person_005") + "\n", encoding="utf-8")
    part = make_glowing(with_healthy, "mine", num_cases=None, recipe=given)
    assert part.sidecar("mine_00000").host == "person_005"
    assert part.sidecar("mine_00000").controls["transforms"] == read_json_lines(given)[0]["tumours"]
    given.write_text(text[0].replace(str(lines[0].healthy_host), "nobody") + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 1 uses nobody, which is no case of the healthy dataset"):
        make_glowing(with_healthy, "other", num_cases=None, recipe=given)
    with pytest.raises(UserError, match="line 1 has no real_host, which this method needs"):
        make_set(with_healthy, "cm", num_cases=None, recipe=drawn.folder / "recipe.jsonl")
    make_set(with_healthy, "cm", num_cases=1, recipe_only=True)
    with pytest.raises(UserError, match="line 1 has no healthy_host, which this method needs"):
        make_glowing(
            with_healthy,
            "other",
            num_cases=None,
            recipe=SetPart(with_healthy.dataset, "cm", 0).folder / "recipe.jsonl",
        )


def read_json_lines(path) -> list[dict]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("method", "healthy", "sentence"),
    [
        ("tests.methods.examples:Glow", "601", "Glow learns nothing, so there is nothing to fit; make a set with it"),
        ("carvemix", None, "carvemix learns nothing, so there is nothing to fit"),
        ("tf_aug", None, "tf_aug puts tumours into healthy scans; name their dataset with -healthy"),
    ],
)
def test_what_cannot_be_fitted_is_refused_before_any_data_is_read(method, healthy, sentence):
    """No such dataset exists, and nobody looks for it."""
    with pytest.raises(UserError, match=sentence):
        fit(FitRequest("777", "3d_fullres", (0,), method, healthy))


def test_hosts_are_healthy_where_a_healthy_dataset_is_named(with_healthy: Workspace):
    method = find_method("tests.methods.examples:Glow")
    request = MethodRequest("501", "3d_fullres", (0,), method.name, "601", plans=TINY, seed=4)
    healthy = request.hosts(1, method, {"side": "left"}, 2)
    assert isinstance(healthy, HealthyHostPool)
    assert (healthy.seed, healthy.sampling, healthy.asked, healthy.num_processes) == (
        4, method.sampling, {"side": "left"}, 2
    )  # fmt: skip
    assert healthy.cohort.healthy == HEALTHY
    real = replace(request, healthy=None).hosts(1, method, {}, 2)
    assert isinstance(real, RealHostPool)
    assert real.cohort.healthy is None
    for hosts in (healthy, real):
        assert (hosts.seed, hosts.cohort.fold, hosts.cohort.dataset) == (4, 1, with_healthy.dataset)
        assert hosts.cohort.plan.plans["plans_name"] == TINY


def test_a_fold_that_is_named_twice_is_made_once(workspace: Workspace, capsys):
    make_set(workspace, num_cases=2, folds=(1, 0, 1), recipe_only=True)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Fold ")]
    assert [line.partition(":")[0] for line in said] == ["Fold 1", "Fold 0"]


@pytest.mark.parametrize(
    ("donors", "known", "said"),
    [("aaaaabcd", 4, True), ("aaaabbcd", 4, False), ("aaaaaaaa", 2, False), ("aaaaaaa", 4, False)],
)
def test_a_set_that_is_mostly_of_one_donor_says_so(donors, known, said):
    lines = [RecipeLine(index, "host", None, (DonorTumour(name),), 0) for index, name in enumerate(donors)]
    warning = _mostly_of_one(known, lines)
    assert ("WARNING: 5 of 8 cases have the tumour of a, and 4 cases have one to give" in warning) is said
    assert bool(warning) is said
