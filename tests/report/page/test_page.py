"""What a page says, what it leaves out, and that it needs nothing but itself."""

import base64
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnunetv2_tf.commands import report
from nnunetv2_tf.dataset.cases import channel_names, raw_cases
from nnunetv2_tf.dataset.provenance import BaselineUse, PseudoUse
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.report.page.charts import strip_chart
from nnunetv2_tf.report.page.encoding import image_strip, label_strip
from nnunetv2_tf.report.page.facts import Marginal, Names, measures_of, rejected
from nnunetv2_tf.report.page.stages import SLICES, Stage, whole_stage
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.tumours.recipe import read_recipe, write_recipe
from tests.synthesis.making import make_set
from tests.workspace import TINY, Workspace


def written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *words: str, expect: int = 0) -> str:
    """The page of set `page`, fold 0; or what the command says where it fails."""
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_report", "-d", "501", "-s", "page", "-np", "1", *words])
    capsys.readouterr()
    assert report.main() == expect
    said = capsys.readouterr()
    if expect:
        return said.err
    return Path(re.findall(r"(\S+report\w*\.html) \(", said.out)[0]).read_text(encoding="utf-8")


def test_a_set_in_healthy_scans_from_host_to_case(with_healthy: Workspace, monkeypatch, capsys):
    make_set(with_healthy, "page", 3, method="syntumor", healthy="601")
    page = written(monkeypatch, capsys)
    assert page.count('<article class="case"') == 3
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    real, others = [title for title in titles if title.startswith("real: ")], set(titles[:3])
    assert others == {"host", "prepared host, and the map", "made by syntumor"}
    assert len(real) == 3
    assert "No case has anything of the 2 validation cases of fold 0" in page
    assert "This page shows scans of patients" in page
    assert "syntumor, default" in page
    assert page.count("<svg") == 4
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    hidden = written(monkeypatch, capsys, "--no_real", "-num_shown", "2")
    assert hidden.count('<article class="case"') == 2
    assert "This page shows scans of patients" not in hidden
    assert not set(re.findall(r"case_\w+|real: \S+", hidden)) & {title.removeprefix("real: ") for title in real}


def test_a_set_in_patients(workspace: Workspace, monkeypatch, capsys):
    make_set(workspace, "page", 2)
    page = written(monkeypatch, capsys)
    assert "made by carvemix" in page
    assert "tumour of: " in page
    hidden = written(monkeypatch, capsys, "--no_real")
    assert "The hosts of set page are patients, so --no_real shows no cases." in hidden
    assert "<article" not in hidden


def test_a_set_with_pasted_tumours(with_healthy: Workspace, monkeypatch, capsys):
    make_set(with_healthy, "page", 2, method="tumorcp", healthy="601")
    assert written(monkeypatch, capsys).count('<article class="case"') == 2
    hidden = written(monkeypatch, capsys, "--no_real")
    assert "Tumours of set page are cut out of patients&#x27; scans, so --no_real shows no cases." in hidden
    assert "<article" not in hidden


def test_methods_on_the_same_lines_stand_side_by_side(workspace: Workspace, monkeypatch, capsys):
    make_set(workspace, "page", 2)
    make_set(workspace, "same", 2, method="cutmix")
    page = written(monkeypatch, capsys, "--compare", "same")
    assert page.count("<figcaption>same, cutmix</figcaption>") == 2
    make_set(workspace, "another", 2, method="cutmix", seed=9)
    said = written(monkeypatch, capsys, "--compare", "another", expect=2)
    assert "of set another is another tumour in another host" in said
    said = written(monkeypatch, capsys, "--compare", "page", expect=2)
    assert "--compare names sets other than page" in said


def with_rejected(part: SetPart, index: int, reason: str) -> str:
    """Adds a rejected line, of host and donor of the first one, to a part's table; the reason with their names."""
    table = part.folder / "quality.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    cells = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    named = reason.format(**cells)
    row = {**cells, "case": f"page_0000{index}", "accepted": "0", "reason": named}
    table.write_text("\n".join([*lines, ",".join(row.values())]) + "\n", encoding="utf-8")
    return named


def test_what_was_left_out_is_told(workspace: Workspace, monkeypatch, capsys):
    part = make_set(workspace, "page", 2)
    with_rejected(part, 9, "too dark (ED)")
    page = written(monkeypatch, capsys)
    assert "<td>page_00009</td><td>too dark (ED)</td>" in page
    assert "<td>1</td><td>too dark (ED)</td>" in page


def test_names_of_patients_are_not_read_where_they_are_hidden(workspace: Workspace, monkeypatch, capsys):
    part = make_set(workspace, "page", 2)
    told = "the tumour of {donors} falls outside the organ of {host} by 3.2 mm"
    reason, _ = (with_rejected(part, index, told) for index in (8, 9))
    shown, hidden = written(monkeypatch, capsys), written(monkeypatch, capsys, "--no_real")
    assert reason in shown
    assert "<td>2</td><td>the tumour of a patient falls outside the organ of a patient by … mm</td>" in hidden
    without_pictures = re.sub(r"data:image/\S+", "", hidden)
    assert not [name for name in raw_cases(workspace.dataset) if name in without_pictures]
    assert (part.folder / "report.html").exists()


