"""Where does a training see tumour that is not there? In nnU-Net's own predictions of cases that validate.

    python -m benchmarks.false_lesions FOLDER -tr TRAINER ... [-f 0]

FOLDER is that of benchmarks.starting_line, with trainings of fold 0 of Dataset531, which nobody else scores. Prints by
trainer and region mean Dice, and a case's false lesions, those of more than 50 mm3 among them (the least that
BraTS counts of true ones), and ml of the region where there is no tumour at all.
"""

import argparse
import os
from pathlib import Path

import cc3d
import numpy as np
import SimpleITK as sitk

from benchmarks.commands import enter
from benchmarks.starting_line import DATASET, PLANS
from nnunetv2_tf.benchmark.metrics import SMALLEST_LESION, dice

REGIONS = {"ET": (3,), "TC": (1, 3), "WT": (1, 2, 3)}


def false_lesions(prediction: np.ndarray, truth: np.ndarray, voxel: float) -> tuple[int, int]:
    """Return how many pieces of a prediction touch nothing of the truth, and how many of them are not tiny.

    Args:
        prediction: (Z, Y, X) bool
        truth: (Z, Y, X) bool
        voxel: mm3
    """
    pieces = cc3d.connected_components(prediction, connectivity=26)
    sizes = np.bincount(pieces.ravel(), minlength=1)[1:] * voxel
    touched = np.bincount(pieces[truth], minlength=len(sizes) + 1)[1:] > 0
    return int((~touched).sum()), int((~touched & (sizes > SMALLEST_LESION)).sum())


def measured(prediction: Path, truth: Path) -> dict[str, tuple[float, float, float, float]]:
    """Return what is printed, by region, of one case."""
    images = [sitk.ReadImage(str(path)) for path in (prediction, truth)]
    ours, theirs = (sitk.GetArrayFromImage(image) for image in images)
    voxel, found = float(np.prod(images[1].GetSpacing())), {}
    for name, values in REGIONS.items():
        mine, true = (np.isin(label, values) for label in (ours, theirs))
        nowhere = float((mine & (theirs == 0)).sum()) * voxel / 1000
        found[name] = (100 * dice(mine, true), *map(float, false_lesions(mine, true, voxel)), nowhere)
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-tr", nargs="+", required=True, metavar="TRAINER")
    parser.add_argument("-f", type=int, default=0, help="fold (default: 0)")
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    results, truths = Path(os.environ["nnUNet_results"]) / DATASET.name, DATASET.preprocessed / "gt_segmentations"
    print("| trainer | region | cases | Dice (%) | false lesions a case | above 50 mm3 | ml where there is no tumour |")
    print("|---" * 7 + "|")
    for trainer in arguments.tr:
        folder = results / f"{trainer}__{PLANS}__3d_fullres" / f"fold_{arguments.f}" / "validation"
        cases = [measured(path, truths / path.name) for path in sorted(folder.glob("*.nii.gz"))]
        if not cases:
            raise SystemExit(f"{folder} has no predictions; train it first.")
        for region in REGIONS:
            dice_, false, large, nowhere = np.mean([case[region] for case in cases], axis=0)
            print(f"| {trainer} | {region} | {len(cases)} | {dice_:.1f} | {false:.2f} | {large:.2f} | {nowhere:.2f} |")


if __name__ == "__main__":
    main()
