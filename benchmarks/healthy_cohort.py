"""All healthy scans of NNUNETV2_TF_REAL_DATA laid upon BraTS-Africa: how well, and how long it takes.

    python -m benchmarks.healthy_cohort FOLDER

Converts the three collections into one dataset with -np 2 and prints how they came out, before and after registration.
Then times the parts of preparing a scan, one after the other in one thread, on two scans of each collection, and the
command with -np 1 and -np 2 on those, in turns. Last, ten scans: do brains and ventricles lie on one another better
than by laying centre of mass upon centre of mass?
"""

import argparse
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import SimpleITK as sitk

from benchmarks.africa import prepare_all
from benchmarks.commands import run, show
from benchmarks.ratios import interleaved
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.volumes import read_scan
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.registration.reference import Reference, dataset_reference
from nnunetv2_tf.registration.register import by_moments, register
from nnunetv2_tf.registration.skull_strip import brain_mask

COLLECTIONS = {"IXI-T1": "*.nii.gz", "ds000011": "sub-*/anat/*_T1w.nii.gz", "ds002748": "sub-*/anat/*_T1w.nii.gz"}
NUMBER, NAME = "601", "Healthy"
AROUND = 40.0  # mm from the middle of the brain lie the ventricles
PAIRS = 3


def convert_all(real: Dataset, data: Path) -> None:
    """Convert the three collections, and print how they came out."""
    start = perf_counter()
    code = show(
        "nnUNetv2_tf_convert_healthy", "-i", *(str(data / name) for name in COLLECTIONS), "-d", NUMBER, "-name", NAME,
        "-reference", real.number, "-np", "2",
    )  # fmt: skip
    print(f"exit code {code}, {perf_counter() - start:.0f} s, reference included")
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for outcome in read_json(Dataset(f"Dataset{NUMBER}_{NAME}").raw / "conversion_report.json", ""):
        rows["IXI" if outcome["case"].startswith("IXI") else outcome["case"].split("_")[0]].append(outcome)
    print("| collection | scans | prepared | before | after | brain ml | overlap | covered |\n|" + "---|" * 8)
    for name, outcomes in rows.items():
        measures = [outcome["measures"] for outcome in outcomes if outcome["measures"]]
        prepared = sum(outcome["status"] == "prepared" for outcome in outcomes)
        columns = [f"{name} | {len(outcomes)} | {prepared}"]
        for key, digits in (("before", 2), ("after", 2), ("brain_ml", 0), ("overlap", 3), ("covered", 3)):
            values = [measure[key] for measure in measures]
            columns.append(f"{np.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})")
        print(f"| {' | '.join(columns)} |")


def time_parts(reference: Reference, scans: Sequence[Path]) -> None:
    """Print the seconds that each part takes, one scan after the other, and the medians."""
    seconds: dict[str, list[float]] = defaultdict(list)

    def timed(part: str, work: Callable[[], Any]) -> Any:
        start = perf_counter()
        result = work()
        seconds[part].append(perf_counter() - start)
        return result

    for path in scans:
        scan = timed("read", lambda path=path: read_scan(path))
        mask = timed("strip", lambda scan=scan: brain_mask(scan, "auto"))
        brain = sitk.Mask(scan, mask)
        registration = timed("register", lambda brain=brain: register(brain, reference.image))
        timed(
            "resample",
            lambda scan=scan, transform=registration.transform: sitk.Resample(
                scan, reference.image, transform, sitk.sitkLinear, 0.0
            ),
        )
        parts = ", ".join(f"{part} {values[-1]:.1f} s" for part, values in seconds.items())
        print(f"{path.name}, {' x '.join(map(str, scan.GetSize()))}: {parts}", flush=True)
    print("median: " + ", ".join(f"{part} {np.median(values):.1f} s" for part, values in seconds.items()))


def one_or_two(root: Path, real: Dataset, scans: Sequence[Path]) -> None:
    """Run the command with -np 1 and with -np 2, in turns, and print how their times compare."""
    folder = root / "some"
    folder.mkdir(exist_ok=True)
    for index, path in enumerate(scans):
        link = folder / f"person{index}.nii.gz"
        if not link.exists():
            link.symlink_to(path)

    def converted(processes: int) -> float:
        shutil.rmtree(Dataset("Dataset602_Some").raw, ignore_errors=True)
        start = perf_counter()
        run(
            "nnUNetv2_tf_convert_healthy", "-i", str(folder), "-d", "602", "-name", "Some", "-glob", "t1n=*.nii.gz",
            "-reference", real.number, "-np", str(processes), "--keep_outliers",
        )  # fmt: skip
        return perf_counter() - start

    ratio = interleaved(lambda: converted(1), lambda: converted(2), PAIRS)
    print(f"-np 2 against -np 1, {len(scans)} scans: {ratio}")


def across_people(reference: Reference, scans: Sequence[Path]) -> None:
    """Print the Dice of brain, and of CSF around the middle, with the reference: by moments, and registered."""
    reference_brain = sitk.GetArrayViewFromImage(reference.image) != 0
    middle = _around_middle(reference.image)
    csf = _csf(reference.image) & middle
    better = 0
    for path in scans:
        scan = read_scan(path)
        mask = brain_mask(scan, "auto")
        brain = sitk.Mask(scan, mask)
        row = []
        for transform in (by_moments(brain, reference.image), register(brain, reference.image).transform):
            laid = sitk.Resample(brain, reference.image, transform, sitk.sitkLinear, 0.0)
            row.append((_dice(sitk.GetArrayViewFromImage(laid) > 0, reference_brain), _dice(_csf(laid) & middle, csf)))
        better += row[1][0] > row[0][0] and row[1][1] > row[0][1]
        print(
            f"{path.name}: brain {row[0][0]:.3f} by moments, {row[1][0]:.3f} registered; "
            f"CSF in the middle {row[0][1]:.3f}, {row[1][1]:.3f}",
            flush=True,
        )
    print(f"both better than by moments: {better} of {len(scans)}")


def _csf(image: sitk.Image) -> np.ndarray:
    """Return (Z, Y, X) bool: the darkest of three classes of the brain's voxels (Otsu)."""
    values = sitk.GetArrayFromImage(image)
    inside = sitk.GetImageFromArray(values[values > 0][None, None])
    threshold = sitk.OtsuMultipleThresholdsImageFilter()
    threshold.SetNumberOfThresholds(2)
    threshold.Execute(inside)
    return (values > 0) & (values < threshold.GetThresholds()[0])


def _around_middle(image: sitk.Image) -> np.ndarray:
    brain = np.argwhere(sitk.GetArrayViewFromImage(image) != 0)
    places = np.moveaxis(np.indices(image.GetSize()[::-1]), 0, -1) - brain.mean(axis=0)
    return np.linalg.norm(places * image.GetSpacing()[::-1], axis=-1) < AROUND


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


def main() -> None:
    """Convert all scans, time the parts and the command, and print how well brains lie on the reference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders go")
    root = parser.parse_args().root.resolve()
    data = Path(os.environ["NNUNETV2_TF_REAL_DATA"])
    real = prepare_all(root)
    convert_all(real, data)
    scans = {name: sorted((data / name).glob(pattern)) for name, pattern in COLLECTIONS.items()}
    reference = dataset_reference(real, None)
    time_parts(reference, [path for paths in scans.values() for path in paths[:2]])
    one_or_two(root, real, [path for paths in scans.values() for path in paths[:2]])
    across_people(reference, [*scans["IXI-T1"][:4], *scans["ds000011"][:3], *scans["ds002748"][:3]])


if __name__ == "__main__":
    main()
