"""Sets with healthy hosts: tumours are drawn, placed and recorded, by the command that makes all sets."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folds import Groups, fold_split
from nnunetv2_tf.preparation.reference import same_grid
from nnunetv2_tf.sets.leakage import find_leaks
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.stamps import digest
from nnunetv2_tf.synthesis.harmonise import Z_SCORED, Looks, harmonise
from nnunetv2_tf.tumours.drawing import Draw
from nnunetv2_tf.tumours.hosting import host_tumours, read_host
from nnunetv2_tf.tumours.recipe import read_recipe, write_recipe
from nnunetv2_tf.work import Share, read_json, write_json
from tests.synthesis.making import cases_in, healthy_hosts_of, make_glowing, make_set, temporary_files, written
from tests.workspace import HEALTHY, Workspace, stored

pytestmark = pytest.mark.slow

PEOPLE = {f"person_{index:03d}" for index in range(6)}
REACH = 6.0


def volume(path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_a_set_with_all_that_belongs_to_it(with_healthy: Workspace, capsys):
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


@pytest.mark.parametrize("preset", ["paper", "default"])
def test_labels_are_the_placed_tumours_and_hosts_stay_as_they_are(with_healthy: Workspace, preset):
    """As they are, or as they are harmonised."""
    part, hosts = make_glowing(with_healthy, num_cases=6, preset=preset), healthy_hosts_of(with_healthy)
    for line in read_recipe(part.folder / "recipe.jsonl"):
        name, case = f"glow_{line.index:05d}", hosts.cases[line.host]
        hosted = host_tumours(line.tumours, hosts.bank, read_host(case, around_fluid=preset == "default"))
        assert hosted is not None
        expected = np.zeros(case.grid.native_shape, np.int16)
        crop = tuple(slice(a, a + size) for a, size in zip(case.grid.start, case.grid.cropped, strict=True))
        expected[crop] = hosted.label(case.grid.shape)
        label, image = (volume(part.folder / f"{where}/{name}{end}.nii.gz") for where, end in FILES)
        np.testing.assert_array_equal(label, expected)
        before = volume(case.files.images[0])
        if preset == "default":
            model = part.sidecar(name).controls["harmonised"]["to"]
            assert model in hosts.training
            found = harmonise(case.image(), case.organ(), Looks.of(hosts.training[model]), [Z_SCORED]).image[0]
            assert found[case.organ()].mean() == pytest.approx(case.image()[0][case.organ()].mean(), abs=1e-3)
            lighter = np.zeros(before.shape)
            lighter[crop] = (found - case.image()[0]) * case.intensity.sd[0]
            assert np.abs(lighter).max() > 20
            before = np.where(before == 0, 0, np.maximum(np.rint(before + lighter), 1))
        distance = sitk.GetArrayFromImage(
            sitk.SignedMaurerDistanceMap(
                sitk.GetImageFromArray((expected > 0).astype(np.uint8)), squaredDistance=False, insideIsPositive=False
            )
        )
        np.testing.assert_array_equal(image[distance >= REACH], before[distance >= REACH])
        assert (image != before).any()
        np.testing.assert_array_equal(image == 0, before == 0)
        made = sitk.ReadImage(str(part.folder / f"imagesTr/{name}_0000.nii.gz"))
        assert same_grid(made, sitk.ReadImage(str(case.files.images[0])))
        record = part.sidecar(name).controls["placed"]
        values, counts = np.unique(expected[expected > 0], return_counts=True)
        names = {1: "NCR", 2: "ED", 3: "ET"}
        shares = {names[int(value)]: count / counts.sum() for value, count in zip(values, counts, strict=True)}
        assert record["class_fraction"] == pytest.approx(shares, abs=1e-4)
        assert record["volume_ml"] == pytest.approx(counts.sum() / 1000, abs=1e-3)
        assert min(part.sidecar(name).controls["kept"]) >= 0.8


FILES = (("labelsTr", ""), ("imagesTr", "_0000"))


def test_methods_share_a_recipe_and_nobody_draws_it_twice(with_healthy: Workspace, monkeypatch):
    one = make_glowing(with_healthy, num_cases=3)
    monkeypatch.setattr(Draw, "tumours", lambda *_: pytest.fail("drawn again"))
    other = make_glowing(with_healthy, "other", num_cases=3, method="tests.methods.examples:Glare")
    assert (one.folder / "recipe.jsonl").read_bytes() == (other.folder / "recipe.jsonl").read_bytes()


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


def test_what_is_asked_for_is_made_and_recorded(with_healthy: Workspace):
    asked = {"side": "left", "volume_ml": [1.0, 4.0], "class_fraction": {"ED": [0.2, 0.8]}}
    part = make_glowing(with_healthy, asked=asked)
    for name in cases_in(part):
        controls = part.sidecar(name).controls
        assert controls["asked"] == asked
        assert controls["placed"]["side"] == "left"
        label = sitk.ReadImage(str(part.folder / "labelsTr" / f"{name}.nii.gz"))
        places = np.argwhere(sitk.GetArrayFromImage(label) > 0)
        x = np.mean([label.TransformIndexToPhysicalPoint([int(i) for i in place[::-1]])[0] for place in places])
        assert x > healthy_hosts_of(with_healthy).bank.midline
        assert 1.0 <= len(places) / 1000 <= 4.0
        assert 0.2 <= (sitk.GetArrayFromImage(label) == 2).sum() / len(places) <= 0.8
    for other, sentence in (({}, "begun with controls"), ({**asked, "side": "right"}, "begun with controls")):
        with pytest.raises(UserError, match=sentence):
            make_glowing(with_healthy, asked=other)


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


def test_controls_of_a_method_do_not_stand_in_for_ours(with_healthy: Workspace):
    part = make_glowing(with_healthy, num_cases=1, method="tests.methods.examples:Liar")
    controls = part.sidecar("glow_00000").controls
    assert controls["placed"]["volume_ml"] > 0
    assert controls["transforms"] == json.loads((part.folder / "recipe.jsonl").read_text(encoding="utf-8"))["tumours"]
    assert controls["own"] == 7


def test_scans_that_go_make_another_recipe(with_healthy: Workspace):
    make_glowing(with_healthy, "one", num_cases=4, recipe_only=True)
    for folder, end in (("imagesTr", "_0000"), ("labelsTr", "")):
        (HEALTHY.raw / folder / f"person_003{end}.nii.gz").unlink()
    part = make_glowing(with_healthy, "two", num_cases=12, recipe_only=True)
    assert {line.host for line in read_recipe(part.folder / "recipe.jsonl")} == PEOPLE - {"person_003"}
