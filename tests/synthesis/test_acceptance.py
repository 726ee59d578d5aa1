"""Finished cases are checked, filtered where that is asked for, and told of in quality.csv."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.parallel import Share
from nnunetv2_tf.methods.base import CHECKS, CheckConfig, Edited
from nnunetv2_tf.quality.limits import Limits
from nnunetv2_tf.quality.measures import TumourMeasures
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.acceptance import Acceptance, RejectedLineError, frequent
from nnunetv2_tf.synthesis.case_maker import edited_site
from nnunetv2_tf.synthesis.site_builder import BuiltSite
from nnunetv2_tf.tumours.recipe import read_recipe
from nnunetv2_tf.working_space.stored import OpenCase
from tests.methods import examples
from tests.scenes import Built
from tests.synthesis.making import cases_in, make_glowing, make_set, written
from tests.synthesis.test_quality_table import rows
from tests.workspace import TRAINER, Workspace

STAMP = "tests.methods.examples:Stamp"
BAND = (0.9, 1.0)  # parts the shares that a barely trained segmentor recognises
Change = Callable[[Edited, BuiltSite], Edited]


@pytest.fixture
def case(scene: Built) -> tuple[OpenCase, BuiltSite, Edited]:
    task = scene.task(0, 1, "carvemix")
    host = task.host.open()
    return host, *edited_site(task, host)


def limits_of(scene: Built) -> Limits:
    return Limits.of([TumourMeasures.of(case) for case in scene.cases])


def spoilt(value: float) -> Change:
    def change(edited: Edited, built: BuiltSite) -> Edited:
        image = edited.image.clone()
        image[0][built.site.organ.nonzero(as_tuple=True)[0][0], 0, 0] = value
        return replace(edited, image=image)

    return change


def without_tumour(edited: Edited, built: BuiltSite) -> Edited:
    return replace(edited, label=torch.zeros_like(edited.label))


def with_unknown(edited: Edited, built: BuiltSite) -> Edited:
    return replace(edited, label=torch.where(edited.label > 0, 9, edited.label).to(torch.int16))


def brighter(edited: Edited, built: BuiltSite) -> Edited:
    assert edited.region is not None
    return replace(edited, image=torch.where(edited.region, edited.image + 9, edited.image))


FAULTS = {
    "region: 1 voxels outside the organ are changed": spoilt(5.0),
    "tumour: only 0% of the placed tumour is in the label": without_tumour,
    "labels: the label has 9, which is no class of tumours here": with_unknown,
    "brightness: ": brighter,
    "edge: the gradient at its surface is": brighter,
}


@pytest.mark.parametrize("objection", FAULTS)
def test_a_planted_fault_is_found(scene: Built, case, objection):
    host, built, edited = case
    reports = Acceptance(limits_of(scene), rejects=False, exempt=("copy",))
    found = reports.figures(host, built, FAULTS[objection](edited, built), "cpu")["objections"]
    assert any(text.startswith(objection) for text in found), found
    with pytest.raises(RejectedLineError, match="^check "):
        replace(reports, rejects=True).figures(host, built, FAULTS[objection](edited, built), "cpu")


@pytest.mark.parametrize("rejects", [True, False])
def test_values_that_are_no_numbers_are_rejected_whatever_a_preset_says(scene: Built, case, rejects):
    host, built, edited = case
    with pytest.raises(RejectedLineError, match="check region: the method made values that are no numbers") as rejected:
        Acceptance(limits_of(scene), rejects=rejects).figures(host, built, spoilt(float("nan"))(edited, built), "cpu")
    json.dumps(rejected.value.figures, allow_nan=False)  # for the note of why


def test_a_pasted_tumour_is_a_copy_unless_the_method_says_that_it_pastes(scene: Built, case):
    host, built, edited = case
    figures = Acceptance(limits_of(scene), rejects=False).figures(host, built, edited, "cpu")
    assert figures["likeness"] > 0.999
    assert [text.split(":")[0] for text in figures["objections"]] == ["copy"]
    assert not Acceptance(limits_of(scene), exempt=("copy",)).figures(host, built, edited, "cpu")["objections"]


def test_only_known_checks_can_be_exempt():
    with pytest.raises(ValueError, match="no check looks; there are region, tumour"):
        CheckConfig(exempt=("looks",))
    assert CheckConfig(exempt=CHECKS).exempt == CHECKS


def test_frequent_reasons_are_counted_by_kind():
    reasons = ["filter: 0.1 of it", "filter: 0.2 of it", "no room"]
    assert frequent(reasons) == "filter: 0.1 of it (2 so); no room"


@pytest.mark.slow
def test_the_filter_replaces_what_is_not_recognised_in_line_order(trained: Workspace, capsys):
    everything = rows(make_glowing(trained, "all", num_cases=9, keep=(0.0, 1.0), trainer=TRAINER))
    found = sorted(float(row["recognised"]) for row in everything)
    band = (round((found[3] + found[4]) / 2, 6), 1.0)
    usable = [int(row["line"]) for row in everything if band[0] < float(row["recognised"]) <= band[1]]
    assert 3 <= len(usable) < 9
    part = make_glowing(trained, "some", num_cases=3, keep=band, trainer=TRAINER)
    assert cases_in(part) == [f"some_{line:05d}" for line in usable[:3]]
    left_out = [row for row in rows(part) if row["accepted"] == "0"]
    assert [int(row["line"]) for row in left_out] == [line for line in range(usable[2]) if line not in usable]
    assert all(row["reason"].startswith("filter: the baseline recognises 0.") for row in left_out)
    assert (
        f"{len(left_out)} of {usable[2] + 1} lines left out, see {part.folder / 'quality.csv'}"
        in capsys.readouterr().out
    )
    config = part.folder / "config.json"
    assert f'"low": {band[0]}' in config.read_text()
    training = {f"case_{index:03d}" for index in range(10)} - set(part.sidecar(cases_in(part)[0]).geometry_ancestors)
    assert training == set(part.sidecar(cases_in(part)[0]).ancestors)
    assert len(training) == 8  # whatever the filter lets pass descends from all that it was trained on
    with pytest.raises(UserError, match=f"begun with filter .*{band[0]}.*, not None"):
        make_glowing(trained, "some", num_cases=3)


@pytest.mark.slow
def test_parts_and_workers_filter_alike(trained: Workspace):
    whole = written(make_glowing(trained, "some", num_cases=3, keep=BAND, trainer=TRAINER))
    shared = SetPart(trained.dataset, "some", 0)
    shared.remove()
    for part_id in (1, 0):
        make_glowing(trained, "some", num_cases=3, keep=BAND, trainer=TRAINER, share=Share(2, part_id))
    parts = written(shared)
    names = {name for name in whole if name.startswith(("imagesTr", "labelsTr", "quality", "manifest"))}
    assert {name: parts[name] for name in names} == {name: whole[name] for name in names}


@pytest.mark.slow
def test_a_filter_that_rejects_everything_ends_with_a_sentence(trained: Workspace):
    with pytest.raises(UserError, match="None of the first 20 lines .*given up. Reasons: filter: the baseline"):
        make_glowing(trained, "none", num_cases=30, keep=(0.9999, 1.0), trainer=TRAINER)
    part = SetPart(trained.dataset, "none", 0)
    assert not part.exists()
    assert len(read_recipe(part.folder / "recipe.jsonl")) == 30
    assert not (part.folder / "imagesTr").exists()


@pytest.mark.slow
def test_it_is_given_up_after_as_many_lines_however_few_cases_are_asked_for_in_however_many_parts(trained: Workspace):
    with pytest.raises(UserError, match="None of the first 20 lines .*given up."):
        make_glowing(trained, "few", num_cases=2, keep=(0.9999, 1.0), trainer=TRAINER)
    part = SetPart(trained.dataset, "few", 0)
    assert len(list(part.skipped_path("few_00000").parent.glob("few_*.json"))) == 20
    with pytest.raises(UserError, match="given up"):
        for part_id in range(3):
            make_glowing(trained, "many", num_cases=30, keep=(0.9999, 1.0), trainer=TRAINER, share=Share(3, part_id))


@pytest.mark.slow
def test_a_filter_wants_a_finished_baseline(workspace: Workspace):
    with pytest.raises(UserError, match="checkpoint_final.pth does not exist; train it with: nnUNetv2_train"):
        make_set(workspace, keep=(0.7, 1.0))
    assert not (workspace.dataset.sets / "cm" / "fold_0").exists()


@pytest.mark.slow
def test_checks_reject_unless_a_preset_only_reports(with_healthy: Workspace, monkeypatch):
    monkeypatch.setattr(examples.Glow, "brighter", 4.0)  # than any tumour
    reported = rows(make_glowing(with_healthy))
    assert {row["accepted"] for row in reported} == {"1"}
    assert all(row["objections"].startswith("brightness: ") for row in reported)
    monkeypatch.delattr(examples, "CHECKED")
    with pytest.raises(UserError, match="Reasons: check brightness: NCR is at .* \\(\\d+ so\\)"):
        make_glowing(with_healthy, "strict", num_cases=30)


def test_segmentors_see_at_least_a_patch():
    from nnunetv2_tf.quality.recognition import shown

    tumour = np.zeros((40, 40, 40), int)
    tumour[18:22, 2:4, 10:34] = 1
    assert shown(tumour, (16, 16, 16)) == (slice(12, 28), slice(0, 11), slice(6, 38))
