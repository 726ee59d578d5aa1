"""Sets come out the same whatever the parts, workers and interruptions, and nothing is mixed silently."""

from dataclasses import replace

import pytest

from nnunetv2_tf.dataset.folds import Groups, fold_split
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.parallel import Share
from nnunetv2_tf.sets.leakage import find_leaks
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis import case_maker
from nnunetv2_tf.synthesis.site_builder import UnusableLineError
from nnunetv2_tf.tumours.recipe import read_recipe, write_recipe
from tests.synthesis.making import PEOPLE, cases_in, make_glowing, make_set, temporary_files, written
from tests.workspace import HEALTHY, Workspace, stored

pytestmark = pytest.mark.slow


def test_a_set_with_all_that_belongs_to_it(workspace: Workspace, capsys):
    part = make_set(workspace, num_cases=4)
    names = [f"cm_{index:05d}" for index in range(4)]
    assert cases_in(part) == names
    files = written(part)
    expected = {"config.json", "manifest.json", "recipe.jsonl", "overview.png", "quality.csv"}
    for name in names:
        expected |= {f"imagesTr/{name}_0000.nii.gz", f"labelsTr/{name}.nii.gz", f"sidecars/{name}.json"}
    assert set(files) == expected
    assert files["overview.png"].startswith(b"\x89PNG")
    manifest = part.manifest()
    assert (manifest.method, manifest.preset, manifest.healthy, manifest.baseline) == (
        "carvemix",
        "default",
        None,
        None,
    )
    assert len(stored(part.preprocessed("nnUNetPlans_3d_fullres"))) == 12
    assert temporary_files(workspace.root) == []
    said = capsys.readouterr().out
    assert "Set cm, fold 0: 4 cases in" in said
    assert "nnUNetv2_train Dataset501_StandIns 3d_fullres 0 -tr TFEnrichedTrainer_cm -p nnUNetPlansTiny" in said


def test_sidecars_name_every_ancestor_and_none_leaks(workspace: Workspace):
    part = make_set(workspace, num_cases=12)
    split = fold_split(workspace.dataset, 0, [f"case_{index:03d}" for index in range(10)])
    sidecars = [part.sidecar(name) for name in cases_in(part)]
    lines = read_recipe(part.folder / "recipe.jsonl")
    for sidecar, line in zip(sidecars, lines, strict=True):
        assert (sidecar.host, sidecar.donors) == (line.real_host, (line.tumours[0].donor,))
        assert set(sidecar.ancestors) == {sidecar.host, *sidecar.donors} <= set(split.train)
        assert set(sidecar.geometry_ancestors) | set(sidecar.ancestors) == set(split.train + split.val)
        assert sidecar.reach_mm == max(0, sidecar.controls["lambda_mm"][0])
    assert not find_leaks(sidecars, split, Groups(), set(split.train + split.val))


def test_a_second_run_makes_what_is_missing_and_only_that(workspace: Workspace):
    part = make_set(workspace)
    before, times = written(part), modified(part)
    make_set(workspace)
    assert modified(part) == times
    (part.folder / "labelsTr" / "cm_00001.nii.gz").unlink()
    part.sidecar_path("cm_00002").unlink()
    spoilt = part.folder / "imagesTr" / "cm_00000_0000.nii.gz"
    spoilt.write_bytes(bytes(spoilt.stat().st_size))  # zeros of the right length, as a power cut may leave
    make_set(workspace)
    assert written(part) == before
    again = {path.name for path, time in modified(part).items() if times[path] != time}
    assert again == {f"cm_0000{index}{end}" for index in (0, 1, 2) for end in ("_0000.nii.gz", ".nii.gz", ".json")}


def modified(part) -> dict:
    return {
        path: path.stat().st_mtime_ns for path in part.folder.rglob("*") if path.is_file() and path.suffix != ".png"
    }


def test_more_cases_extend_a_set_and_fewer_leave_it(workspace: Workspace):
    whole = make_set(workspace, "whole", num_cases=5)
    part = make_set(workspace, "grown", num_cases=2)
    first = part.manifest().cases
    make_set(workspace, "grown", num_cases=5)
    assert part.manifest().cases[:2] == first
    assert [strip(entry) for entry in part.manifest().cases] == [strip(entry) for entry in whole.manifest().cases]
    make_set(workspace, "grown", num_cases=3)
    assert len(part.manifest().cases) == 5


