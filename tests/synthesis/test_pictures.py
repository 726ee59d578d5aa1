"""What an overview and a preview show: which lines, which slice, which side up."""

import os
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.io.panels import Panel
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.cohort import IDENTITY
from nnunetv2_tf.synthesis import pictures
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.host_pool import RealHostPool
from nnunetv2_tf.synthesis.set_builder import SetBuilder
from nnunetv2_tf.tumours.recipe import DonorTumour, RecipeLine
from tests.conftest import enter
from tests.scenes import LPS, Builder, Built, Scene
from tests.synthesis.making import cases_in, crop_of, make_set, on_scan, tumour_there, volume, without_organ
from tests.workspace import Workspace

ROWS = list[list[Panel]]


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[ROWS]:
    """The rows of each picture that is painted, which is written as well."""
    figures: list[ROWS] = []
    original = pictures.write_panels

    def write(rows: ROWS, path: Path, inches: float) -> None:
        figures.append(rows)
        original(rows, path, inches=inches)

    monkeypatch.setattr(pictures, "write_panels", write)
    return figures


def builder_of(cohort: Cohort, num_cases: int, given: tuple[RecipeLine, ...] | None = None) -> SetBuilder:
    """Of CarveMix in fold 0."""
    part = SetPart(cohort.dataset, "cm", 0)
    return SetBuilder(part, find_method("carvemix"), RealHostPool(cohort, 0), None, num_cases, given, 1)


