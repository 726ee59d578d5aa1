"""The log, the table and the picture say what was drawn."""

import csv
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.online.draws import FILE, append_draws, describe, keep_draws_before, patch_panel, write_patches
from nnunetv2_tf.sets.sampling import Draw

DRAWN = [
    Draw("case_1", True),
    Draw("case_1", False),
    Draw("new_0", True, "h1", ("d1", "d2")),
    Draw("new_1", True, "h2", ("d1",)),
    Draw("new_2", False, "h1", ("d1",)),
]


def test_the_line_counts():
    assert describe(DRAWN, 12) == (
        "Drawn this epoch: 2 real (1 of 12 cases, tumour in 1), 3 synthetic (3 cases on 2 hosts, with tumours of 2, "
        "tumour in 2)"
    )


def table(folder: Path) -> list[list[str]]:
    with open(folder / FILE, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_table_grows_and_a_continued_training_takes_it_up(tmp_path: Path):
    keep_draws_before(tmp_path, 0)
    for epoch in range(3):
        append_draws(tmp_path, epoch, DRAWN)
    assert table(tmp_path)[0] == ["epoch", "case", "host", "donors", "tumour_in_patch"]
    assert table(tmp_path)[1] == ["0", "new_0", "h1", "d1 d2", "1"]
    assert len(table(tmp_path)) == 1 + 3 * 3
    with open(tmp_path / FILE, "a", encoding="utf-8") as file:
        file.write("3,new_")  # killed
    keep_draws_before(tmp_path, 2)
    assert [row[0] for row in table(tmp_path)[1:]] == ["0"] * 3 + ["1"] * 3
    keep_draws_before(tmp_path, 0)
    assert len(table(tmp_path)) == 1


@pytest.mark.parametrize("regions", [False, True])
def test_a_patch_is_shown_where_most_tumour_is(regions):
    image, label = np.random.default_rng(0).normal(size=(5, 8, 8)), np.zeros((5, 8, 8))
    label[3, 2:6, 2:6], label[3, 3:5, 3:5], label[1, 2, 2] = 1, 2, 1
    target = np.stack([label > 0, label == 2]) if regions else label[None]
    panel = patch_panel(image, target, label > 0, "host")
    assert np.array_equal(panel.image, image[3])
    assert panel.outline is not None
    assert np.array_equal(panel.outline, label[3])
    flat = patch_panel(image[3], target[:, 3], label[3] > 0, "host")
    assert flat.outline is not None
    assert np.array_equal(flat.outline, label[3])
    small = patch_panel(image, target, label * (np.arange(5) == 1)[:, None, None] > 0, "host")  # in an organ
    assert np.array_equal(small.image, image[1])
    without = patch_panel(image, target, np.zeros(label.shape, bool), "host")
    assert np.array_equal(without.image, image[3])


@pytest.mark.parametrize(("number", "written"), [(0, False), (1, True), (7, True)])
def test_patches_are_painted_if_there_are_any(tmp_path: Path, number, written):
    panel = patch_panel(np.zeros((4, 4)), np.zeros((1, 4, 4)), np.zeros((4, 4), bool), "host")
    write_patches([panel] * number, tmp_path / "patches.png")
    assert (tmp_path / "patches.png").exists() is written
