"""What a demo ends with. In: its folder. Out: a table, one sentence, and one picture."""

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.benchmark.statistics import crossed_bootstrap
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.files import whole_file
from nnunetv2_tf.io.panels import COLOURS

REGIONS = ("WT", "TC", "ET")
REFERENCE = "nnU-Net"
MEANING = (
    "This shows that every part runs and what it makes, and not what real scans would give: these are stand-ins, one "
    "split and one training per arm (how far five demos scatter: docs/results/demo.md)."
)
Dice = dict[str, dict[str, dict[str, float]]]  # arm, region, case


def write_summary(folder: Path) -> tuple[str, Path]:
    """Draw the picture; return the table with its sentence, and the path of the picture."""
    dice = read_dice(folder / "results" / "benchmark.csv")
    picture = folder / "demo.png"
    draw(folder, dice, picture)
    return f"{table(dice)}\n\n{MEANING}", picture


def read_dice(path: Path) -> Dice:
    """Read the Dice of every validation case, as `nnUNetv2_tf_benchmark collect` wrote it."""
    dice: Dice = defaultdict(lambda: defaultdict(dict))
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            dice[row["arm"]][row["region"]][row["case"]] = float(row["dice"])
    return dice


def table(dice: Dice) -> str:
    """Return mean Dice in percent by arm and region, and the difference in WT to nnU-Net alone, with its interval."""
    lines = [f"{'Dice (%)':10}" + "".join(f"{region:>7}" for region in REGIONS) + "   WT against nnU-Net alone"]
    for arm, regions in dice.items():
        means = "".join(f"{100 * np.mean(list(regions[region].values())):7.1f}" for region in REGIONS)
        lines.append(f"{arm:10}{means}   {'' if arm == REFERENCE else difference(dice, arm)}".rstrip())
    return "\n".join(lines)


def difference(dice: Dice, arm: str) -> str:
    """Return the difference of an arm's mean WT Dice to nnU-Net alone in percent, with its 95 % interval over cases."""
    ours, theirs = (
        np.array([[dice[name]["WT"][case] for case in sorted(dice[REFERENCE]["WT"])]]) for name in (arm, REFERENCE)
    )
    result = crossed_bootstrap(ours, theirs, np.random.default_rng(0))
    return f"{100 * result.estimate:+.1f} ({100 * result.low:+.1f} to {100 * result.high:+.1f}, {ours.size} cases)"


def draw(folder: Path, dice: Dice, path: Path) -> None:
    """Draw host, placed map, made case and donor in a row; below them Dice by arm, a point for each case."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    with pyplot.style.context("default"):
        names: list[Any] = ["host", "map", "made", "patient"]
        figure, axes = pyplot.subplot_mosaic([names, ["dice"] * 4], figsize=(9, 6.2), height_ratios=[1, 1.25])
        for name, (title, image, label) in zip(names, first_case(folder), strict=True):
            show(axes[name], title, image, label)
        show_dice(axes["dice"], dice)
        figure.tight_layout()
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
        pyplot.close(figure)


def first_case(folder: Path) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
    """Return title, slice and label of the first case that TF-Aug made, of its host, and of its donor."""
    raw = folder / "nnUNet_raw"
    (patients,) = raw.glob("Dataset999_*")
    (people,) = raw.glob("Dataset998_*")
    (part,) = patients.glob("tf/tfaugseed*/fold_0")
    sidecar = json.loads(min((part / "sidecars").glob("*.json")).read_text(encoding="utf-8"))
    case, host, donor = sidecar["case"], sidecar["host"], sidecar["donors"][0]
    placed = slice_of(part / "labelsTr" / f"{case}.nii.gz")
    donors_slice = slice_of(patients / "labelsTr" / f"{donor}.nii.gz")
    return [
        ("healthy person", *at(placed, people / "imagesTr" / f"{host}_0000.nii.gz", outlined=False)),
        ("placed tumour map", *at(placed, people / "imagesTr" / f"{host}_0000.nii.gz")),
        ("case made by TF-Aug", *at(placed, part / "imagesTr" / f"{case}_0000.nii.gz", outlined=False)),
        ("the patient it is from", *at(donors_slice, patients / "imagesTr" / f"{donor}_0000.nii.gz", outlined=False)),
    ]


def slice_of(path: Path) -> tuple[np.ndarray, int]:
    """Read a label map (Z, Y, X); return it, and the index of the slice with most of it."""
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return label, fullest_slice(label > 0)


def at(where: tuple[np.ndarray, int], path: Path, outlined: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a slice of an image, and of the label map if that is to be outlined.

    Args:
        where: a label map on the same grid, and the index of the slice, as `slice_of` returns them
        path: of the image
        outlined: whether the label map is returned too, else None
    """
    label, z = where
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[z], label[z] if outlined else None


def show(axes: Any, title: str, image: np.ndarray, label: np.ndarray | None) -> None:
    """Draw a slice, front up, with the outlines of NCR, ED and ET."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=np.quantile(image[image > 0], 0.998), origin="lower")
    for value in [] if label is None else np.unique(label[label > 0]):
        axes.contour(label == value, levels=[0.5], colors=[COLOURS[int(value) - 1]], linewidths=1)
    axes.set_title(title, fontsize=10)
    axes.axis("off")


def show_dice(axes: Any, dice: Dice) -> None:
    """Draw a line for each case over the arms, a point for each Dice, and a bar for the mean."""
    arms = list(dice)
    values = np.array([[dice[arm]["WT"][case] for case in sorted(dice[REFERENCE]["WT"])] for arm in arms])
    axes.plot(range(len(arms)), values, color="0.85", linewidth=0.8, zorder=1)
    for place, cases in enumerate(values):
        axes.plot([place] * len(cases), cases, "o", color="C0", alpha=0.6, markersize=5)
        axes.plot([place - 0.15, place + 0.15], [cases.mean()] * 2, color="black", linewidth=2)
        axes.annotate(f"{cases.mean():.2f}", (place + 0.17, cases.mean()), va="center", fontsize=9)
    axes.set_xticks(range(len(arms)), arms)
    axes.set(ylabel="whole-tumour Dice", ylim=(-0.03, 1.03), xlim=(-0.5, len(arms) - 0.5))
    axes.spines[["top", "right"]].set_visible(False)
