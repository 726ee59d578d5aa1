"""The picture in README: real hosts, the tumour maps placed in them, the cases made of both, and real patients.

    NNUNETV2_TF_REAL_DATA=... python -m benchmarks.front_picture FOLDER

Prepares the eighteen scans of Dataset531 and the twelve healthy ones of ds002748 at 2.5 mm in FOLDER, trains a baseline
of fold 0 for two epochs on the CPU, fits tf_aug, makes eight cases and paints the first ROWS of them, as they come,
into docs/pictures/front.png. Run again it goes on where it stopped; half an hour on two cores.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmarks.africa import ALL_PLANS, prepare_steering
from benchmarks.commands import run, show
from nnunetv2_tf.dataset.cases import CaseFiles, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, fold_split
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.sets.store import SetPart

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "front.png"
HEALTHY, NAME = "631", "Healthy12"
BASELINE, SET = "TFBaselineTrainer_2epochs_seed0", "front"
MADE, ROWS = 8, 3
TITLES = ("healthy scan", "tumour map, placed", "synthetic case (TF-Aug)", "a real patient")
HALF = (92, 76)  # voxels of 1 mm that are shown, towards the front and back, and to both sides
EXACT = {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}


def make(root: Path) -> SetPart:
    """Run the commands; return the set's part."""
    dataset = prepare_steering(root)
    scans = str(Path(os.environ["NNUNETV2_TF_REAL_DATA"]) / "ds002748")
    place = [dataset.number, "3d_fullres", "0"]
    options = ["-m", "tf_aug", "-healthy", HEALTHY, "-p", ALL_PLANS]
    healthy = ["-i", scans, "-d", HEALTHY, "-name", NAME, "-reference", dataset.number, "-f", "0"]
    show("nnUNetv2_tf_convert_healthy", *healthy)
    run("nnUNetv2_tf_preprocess_healthy", "-d", dataset.number, "-healthy", HEALTHY, "-p", ALL_PLANS)
    finished = dataset.model_fold(BASELINE, ALL_PLANS, "3d_fullres", 0) / "checkpoint_final.pth"
    if not finished.exists():  # nnU-Net would write it anew, and a fit belongs to the very file
        show("nnUNetv2_train", *place, "-tr", BASELINE, "-p", ALL_PLANS, "-device", "cpu", "--c", **EXACT)
    show("nnUNetv2_tf_fit", *place, *options, "-tr", BASELINE, "-device", "cpu")
    show("nnUNetv2_tf_synthesize", *place, *options, "-num_cases", str(MADE), "-s", SET)
    return SetPart(dataset, SET, 0)


def paint(part: SetPart) -> None:
    """Paint host, map, made case and the training patient with the tumour of the most similar volume, a row a case."""
    hosts = raw_cases(Dataset(f"Dataset{HEALTHY}_{NAME}"))
    train = {name: raw_cases(part.dataset)[name] for name in fold_split(part.dataset, 0, raw_cases(part.dataset)).train}
    volumes = {name: int((_read(files.label) > 0).sum()) for name, files in train.items()}
    groups = Groups.read(part.dataset)
    rows = []
    for entry in part.manifest().accepted[:ROWS]:
        files = part.case_files(entry.case, ".nii.gz", 1)
        tumour = _read(files.label)
        patient = min(volumes, key=lambda name: abs(np.log(volumes[name] / (tumour > 0).sum())))
        volumes = {name: size for name, size in volumes.items() if groups[name] != groups[patient]}  # shown once
        host = hosts[str(part.sidecar(entry.case).host)]
        cut = fullest_slice(tumour > 0)
        titles = iter(("", "", "", "") if rows else TITLES)
        rows.append(
            [
                _panel(host, cut, next(titles)),
                _panel(host, cut, next(titles), tumour),
                _panel(files, cut, next(titles)),
                _panel(train[patient], None, next(titles)),
            ]
        )
    write_panels(rows, PICTURE, inches=2.3)


def _panel(files: CaseFiles, cut: int | None, title: str, outline: np.ndarray | None = None) -> Panel:
    """Return an axial slice around the brain, the patient's front up; that with most tumour where `cut` is None."""
    image = _read(files.images[0]).astype(float)
    if cut is None:
        cut = fullest_slice(_read(files.label) > 0)
    span = (0.0, float(np.quantile(image[image > 0], 0.98)))
    middle = [int(places.min() + places.max()) // 2 for places in np.nonzero(image.max(axis=0))]
    shown = tuple(slice(max(0, at - size), at + size) for at, size in zip(middle, HALF, strict=True))
    return Panel(image[cut][shown], span, None if outline is None else outline[cut][shown], title)


def _read(path: Path) -> np.ndarray:
    """Return (Z, Y, X), Y towards the back, X towards the patient's left."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS"))


def main() -> None:
    """Make the cases where that is not done yet, and paint the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders go")
    paint(make(parser.parse_args().root.resolve()))
    print(PICTURE)


if __name__ == "__main__":
    main()
