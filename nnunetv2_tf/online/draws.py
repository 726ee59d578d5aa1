"""What an online training drew. In: patches. Out: a line for its log, rows of a file, a picture now and then."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.files import whole_file
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.sets.sampling import Draw

FILE = "tf_online_draws.csv"
HEADER = ("epoch", "case", "host", "donors", "tumour_in_patch")
SHOWN, ACROSS = 24, 6  # patches of a picture, and of a row of it
DARK, BRIGHT = 0.005, 0.995  # quantiles that are painted black and white


def describe(drawn: Sequence[Draw], num_real: int) -> str:
    """Return a line about the patches that were drawn in an epoch."""
    real, new = [one for one in drawn if not one.host], [one for one in drawn if one.host]
    hosts, donors = {one.host for one in new}, {name for one in new for name in one.donors}
    return (
        f"Drawn this epoch: {len(real)} real ({len({one.case for one in real})} of {num_real} cases, tumour in "
        f"{_with_tumour(real)}), {len(new)} synthetic ({len({one.case for one in new})} cases on {len(hosts)} hosts, "
        f"with tumours of {len(donors)}, tumour in {_with_tumour(new)})"
    )


def _with_tumour(drawn: Iterable[Draw]) -> int:
    return sum(one.with_tumour for one in drawn)


def keep_draws_before(folder: Path, epoch: int) -> None:
    """Leave in tf_online_draws.csv what it says of epochs before this one, where a training begins or goes on."""
    path, rows = folder / FILE, []
    if epoch > 0 and path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:  # a kill or a power cut may have spoilt the last lines
                row = next(csv.reader([line]), [])
            except csv.Error:
                continue
            if len(row) == len(HEADER) and row[0].isascii() and row[0].isdigit() and int(row[0]) < epoch:
                rows.append(row)
    with whole_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])


def append_draws(folder: Path, epoch: int, drawn: Iterable[Draw]) -> None:
    """Add the new cases of an epoch to tf_online_draws.csv."""
    rows = [(epoch, one.case, one.host, " ".join(one.donors), int(one.with_tumour)) for one in drawn if one.host]
    with open(folder / FILE, "a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def patch_panel(image: np.ndarray, target: np.ndarray, tumour: np.ndarray, title: str) -> Panel:
    """Return the picture of a patch as the network sees it, in its slice with most tumour, or else with most labels.

    Args:
        image: ([Z,] Y, X) one channel
        target: (C, [Z,] Y, X) label map, or a mask for each region
        tumour: ([Z,] Y, X) bool
        title: of the picture
    """
    nested = target.astype(np.int16).sum(axis=0)  # regions lie in one another: the innermost are in most masks
    outline = np.maximum(target[0], 0).astype(np.int16) if len(target) == 1 else nested
    if image.ndim == 3:
        slice_ = fullest_slice(tumour if tumour.any() else outline > 0)
        image, outline = image[slice_], outline[slice_]
    dark, bright = (float(np.quantile(image, share)) for share in (DARK, BRIGHT))
    return Panel(image.copy(), (dark, bright + 1e-3), outline.copy(), title)  # no views of whole batches


def write_patches(panels: Sequence[Panel], path: Path) -> None:
    """Paint patches in rows, if there are any; a last row that is not full is left out where it is not the only one."""
    if not panels:
        return
    across = min(ACROSS, len(panels))
    rows = [panels[start : start + across] for start in range(0, len(panels) - across + 1, across)]
    write_panels(rows, path, inches=1.8)
