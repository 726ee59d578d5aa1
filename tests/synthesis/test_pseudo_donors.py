"""Pseudo-labelled scans as donors: in sets of methods that paste and that place, marked, and never of who validates."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.commands import synthesize as command
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folds import Groups, fold_split, splits_file
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.quality.pseudo_labels import LEFT
from nnunetv2_tf.sets.enrichment import Enrichment
from nnunetv2_tf.sets.names import TrainerOptions
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.pseudo_donors import DONE, PseudoDonors, pseudo_donors, pseudo_folder
from nnunetv2_tf.working_space.healthy import (
    PreprocessHealthyRequest,
    healthy_stamps,
    preprocess_healthy,
)
from tests.synthesis.making import cases_in, crop_of, healthy_hosts_of, make_set, volume, written
from tests.synthesis.unlabelled import MORE
from tests.workspace import TINY, TRAINER, Workspace

pytestmark = pytest.mark.slow

SCANS = ("pseudo602_scan_000", "pseudo602_scan_001")


@pytest.fixture
def more(labelled_scans: Workspace) -> Workspace:
    """Unlabelled scans besides, which a good baseline has labelled."""
    return labelled_scans


def baseline_of(workspace: Workspace) -> Baseline:
    return Baseline(workspace.dataset, TRAINER, TINY, "3d_fullres", 0)


def donors_of(workspace: Workspace) -> PseudoDonors:
    return pseudo_donors(baseline_of(workspace), MORE, workspace.plan())


def made(workspace: Workspace, name: str = "ps", **changes) -> SetPart:
    return make_set(workspace, name, **{"pseudolabelled": "602", "trainer": TRAINER, "num_cases": 8, **changes})


def donors_in(part: SetPart) -> set[str]:
    lines = (part.folder / "recipe.jsonl").read_text(encoding="utf-8")
    return {name for name in SCANS if name in lines}


def only_pseudo(workspace: Workspace, folder: Path, **line) -> Path:
    """A recipe of one line whose donor is a pseudo-labelled scan."""
    train = sorted(fold_split(workspace.dataset, 0, raw_cases(workspace.dataset)).train)
    host = {"healthy_host": None, "real_host": train[0], **line}
    path = folder / "recipe.jsonl"
    write_json(path, {"index": 0, **host, "tumours": [{"donor": SCANS[0]}], "seed": 3})
    path.write_text(" ".join(path.read_text().split()))
    return path


def test_donors_are_the_scans_with_their_labels(more: Workspace):
    donors = donors_of(more)
    assert set(donors.cases) <= set(SCANS)
    assert donors.cases
    for name, donor in donors.cases.items():
        case = donor.open()
        scan = name.removeprefix("pseudo602_")
        assert (donor.identifier, donor.files.identifier, donor.has_tumour()) == (name, scan, True)
        stored = volume(pseudo_folder(baseline_of(more), MORE) / f"{scan}.nii.gz")[crop_of(case)]
        assert case.tumour().any()
        assert np.array_equal(case.tumour(), np.where(stored == LEFT, 0, stored))
        assert np.array_equal(case.label(), case.tumour())  # no label of the dataset is called brain
        left = stored == LEFT
        assert left.any()
        assert not case.organ()[left].any()  # nothing is pasted from there, and it shows no healthy tissue
        assert np.array_equal(case.organ() | left, (case.stored_label > 0) | left)
    assert donors.ancestors == set(fold_split(more.dataset, 0, raw_cases(more.dataset)).train)


@pytest.mark.parametrize(
    ("method", "healthy"),
    [("carvemix", None), ("tumorcp", None), ("tests.methods.examples:Glow", "601"), ("cutmix", None)],
)
def test_sets_say_what_comes_from_pseudo_labelled_scans(more: Workspace, method, healthy):
    part = made(more, method=method, healthy=healthy)
    donors, train = donors_of(more), fold_split(more.dataset, 0, raw_cases(more.dataset)).train
    assert donors_in(part)
    assert part.manifest().pseudo_labels == donors.use
    assert read_json(part.config_path, "")["pseudo_labels"]["dataset"] == MORE.name
    marked = 0
    for name in cases_in(part):
        sidecar = part.sidecar(name)
        marked += bool(sidecar.pseudo_donors)
        assert set(sidecar.pseudo_donors) <= set(SCANS)
        assert set(sidecar.ancestors) == set(train)  # whom the baseline that labelled has learnt from
        assert set(sidecar.unlabelled) == set(donors.patients)
    assert marked
    assert written(made(more, method=method, healthy=healthy)) == written(part)  # going on changes nothing


def test_what_is_pasted_is_the_scan(more: Workspace, tmp_path):
    part = made(more, method="carvemix", num_cases=None, recipe=only_pseudo(more, tmp_path))
    sidecar = part.sidecar("ps_00000")
    assert (sidecar.donors, sidecar.pseudo_donors) == ((), SCANS[:1])
    without = make_set(more, "plain", num_cases=8)
    assert without.manifest().pseudo_labels is None
    assert "pseudo" not in (without.folder / "recipe.jsonl").read_text()
    assert "unlabelled" not in read_json(without.sidecar_path("plain_00000"), "")


def test_sets_with_and_without_are_not_mixed(more: Workspace):
    made(more)
    with pytest.raises(UserError, match="was begun with pseudo-labelled donors .*, not None"):
        make_set(more, "ps", num_cases=8)


def test_a_patient_who_comes_to_validate_is_refused_when_training(more: Workspace):
    """Sidecars say who unlabelled scans are of, so that a set that was made before is found out."""
    part, dataset = made(more), more.dataset
    chosen = Enrichment.choose(dataset, 0, TrainerOptions(set_name="ps"))
    split, known = fold_split(dataset, 0, raw_cases(dataset)), list(raw_cases(dataset))
    chosen.check_no_leaks(split, Groups.read(dataset), known)
    assert "come from unlabelled scans" in chosen.describe(None)
    groups = Groups({split.val[0]: "scan_000"})
    with pytest.raises(
        UserError, match=f"the unlabelled scan Dataset602_More/scan_000, of the patient of {split.val[0]}"
    ):
        chosen.check_no_leaks(split, groups, known)
    assert part.exists()


def test_a_patient_who_validates_is_refused_when_making(more: Workspace):
    case = fold_split(more.dataset, 0, raw_cases(more.dataset)).val[0]
    write_json(MORE.raw / "groups.json", {"scan_001": "patient 1"})
    write_json(more.dataset.raw / "groups.json", {case: "patient 1"})
    with pytest.raises(UserError, match=f"{case}, which validates in fold 0.*take scan_001 out"):
        made(more)


def test_what_is_not_as_it_was_labelled_is_refused(more: Workspace):
    folder = pseudo_folder(baseline_of(more), MORE)
    record = folder / DONE
    before = record.read_bytes()
    again = "run: nnUNetv2_tf_sets -d 501 --pseudolabel 602 -f 0"
    content = read_json(record, "")
    write_json(record, content | {"baseline": {**content["baseline"], "checkpoint_sha256": "0" * 64}})
    with pytest.raises(UserError, match=f"has been trained anew since it labelled .*{again}"):
        donors_of(more)
    write_json(record, content | {"stamps": {**content["stamps"], "scan_000": "another"}})
    with pytest.raises(UserError, match=f"scan_000 of Dataset602_More is new, gone or has changed .*{again}"):
        donors_of(more)
    record.write_bytes(before)
    label = next(folder.glob("*.nii.gz"))
    label.write_bytes(b"changed")
    with pytest.raises(UserError, match=f"{label.name} is not what was written there; {again}"):
        donors_of(more)
    record.unlink()
    with pytest.raises(UserError, match=f"Nobody has labelled the scans of Dataset602_More by {TRAINER}.*{again}"):
        donors_of(more)


def test_a_baseline_that_knows_who_validates_now_is_refused(more: Workspace):
    """Labels of a network that was trained on a case would bring it into the training that it validates."""
    path = splits_file(more.dataset)
    (first, *others) = read_json(path, "")
    train, val = first["train"], first["val"]
    swapped = {"train": [*train[1:], val[0]], "val": [train[0], *val[1:]]}
    write_json(path, [swapped, *others])
    with pytest.raises(UserError, match="trained and validated on other cases than splits_final.json has now"):
        made(more)


def test_a_baseline_that_is_gone_is_said(more: Workspace):
    baseline_of(more).path.unlink()
    with pytest.raises(UserError, match="checkpoint_final.pth does not exist"):
        made(more)


def test_rules_are_part_of_the_command_that_labels_again(more: Workspace):
    record = pseudo_folder(baseline_of(more), MORE) / DONE
    content = read_json(record, "")
    rules = {"min_ml": 0.5, "confidence": 0.8, "keep": [0.3, 1.0]}
    write_json(record, content | {"rules": rules, "mirroring": False, "stamps": {}})
    with pytest.raises(UserError, match=f"-p {TINY} -min_ml 0.5 -keep 0.3 1 --disable_tta$"):
        donors_of(more)


@pytest.mark.parametrize(("method", "healthy"), [("carvemix", None), ("tests.methods.examples:Glow", "601")])
def test_scans_that_lie_elsewhere_are_refused(more: Workspace, method, healthy):
    labels = pseudo_folder(baseline_of(more), MORE)
    for folder in (MORE.raw / "imagesTr", MORE.raw / "labelsTr"):
        for path in folder.glob("scan_001*"):
            image = sitk.ReadImage(str(path))
            image.SetOrigin((300.0, 0.0, 0.0))
            sitk.WriteImage(image, str(path))
    preprocess_healthy(PreprocessHealthyRequest("501", "602", TINY, ("3d_fullres",), unlabelled=True))
    record, plan = read_json(labels / DONE, ""), more.plan()
    write_json(labels / DONE, record | {"stamps": healthy_stamps(more.dataset, MORE, plan)})
    with pytest.raises(UserError, match="The brains of Dataset602_More lie elsewhere .*pseudo602_scan_001"):
        made(more, method=method, healthy=healthy)


def test_tumours_lie_and_are_as_frequent_as_real_ones(more: Workspace):
    """Where the middle is, how far brains reach and which class wins is what real cases say."""
    hosts = healthy_hosts_of(more)
    before, after = hosts.cohort.tumours, hosts.cohort.with_pseudo(donors_of(more)).tumours
    assert len(after.lesions) == len(before.lesions) + 2
    assert (after.midline, after.class_priority) == (before.midline, before.class_priority)
    assert np.array_equal(after.extent, before.extent)


def test_a_follow_up_of_a_training_patient_is_of_that_patient(more: Workspace):
    train = sorted(fold_split(more.dataset, 0, raw_cases(more.dataset)).train)
    write_json(MORE.raw / "groups.json", {"scan_000": train[0], "scan_001": "somebody"})
    donors = healthy_hosts_of(more).cohort.with_pseudo(donors_of(more)).donors
    assert donors[SCANS[0]].group == donors[train[0]].group
    assert donors[SCANS[1]].group == ("group", "somebody")


def test_hosts_are_no_donors(more: Workspace):
    with pytest.raises(UserError, match="-healthy and -pseudolabelled both name Dataset601_Healthy; leave one out"):
        made(more, method="tumorcp", healthy="601", pseudolabelled="601")


def test_labelled_organs_have_to_be_labelled_there(more: Workspace):
    for path in (more.dataset.raw / "dataset.json", more.dataset.preprocessed / "dataset.json"):
        content = read_json(path, "")
        labels = {**content["labels"], "liver": 4}
        write_json(path, content | {"labels": labels, "tf": {**content["tf"], "organ": ["liver"]}})
    with pytest.raises(UserError, match="Dataset602_More has no label liver, which Dataset501_StandIns has"):
        made(more)


def test_shapes_have_no_donors(more: Workspace):
    with pytest.raises(UserError, match="The tumours of syntumor are shapes, and nobody's; leave -pseudolabelled out"):
        made(more, method="syntumor", healthy="601")


def test_a_recipe_with_pseudo_donors_needs_them(more: Workspace, tmp_path):
    with pytest.raises(UserError, match=f"uses {SCANS[0]}, which does not train in this fold"):
        make_set(more, "ps", num_cases=None, recipe=only_pseudo(more, tmp_path))


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["-pseudolabelled", "602", "-tr", TRAINER], 0, ""),
        (["-tr", TRAINER], 2, "-tr says who filters; give -filter or -pseudolabelled too"),
        (
            ["-pseudolabelled", "602"],
            2,
            "checkpoint_final.pth does not exist; train it with: nnUNetv2_train",
        ),
    ],
)
def test_what_users_type(more: Workspace, monkeypatch, capsys, options, code, sentence):
    given = ["x", "501", "3d_fullres", "0", "-m", "carvemix", "-num_cases", "2", "-s", "ps", "-p", TINY, *options]
    monkeypatch.setattr("sys.argv", given)
    assert command.main() == code
    assert sentence in " ".join(capsys.readouterr().err.split())