def strip(entry) -> tuple:
    return entry.line, entry.image_sha256, entry.label_sha256


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_three_parts_equal_one(workspace: Workspace, order, capsys):
    reference = written(make_set(workspace, num_cases=5))
    workspace_part(workspace).remove()
    for part_id in order:
        part = make_set(workspace, num_cases=5, share=Share(3, part_id))
        assert part.exists() is (part_id == order[-1])
    assert written(part) == reference
    assert "and the part that ends last finishes the set" in capsys.readouterr().out


def workspace_part(workspace: Workspace) -> SetPart:
    return SetPart(workspace.dataset, "cm", 0)


@pytest.mark.exhaustive  # in healthy hosts it always runs, below
def test_workers_do_not_matter(workspace: Workspace):
    alone = written(make_set(workspace, num_cases=3))
    assert written(make_set(workspace, num_cases=3, num_processes=2, overwrite=True)) == alone


@pytest.fixture
def some_unusable(monkeypatch):
    """Lines 1 and 5 cannot be used."""
    original = case_maker.synthesize_case

    def synthesize(task):
        if task.line.index in (1, 5):
            raise UnusableLineError("the moon is full")
        return original(task)

    monkeypatch.setattr(case_maker, "synthesize_case", synthesize)


@pytest.mark.parametrize("parts", [1, 3])
def test_unusable_lines_are_replaced_by_further_ones(workspace: Workspace, some_unusable, parts, capsys):
    for part_id in range(parts):
        part = make_set(workspace, num_cases=5, share=Share(parts, part_id))
    assert cases_in(part) == [f"cm_{index:05d}" for index in (0, 2, 3, 4, 6)]
    assert len(read_recipe(part.folder / "recipe.jsonl")) == 7
    assert read_json(part.folder / "skipped" / "cm_00005.json", "") == {"line": 5, "reason": "the moon is full"}
    assert "2 of 7 lines left out" in capsys.readouterr().out
    before = written(part)
    make_set(workspace, num_cases=5)
    assert written(part) == before


def test_a_set_that_cannot_be_made_gives_up(workspace: Workspace, monkeypatch):
    monkeypatch.setattr(case_maker, "synthesize_case", lambda task: (_ for _ in ()).throw(UnusableLineError("no room")))
    with pytest.raises(UserError, match=r"None of the first 20 lines .* given up. Reasons: no room \(20 so\)"):
        make_set(workspace, num_cases=2)
    assert not list(workspace.dataset.sets.rglob("manifest.json"))


def test_a_set_of_which_too_little_can_be_made_gives_up(workspace: Workspace, monkeypatch):
    make = case_maker.synthesize_case

    def seldom(task):
        if task.line.index:
            raise UnusableLineError("no room")
        return make(task)

    monkeypatch.setattr(case_maker, "synthesize_case", seldom)
    with pytest.raises(
        UserError, match="Only 1 of the 100 lines .* 2 cases were asked for; ask for fewer.*Reasons: no room"
    ):
        make_set(workspace, num_cases=2)


def test_a_given_recipe_is_followed(workspace: Workspace, tmp_path):
    part = make_set(workspace, "planned", num_cases=4, recipe_only=True)
    assert not part.exists()
    lines = read_recipe(part.folder / "recipe.jsonl")
    chosen = [lines[2], lines[0]]
    mine = tmp_path / "mine.jsonl"
    write_recipe([type(line)(index, *list(vars(line).values())[1:]) for index, line in enumerate(chosen)], mine)
    made = make_set(workspace, "mine", num_cases=None, recipe=mine)
    assert [made.sidecar(name).host for name in cases_in(made)] == [line.real_host for line in chosen]
    with pytest.raises(UserError, match="Only 2 of the 2 lines of the recipe can be used .* 3 cases were asked for"):
        make_set(workspace, "more", num_cases=3, recipe=mine)


def test_a_given_recipe_may_lose_lines(workspace: Workspace, tmp_path, some_unusable):
    given = make_set(workspace, "planned", num_cases=8, recipe_only=True).folder / "recipe.jsonl"
    assert len(cases_in(make_set(workspace, "all", num_cases=None, recipe=given))) == 6
    assert cases_in(make_set(workspace, "five", num_cases=5, recipe=given))[-1] == "five_00006"


def test_several_folds_have_their_own_parts(workspace: Workspace):
    make_set(workspace, num_cases=2, folds=[0, 1])
    hosts = []
    for fold in (0, 1):
        part = SetPart(workspace.dataset, "cm", fold)
        train = fold_split(workspace.dataset, fold, [f"case_{index:03d}" for index in range(10)]).train
        ancestors = {name for case in cases_in(part) for name in part.sidecar(case).ancestors}
        assert ancestors <= set(train)
        hosts.append([part.sidecar(case).host for case in cases_in(part)])
    assert hosts[0] != hosts[1]