def test_a_preview_shows_host_and_donor_in_the_slice_with_most_tumour(scene: Built, painted, tmp_path, monkeypatch):
    """Of the first six lines; black outside the organ."""
    monkeypatch.setattr(SetPart, "folder", tmp_path)
    builder = builder_of(Cohort(scene.dataset, scene.plan, 0), 8)
    path = pictures.write_preview(builder)
    assert path == tmp_path / "preview.png"
    assert (tmp_path / "preview.png").read_bytes().startswith(b"\x89PNG")
    (rows,) = painted
    cases = {case.identifier: case for case in scene.cases}
    lines = builder.lines()
    assert len(lines) == 8
    for line, (host_panel, donor_panel) in zip(lines[:6], rows, strict=True):
        host, donor = cases[line.host], cases[line.donors[0]]
        there = tumour_there(donor, host)
        slice_ = max(range(len(there)), key=lambda index: (there[index] > 0).sum())
        assert (host_panel.title, donor_panel.title) == (f"host {line.host}", f"donor {line.donors[0]}")
        assert host_panel.outline is None
        np.testing.assert_array_equal(donor_panel.outline, there[slice_])
        organ = host.organ()
        np.testing.assert_array_equal(host_panel.image[organ[slice_]], host.image()[0][slice_][organ[slice_]])
        assert host_panel.span == donor_panel.span
        black, white = host_panel.span
        assert (host_panel.image[~organ[slice_]] == black).all()
        values = np.sort(host.image()[0][organ])
        assert values[0] - 0.1 <= black < values[len(values) // 100]
        assert values[-(len(values) // 100)] < white <= values[-1]
        donors_organ = on_scan(donor, donor.organ())[crop_of(host)][slice_]
        assert (donor_panel.image[~donors_organ] == black).all()


@pytest.mark.parametrize(("direction", "stored_upright"), [(IDENTITY, True), (LPS, False)])
def test_the_front_is_up_whichever_way_a_scan_is_stored(
    build_scene: Builder, painted, tmp_path, monkeypatch, direction, stored_upright
):
    monkeypatch.setattr(SetPart, "folder", tmp_path)
    built = build_scene(Scene(Brains(direction=direction), num_cases=3))
    enter(built.workspace, monkeypatch)
    builder = builder_of(Cohort(built.dataset, built.plan, 0), 1)
    pictures.write_preview(builder)
    (((host_panel, donor_panel),),) = painted
    (line,) = builder.lines()
    cases = {case.identifier: case for case in built.cases}
    host, donor = cases[line.host], cases[line.donors[0]]
    first, last = ((host.grid.affine @ [0, row, 0, 1])[1] for row in (0, host.grid.shape[1] - 1))
    assert (first < last) == stored_upright  # y grows to the back
    there = tumour_there(donor, host)
    slice_ = int((there > 0).sum(axis=(1, 2)).argmax())
    rows = slice(None) if stored_upright else slice(None, None, -1)
    np.testing.assert_array_equal(donor_panel.outline, there[slice_][rows])
    np.testing.assert_array_equal(host_panel.image != host_panel.span[0], host.organ()[slice_][rows])


def test_lines_that_cannot_be_used_are_not_shown(scene: Built, painted, tmp_path, monkeypatch):
    monkeypatch.setattr(SetPart, "folder", tmp_path)
    names = [case.identifier for case in scene.cases]
    given = tuple(
        RecipeLine(index, None, name, (DonorTumour(names[index - 1]),), index) for index, name in enumerate(names)
    )
    cohort = Cohort(scene.dataset, scene.plan, 0)
    cohort.training = {**cohort.training, "case_001": without_organ(cohort.training["case_001"])}
    assert pictures.write_preview(builder_of(cohort, 4, given)) is not None
    assert [row[0].title for row in painted.pop()] == ["host case_000", "host case_002", "host case_003"]
    cohort.training = {name: without_organ(case) for name, case in cohort.training.items()}
    (tmp_path / "preview.png").unlink()
    assert pictures.write_preview(builder_of(cohort, 4, given)) is None
    assert not (tmp_path / "preview.png").exists()
    assert painted == []


def test_an_overview_shows_what_has_become_of_host_and_donor(workspace: Workspace, painted):
    """In the slice in which most of the label has changed."""
    part = make_set(workspace, num_cases=6)
    (rows,), elsewhere = painted, 0
    training = Cohort(workspace.dataset, workspace.plan(), 0).training
    for name, (host_panel, donor_panel, made_panel, labelled_panel) in zip(cases_in(part), rows, strict=True):
        sidecar = part.sidecar(name)
        titles = [f"host {sidecar.host}", f"donor {sidecar.donors[0]}", name, ""]
        assert [panel.title for panel in (host_panel, donor_panel, made_panel, labelled_panel)] == titles
        host = training[str(sidecar.host)].open()
        before = volume(host.files.label)[crop_of(host)]
        after, image = (
            volume(part.folder / folder / f"{name}{end}.nii.gz")[crop_of(host)]
            for folder, end in (("labelsTr", ""), ("imagesTr", "_0000"))
        )
        slice_ = int((before != after).sum(axis=(1, 2)).argmax())
        np.testing.assert_array_equal(labelled_panel.outline, after[slice_])
        donor = training[sidecar.donors[0]].open()
        elsewhere += slice_ != (tumour_there(donor, host) > 0).sum(axis=(1, 2)).argmax()
        assert (host_panel.outline, made_panel.outline) == (None, None)
        np.testing.assert_array_equal(made_panel.image, labelled_panel.image)
        organ = host.organ()[slice_]
        np.testing.assert_array_equal(host_panel.image[organ], host.image()[0][slice_][organ])
        assert np.corrcoef(made_panel.image[organ], image[slice_][organ])[0, 1] > 0.9999  # normalised, and no more
    assert elsewhere  # than where most of the donor's tumour is, in one of them


def test_an_overview_is_painted_again_when_the_set_has_changed(workspace: Workspace, painted):
    part = make_set(workspace, num_cases=1)
    builder = builder_of(Cohort(workspace.dataset, workspace.plan(), 0), 1)
    path = part.folder / "overview.png"
    assert painted.pop()
    assert pictures.write_overview(builder) == path
    assert painted == []
    os.utime(part.manifest_path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert pictures.write_overview(builder) == path
    assert len(painted) == 1
    assert path.stat().st_mtime_ns > part.manifest_path.stat().st_mtime_ns
