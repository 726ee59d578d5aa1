"""Sets with healthy hosts: tumours are drawn, placed and recorded, by the command that makes all sets."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.commands import synthesize
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.folds import Groups, fold_split
from nnunetv2_tf.preparation.healthy import preprocess_healthy
from nnunetv2_tf.preparation.reference import same_grid
from nnunetv2_tf.sets.leakage import find_leaks
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.stamps import digest
from nnunetv2_tf.synthesis.hosts import HealthyHosts
from nnunetv2_tf.tumours.drawing import Draw
from nnunetv2_tf.tumours.hosting import host_tumours, read_host
from nnunetv2_tf.tumours.recipe import read_recipe, write_recipe
from nnunetv2_tf.tumours.settings import PRESETS
from nnunetv2_tf.work import Share, read_json, write_json
from tests.synthesis.making import cases_in, make_set, temporary_files, written
from tests.workspace import HEALTHY, TINY, Workspace, stored

PEOPLE = {f"person_{index:03d}" for index in range(6)}
REACH = 6.0


def make(workspace: Workspace, name: str = "glow", **changes) -> SetPart:
    settings = {"method": "tests.methods.examples:Glow", "healthy": "601", "num_cases": 4, **changes}
    return make_set(workspace, name, **settings)


def hosts_of(workspace: Workspace) -> HealthyHosts:
    return HealthyHosts(workspace.dataset, workspace.plan(), 0, 0, HEALTHY, PRESETS["default"])


def volume(path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_a_set_with_all_that_belongs_to_it(with_healthy: Workspace, capsys):
    part = make(with_healthy)
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


def test_labels_are_the_placed_tumours_and_hosts_stay_as_they_are(with_healthy: Workspace):
    part, hosts = make(with_healthy, num_cases=6), hosts_of(with_healthy)
    for line in read_recipe(part.folder / "recipe.jsonl"):
        name, case = f"glow_{line.index:05d}", hosts.cases[line.host]
        hosted = host_tumours(line.tumours, hosts.bank, read_host(case, around_fluid=True))
        assert hosted is not None
        expected = np.zeros(case.grid.native_shape, np.int16)
        crop = tuple(slice(a, a + size) for a, size in zip(case.grid.start, case.grid.cropped, strict=True))
        expected[crop] = hosted.label(case.grid.shape)
        label, image = (volume(part.folder / f"{where}/{name}{end}.nii.gz") for where, end in FILES)
        np.testing.assert_array_equal(label, expected)
        before = volume(case.files.images[0])
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
    one = make(with_healthy, num_cases=3)
    monkeypatch.setattr(Draw, "tumours", lambda *_: pytest.fail("drawn again"))
    other = make(with_healthy, "other", num_cases=3, method="tests.methods.examples:Glare")
    assert (one.folder / "recipe.jsonl").read_bytes() == (other.folder / "recipe.jsonl").read_bytes()


def test_whoever_makes_it_and_however_often(with_healthy: Workspace):
    """Workers, parts, a longer recipe, and lines lost by a kill: the same bytes."""
    expected = written(make(with_healthy, num_cases=5))
    (kept,) = (with_healthy.dataset.preprocessed / "tf" / "recipes").glob("*.json")
    lines = read_json(kept, "")["lines"]
    assert [line["index"] for line in lines] == [0, 1, 2, 3, 4]
    write_json(kept, {"lines": lines[1:4], "hash": digest(lines[1:4])})
    assert written(make(with_healthy, num_cases=5, overwrite=True, num_processes=2)) == expected
    kept.unlink()
    SetPart(with_healthy.dataset, "glow", 0).remove()
    make(with_healthy, num_cases=2)
    assert read_json(kept, "")["lines"] == lines[:2]
    for part_id in (2, 0, 1):
        part = make(with_healthy, num_cases=5, share=Share(3, part_id))
    assert written(part) == expected
    assert read_json(kept, "")["lines"] == lines


def test_what_is_asked_for_is_made_and_recorded(with_healthy: Workspace):
    asked = {"side": "left", "volume_ml": [1.0, 4.0], "class_fraction": {"ED": [0.2, 0.8]}}
    part = make(with_healthy, asked=asked)
    for name in cases_in(part):
        controls = part.sidecar(name).controls
        assert controls["asked"] == asked
        assert controls["placed"]["side"] == "left"
        label = sitk.ReadImage(str(part.folder / "labelsTr" / f"{name}.nii.gz"))
        places = np.argwhere(sitk.GetArrayFromImage(label) > 0)
        x = np.mean([label.TransformIndexToPhysicalPoint([int(i) for i in place[::-1]])[0] for place in places])
        assert x > hosts_of(with_healthy).bank.midline
        assert 1.0 <= len(places) / 1000 <= 4.0
        assert 0.2 <= (sitk.GetArrayFromImage(label) == 2).sum() / len(places) <= 0.8
    for other, sentence in (({}, "begun with controls"), ({**asked, "side": "right"}, "begun with controls")):
        with pytest.raises(UserError, match=sentence):
            make(with_healthy, asked=other)


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
        make(with_healthy, asked=asked)
    assert not with_healthy.dataset.sets.exists()


def test_other_tumours_or_hosts_may_not_continue_a_set(with_healthy: Workspace):
    make(with_healthy, num_cases=1)
    scan = HEALTHY.raw / "imagesTr" / "person_002_0000.nii.gz"
    image = sitk.ReadImage(str(scan))
    sitk.WriteImage(sitk.Cast(image * 2, image.GetPixelID()), str(scan))
    with pytest.raises(UserError, match="person_002 of .* is not preprocessed, or was before it or the plans changed"):
        make(with_healthy, num_cases=2)
    preprocess_healthy("501", "601", TINY, ["3d_fullres"], 1)
    with pytest.raises(UserError, match=r"was begun with other tumours, healthy scans or rules of drawing \(tumours\)"):
        make(with_healthy, num_cases=2)
    Dataset("Dataset602_Others").raw.parent.joinpath(HEALTHY.name).rename(Dataset("Dataset602_Others").raw)
    preprocess_healthy("501", "602", TINY, ["3d_fullres"], 1)
    with pytest.raises(UserError, match="was begun with healthy dataset Dataset601_Healthy, not Dataset602_Others"):
        make(with_healthy, num_cases=2, healthy="602")


def test_a_recipe_drawn_changed_and_given(with_healthy: Workspace, tmp_path, capsys):
    drawn = make(with_healthy, "planned", num_cases=3, recipe_only=True)
    said = capsys.readouterr().out
    assert f"3 lines in {drawn.folder / 'recipe.jsonl'}" in said
    assert (drawn.folder / "preview.png").is_file()
    lines = read_recipe(drawn.folder / "recipe.jsonl")
    given = tmp_path / "mine.jsonl"
    text = (drawn.folder / "recipe.jsonl").read_text(encoding="utf-8").splitlines()
    given.write_text(text[0].replace(str(lines[0].healthy_host), "person_005") + "\n", encoding="utf-8")
    part = make(with_healthy, "mine", num_cases=None, recipe=given)
    assert part.sidecar("mine_00000").host == "person_005"
    assert part.sidecar("mine_00000").controls["transforms"] == read_json_lines(given)[0]["tumours"]
    given.write_text(text[0].replace(str(lines[0].healthy_host), "nobody") + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 1 uses nobody, which is no case of the healthy dataset"):
        make(with_healthy, "other", num_cases=None, recipe=given)
    with pytest.raises(UserError, match="line 1 has no real_host, which this method needs"):
        make_set(with_healthy, "cm", num_cases=None, recipe=drawn.folder / "recipe.jsonl")
    make_set(with_healthy, "cm", num_cases=1, recipe_only=True)
    with pytest.raises(UserError, match="line 1 has no healthy_host, which this method needs"):
        make(
            with_healthy,
            "other",
            num_cases=None,
            recipe=SetPart(with_healthy.dataset, "cm", 0).folder / "recipe.jsonl",
        )


def read_json_lines(path) -> list[dict]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def test_a_tumour_that_a_hand_puts_outside_is_left_out(with_healthy: Workspace, tmp_path):
    planned = make(with_healthy, "planned", num_cases=2, recipe_only=True)
    lines = read_recipe(planned.folder / "recipe.jsonl")
    away = replace(lines[0], tumours=(replace(lines[0].tumours[0], shift=(0.0, 0.0, 500.0)),))
    write_recipe([away, lines[1]], tmp_path / "mine.jsonl")
    part = make(with_healthy, "mine", num_cases=None, recipe=tmp_path / "mine.jsonl")
    assert cases_in(part) == ["mine_00001"]
    reason = read_json(part.folder / "skipped" / "mine_00000.json", "")["reason"]
    assert reason == f"nothing of the tumour falls into the organ of {lines[0].host}"


def test_cases_of_other_transforms_are_made_anew(with_healthy: Workspace):
    """What a killed removal left there is not taken for ours, though host, donors and seed are the same."""
    part = make(with_healthy, num_cases=1)
    expected = written(part)
    path = part.sidecar_path("glow_00000")
    sidecar = read_json(path, "")
    sidecar["controls"]["transforms"][0]["flip"] = not sidecar["controls"]["transforms"][0]["flip"]
    write_json(path, sidecar)
    make(with_healthy, num_cases=1)
    assert written(part) == expected


def test_brains_that_lie_elsewhere_are_refused(with_healthy: Workspace):
    for folder in ("imagesTr", "labelsTr"):
        for path in (HEALTHY.raw / folder).iterdir():
            image = sitk.ReadImage(str(path))
            image.SetOrigin((300.0, 0.0, 0.0))
            sitk.WriteImage(image, str(path))
    preprocess_healthy("501", "601", TINY, ["3d_fullres"], 1)
    with pytest.raises(
        UserError, match="The brains of Dataset601_Healthy lie elsewhere than those of .* -reference 501"
    ):
        make(with_healthy)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"healthy": None}, "puts tumours into healthy scans; name their dataset with -healthy"),
        ({"method": "carvemix"}, "carvemix has real hosts, and leaves tumours as they are; leave -healthy out"),
        ({"method": "carvemix", "healthy": None, "asked": {"side": "left"}}, "leave -side out"),
        ({"healthy": "777"}, "There is no dataset 777"),
        ({"plans_name": "nnUNetPlans"}, "is not preprocessed with the plans of .*; run nnUNetv2_tf_preprocess_healthy"),
    ],
)
def test_hosts_and_methods_that_do_not_go_together(with_healthy: Workspace, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        make(with_healthy, **changes)


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
    both = [make(with_healthy, folds=[0, 1], num_cases=1), SetPart(with_healthy.dataset, "glow", 1)]
    before = [written(part) for part in both]
    path = both[0].config_path  # as if fold 0 had been begun otherwise
    write_json(path, read_json(path, "") | {"seed": 5})
    before[0]["config.json"] = path.read_bytes()
    for overwrite, asked in ((False, {}), (True, {"volume_ml": [500.0, 600.0]})):
        with pytest.raises(UserError):
            make(with_healthy, folds=[1, 0], num_cases=2, overwrite=overwrite, asked=asked)
        assert [written(part) for part in both] == before


def test_controls_of_a_method_do_not_stand_in_for_ours(with_healthy: Workspace):
    part = make(with_healthy, num_cases=1, method="tests.methods.examples:Liar")
    controls = part.sidecar("glow_00000").controls
    assert controls["placed"]["volume_ml"] > 0
    assert controls["transforms"] == json.loads((part.folder / "recipe.jsonl").read_text(encoding="utf-8"))["tumours"]
    assert controls["own"] == 7


def test_scans_that_go_make_another_recipe(with_healthy: Workspace):
    make(with_healthy, "one", num_cases=4, recipe_only=True)
    for folder, end in (("imagesTr", "_0000"), ("labelsTr", "")):
        (HEALTHY.raw / folder / f"person_003{end}.nii.gz").unlink()
    part = make(with_healthy, "two", num_cases=12, recipe_only=True)
    assert {line.host for line in read_recipe(part.folder / "recipe.jsonl")} == PEOPLE - {"person_003"}


def test_kept_lines_that_a_hand_changed_are_refused(with_healthy: Workspace):
    make(with_healthy, "one", num_cases=2, recipe_only=True)
    (kept,) = (with_healthy.dataset.preprocessed / "tf" / "recipes").glob("*.json")
    text = kept.read_text(encoding="utf-8")
    for changed, sentence in (
        (text.replace('"flip": false', '"flip": true').replace('"flip": true', '"flip": false', 1), "changed by hand"),
        (text[:-40], "is not valid JSON"),
        ("[]", "must be an object"),
    ):
        kept.write_text(changed, encoding="utf-8")
        with pytest.raises(UserError, match=f"{sentence}.*; delete it, its lines are drawn anew"):
            make(with_healthy, "two", num_cases=3, recipe_only=True)
    kept.unlink()
    make(with_healthy, "two", num_cases=3, recipe_only=True)


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
    preprocess_healthy("501", "601", TINY, ["3d_fullres"], 1)
    with pytest.raises(UserError, match=sentence):
        make(with_healthy)
    assert not with_healthy.dataset.sets.exists()


def test_labels_of_one_value_may_be_lists(with_healthy: Workspace):
    write_labels({"background": 0, "brain": [1]})
    preprocess_healthy("501", "601", TINY, ["3d_fullres"], 1)
    assert not hosts_of(with_healthy).cases["person_000"].label().any()


def test_narrow_wishes_are_refused_by_their_own_reason(with_healthy: Workspace):
    hosts = hosts_of(with_healthy)
    share = sorted(lesion.classes[3] / lesion.volume for lesion in hosts.bank.lesions)[0]
    asked = {"class_fraction": {"ET": [share - 1e-9, share + 1e-9]}}
    with pytest.raises(
        UserError, match="in 5 healthy scans, .*: its classes are not in the proportions asked for. Ask"
    ):
        make(with_healthy, asked=asked)