def test_pseudo_labelled_donors_are_hidden_like_patients(workspace: Workspace):
    """Also where their dataset is gone."""
    part = make_set(workspace, "page", 2)
    donor = "pseudo602_somebody"
    lines = read_recipe(part.folder / "recipe.jsonl")
    tumours = tuple(replace(tumour, donor=donor) for tumour in lines[0].tumours)
    write_recipe([replace(lines[0], tumours=tumours), *lines[1:]], part.folder / "recipe.jsonl")
    with_rejected(part, 9, f"too large a tumour of {donor}")
    measured = MeasuredSet.of(workspace.dataset, "page", 0, 1, "cpu")
    use = PseudoUse("Dataset602_Others", BaselineUse("TFBaselineTrainer", TINY, "3d_fullres", "0" * 64), "0" * 64)
    vars(measured)["config"] = replace(measured.config, pseudo_labels=use)  # as if it was made with them
    reasons, rows = rejected(measured, Names.of(measured, with_real=False))
    assert reasons == [("too large a tumour of a patient", 1)]
    assert donor not in str(rows)


def test_a_page_tells_what_it_cannot_show(with_healthy: Workspace, monkeypatch, capsys):
    make_set(with_healthy, "page", 2, method="syntumor", healthy="601")
    monkeypatch.setattr("nnunetv2_tf.report.page.stages.fit_for", lambda *_: SimpleNamespace(digest="another"))
    page = written(monkeypatch, capsys)
    assert page.count("not shown: stages before: there is another fit now") == 2
    assert "<figcaption>host</figcaption>" in page
    assert "prepared host" not in page


def test_places_are_of_the_world_whatever_way_arrays_lie():
    """The centre is in the left, back, upper corner; in the second array two axes run the other way."""
    tumour, organ = np.zeros((10, 10, 10), bool), np.ones((10, 10, 10), bool)
    tumour[9, 9, 9] = True
    for signs in ([1, 1, 1], [-1, 1, -1]):
        turned = tumour[:: signs[0], :: signs[1], :: signs[2]]
        affine = np.eye(4)[[2, 1, 0, 3]] * [*signs, 1]  # voxels (Z, Y, X) to mm (x, y, z)
        case: Any = SimpleNamespace(organ=lambda: organ, grid=SimpleNamespace(spacing=(1.0, 1.0, 1.0), affine=affine))
        assert measures_of(case, turned) == pytest.approx([0.001, 0.95, 0.95, 0.95])


def test_the_channel_asked_for_is_shown():
    """The second channel is the first upside down."""
    organ = np.ones((4, 6, 8), bool)
    first = np.arange(organ.size, dtype=np.float32).reshape(organ.shape)
    image = np.stack([first, -first])
    grid = SimpleNamespace(spacing=(1.0, 1.0, 1.0), upright=lambda plane: plane)
    case: Any = SimpleNamespace(image=lambda: image, organ=lambda: organ, grid=grid)
    one, other = (whole_stage("brain", case, np.zeros(organ.shape, np.int16), channel).slices for channel in (0, 1))
    assert np.ptp(one) > 0.9
    np.testing.assert_allclose(one, 1 - other, atol=0.02)


def test_a_channel_that_there_is_not_is_named(workspace: Workspace, monkeypatch, capsys):
    make_set(workspace, "page", 2)
    (name,) = channel_names(workspace.dataset)
    assert f"in channel {name}." in written(monkeypatch, capsys, "-channel", name)
    for more in ([], ["--reader_study", "4"]):
        said = written(monkeypatch, capsys, "-channel", "t3", *more, expect=2)
        assert f"{workspace.dataset.name} has no channel t3; it has {name}." in said


def test_options_of_the_page_and_of_figures_do_not_mix(workspace: Workspace, monkeypatch, capsys):
    assert "leave --figures out" in written(monkeypatch, capsys, "--figures", "--no_real", expect=2)
    assert "There is no set page" in written(monkeypatch, capsys, "-f", "0", expect=2)


def test_strips_hold_all_slices_and_colours_only_where_there_is_tumour(tmp_path: Path):
    slices = np.linspace(0, 1, SLICES)[:, None, None] * np.ones((SLICES, 10, 20))
    labels = np.zeros((SLICES, 10, 20), np.int16)
    labels[2, 3:6, 4:8] = 2
    stage = Stage("one", slices, labels, (30.0, 40.0))
    grey, colours = (decoded(strip(stage), tmp_path) for strip in (image_strip, label_strip))
    width = 40
    assert grey.shape == (SLICES * 30, width)  # pixels are square
    assert [abs(int(grey[30 * index + 15, 20]) - 255 * index / (SLICES - 1)) < 6 for index in range(SLICES)] == [
        True
    ] * SLICES
    shown = np.argwhere(colours[..., 3] > 0)
    assert shown[:, 0].min() // 30 == shown[:, 0].max() // 30 == 2
    assert colours[tuple(shown[0])][:3].tolist() == [0x4D, 0xAF, 0x4A]


def decoded(address: str, folder: Path) -> np.ndarray:
    path = folder / "picture"
    path.write_bytes(base64.b64decode(address.partition(",")[2]))
    image = Image.open(path)
    return np.asarray(image if image.mode == "L" else image.convert("RGBA"))


def test_charts_show_every_tumour_in_its_place():
    chart = strip_chart(Marginal("volume", "ml", True, [1.0, 10.0, 100.0], [10.0]))
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', chart)]
    assert len(places) == 4
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert places[3] == places[1]
    assert strip_chart(Marginal("volume", "ml", True, [], [])) == ""
    assert "nan" not in strip_chart(Marginal("volume", "ml", True, [0.0, 1.0, float("nan")], [2.0]))