def test_a_method_of_ones_own_is_continued(workspace: Workspace):
    for num_cases in (1, 2):
        part = make_set(workspace, num_cases=num_cases, method="tests.methods.examples:Tint")
    assert len(cases_in(part)) == 2


def test_cases_of_another_line_are_made_anew(workspace: Workspace):
    """What a killed removal, or a copy by hand, left there is not taken for ours."""
    part = make_set(workspace, num_cases=3)
    expected = written(part)
    make_set(workspace, num_cases=3, seed=7, overwrite=True)
    others = written(part)
    assert others["sidecars/cm_00000.json"] != expected["sidecars/cm_00000.json"]
    for name in ("config.json", "recipe.jsonl", "manifest.json"):
        (part.folder / name).unlink()
    make_set(workspace, num_cases=3)
    assert {name: text for name, text in written(part).items() if name != "overview.png"} == {
        name: text for name, text in expected.items() if name != "overview.png"
    }


def test_a_set_with_healthy_hosts_and_all_that_belongs_to_it(with_healthy: Workspace, capsys):
    part = make_glowing(with_healthy)
    assert part.manifest().healthy == HEALTHY.name
    split = fold_split(with_healthy.dataset, 0, [f"case_{index:03d}" for index in range(10)])
    sidecars = [part.sidecar(name) for name in cases_in(part)]
    assert not find_leaks(sidecars, split, Groups(), set(split.train + split.val))
    for sidecar, line in zip(sidecars, read_recipe(part.folder / "recipe.jsonl"), strict=True):
        assert (sidecar.host, sidecar.donors) == (line.healthy_host, line.donors)
        assert line.real_host is None
        assert set(sidecar.ancestors) == set(split.train)  # all of them shaped where and how large tumours are
        assert set(sidecar.geometry_ancestors) == set(split.val)
        assert sidecar.controls["asked"] == {}
    assert {sidecar.host for sidecar in sidecars} <= PEOPLE
    assert len({sidecar.host for sidecar in sidecars}) == 4
    assert len(stored(part.preprocessed("nnUNetPlans_3d_fullres"))) == 12
    assert temporary_files(with_healthy.root) == []
    assert "overview.png" in capsys.readouterr().out


def test_whoever_makes_it_and_however_often(with_healthy: Workspace):
    """Workers, parts, a longer recipe, and lines lost by a kill: the same bytes."""
    expected = written(make_glowing(with_healthy, num_cases=5))
    (kept,) = (with_healthy.dataset.preprocessed / "tf" / "recipes").glob("*.json")
    lines = read_json(kept, "")["lines"]
    assert [line["index"] for line in lines] == [0, 1, 2, 3, 4]
    write_json(kept, {"lines": lines[1:4], "hash": digest(lines[1:4])})
    assert written(make_glowing(with_healthy, num_cases=5, overwrite=True, num_processes=2)) == expected
    kept.unlink()
    SetPart(with_healthy.dataset, "glow", 0).remove()
    make_glowing(with_healthy, num_cases=2)
    assert read_json(kept, "")["lines"] == lines[:2]
    for part_id in (2, 0, 1):
        part = make_glowing(with_healthy, num_cases=5, share=Share(3, part_id))
    assert written(part) == expected
    assert read_json(kept, "")["lines"] == lines


def test_a_tumour_that_a_hand_puts_outside_is_left_out(with_healthy: Workspace, tmp_path):
    planned = make_glowing(with_healthy, "planned", num_cases=2, recipe_only=True)
    lines = read_recipe(planned.folder / "recipe.jsonl")
    away = replace(lines[0], tumours=(replace(lines[0].tumours[0], shift=(0.0, 0.0, 500.0)),))
    write_recipe([away, lines[1]], tmp_path / "mine.jsonl")
    part = make_glowing(with_healthy, "mine", num_cases=None, recipe=tmp_path / "mine.jsonl")
    assert cases_in(part) == ["mine_00001"]
    reason = read_json(part.folder / "skipped" / "mine_00000.json", "")["reason"]
    assert reason == f"nothing of the tumour falls into the organ of {lines[0].host}"


def test_cases_of_other_transforms_are_made_anew(with_healthy: Workspace):
    """What a killed removal left there is not taken for ours, though host, donors and seed are the same."""
    part = make_glowing(with_healthy, num_cases=1)
    expected = written(part)
    path = part.sidecar_path("glow_00000")
    sidecar = read_json(path, "")
    sidecar["controls"]["transforms"][0]["flip"] = not sidecar["controls"]["transforms"][0]["flip"]
    write_json(path, sidecar)
    make_glowing(with_healthy, num_cases=1)
    assert written(part) == expected
