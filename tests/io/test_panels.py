import matplotlib.image
import numpy as np
import seaborn

from nnunetv2_tf.io.panels import Panel, outlined_row, titled, write_panels


def test_panels_show_grey_values_and_outlines(tmp_path):
    image = np.tile(np.linspace(0, 1, 40), (40, 1))
    outline = np.zeros((40, 40), int)
    outline[10:30, 10:30] = 1
    write_panels([[Panel(image, (0, 1)), Panel(image, (0, 1), outline, "with outline")]], tmp_path / "p.png")
    picture = matplotlib.image.imread(tmp_path / "p.png")[..., :3]
    left, right = np.array_split(picture, 2, axis=1)
    coloured = [(part.max(axis=2) - part.min(axis=2) > 0.3).sum() for part in (left, right)]
    assert coloured[0] == 0
    assert coloured[1] > 50


def test_titles_are_beside_images(tmp_path):
    """However many lines they have, and however long they are."""
    image = np.ones((20, 40))
    for name, title in (("none", ""), ("one", "one line"), ("four", "a\nb\nc\nd"), ("long", "a long title " * 20)):
        row = [Panel(image, (0, 2)), Panel(image, (0, 2), title=title)]
        write_panels([row, row], tmp_path / f"{name}.png", inches=1.5)
    grey = {path.stem: (matplotlib.image.imread(path)[..., 0] * 255).round() for path in tmp_path.glob("*.png")}
    numbers = {name: int((picture == grey["none"].max()).sum()) for name, picture in grey.items()}
    for name in ("one", "four", "long"):
        assert abs(numbers[name] / numbers["none"] - 1) < 0.02, numbers  # no image is smaller, or written over
        assert (grey[name] > 200).sum() > 20


def test_the_same_picture_is_the_same_bytes(tmp_path):
    """Also after nnU-Net has painted its progress, which changes matplotlib's defaults for the whole process."""
    image = np.tile(np.linspace(0, 1, 40), (40, 1))
    for name, scale in (("a", 1.0), ("b", 2.5)):
        seaborn.set_theme(font_scale=scale)
        write_panels([[Panel(image, (0, 1), (image > 0.5).astype(int), "a title")]], tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_rows_end_with_an_outline_and_the_first_has_titles():
    pictures, outline = [np.zeros((2, 2)), np.ones((2, 2))], np.eye(2, dtype=int)
    rows = [outlined_row(pictures, (0, 1), outline) for _ in range(2)]
    first, second = titled(rows, ("one", "two"))
    assert [panel.title for panel in (*first, *second)] == ["one", "two", "", "", "", ""]
    for row in (first, second):
        assert [panel.image is picture for panel, picture in zip(row, (*pictures, pictures[-1]), strict=True)] == [
            True
        ] * 3
        assert [panel.outline is outline for panel in row] == [False, False, True]
