"""Packs datasets for a machine with a GPU that little can be carried to.

    python -m benchmarks.gpu_pack FOLDER [-d 530 601] [-o build/gpu] [-mib 55]

FOLDER holds nnUNet_raw and nnUNet_preprocessed (that of benchmarks.healthy_cohort and benchmarks.real_training). Images
are cropped to what is not 0, which nnU-Net does anyway, and written as int16; splits come along. Out: OUT/1, OUT/2,
..., none larger than asked for, to be carried over one after the other; scripts/gpu.sh takes them up there.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from benchmarks.commands import enter
from nnunetv2_tf.dataset.cases import CaseFiles, dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import write_json

MARK = ".gpu_pack"
BRIGHT = 4000  # what the brightest voxels become where values are no whole numbers: nnU-Net z-scores them


def main() -> None:
    """Pack the datasets, and share the files out into parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-d", nargs="+", default=["530", "601"], help="datasets (default: 530 601)")
    parser.add_argument("-o", type=Path, default=Path("build/gpu"), metavar="OUT", help="default: %(default)s")
    parser.add_argument("-mib", type=float, default=55, help="the size of a part (default: %(default)s)")
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    whole = arguments.o / "all"
    if arguments.o.exists() and not (arguments.o / MARK).exists():
        parser.error(f"{arguments.o} exists and was not made by this command; name another folder")
    shutil.rmtree(arguments.o, ignore_errors=True)
    arguments.o.mkdir(parents=True)
    (arguments.o / MARK).touch()
    for dataset in map(Dataset.find, arguments.d):
        pack(dataset, whole / dataset.name)
    parts = share_out(whole, arguments.o, arguments.mib * 2**20)
    print(f"{arguments.o}: {parts} parts, one after the other")


def pack(dataset: Dataset, folder: Path) -> None:
    """Write a raw dataset that needs no other files."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    description = {key: value for key, value in dataset_json(dataset).items() if key != "dataset"}
    write_json(folder / "dataset.json", description)
    splits = dataset.preprocessed / "splits_final.json"
    if splits.exists():
        shutil.copy(splits, folder / splits.name)
    for case in tqdm(raw_cases(dataset).values(), desc=dataset.name, unit="case"):
        _pack(case, folder, description["file_ending"])


def _pack(case: CaseFiles, folder: Path, ending: str) -> None:
    images, label = [sitk.ReadImage(str(path)) for path in case.images], sitk.ReadImage(str(case.label))
    shown = np.any([sitk.GetArrayViewFromImage(image) != 0 for image in images], axis=0)
    low, high = (extreme(np.argwhere(shown), axis=0)[::-1].tolist() for extreme in (np.min, np.max))
    size = [b - a + 1 for a, b in zip(low, high, strict=True)]
    for channel, image in enumerate(images):
        cropped = sitk.RegionOfInterest(_whole_numbers(image), size, low)
        sitk.WriteImage(cropped, str(folder / "imagesTr" / f"{case.identifier}_{channel:04d}{ending}"), True)
    cropped = sitk.RegionOfInterest(sitk.Cast(label, sitk.sitkUInt8), size, low)
    sitk.WriteImage(cropped, str(folder / "labelsTr" / f"{case.identifier}{ending}"), True)


def _whole_numbers(image: sitk.Image) -> sitk.Image:
    values = sitk.GetArrayViewFromImage(image)
    if np.issubdtype(values.dtype, np.integer) and values.max() < 2**15 and values.min() >= -(2**15):
        return sitk.Cast(image, sitk.sitkInt16)
    factor = BRIGHT / float(np.percentile(values[values != 0], 99.9))
    scaled = sitk.GetImageFromArray(np.clip(np.rint(values * factor), -(2**15), 2**15 - 1).astype(np.int16))
    scaled.CopyInformation(image)
    return scaled


def share_out(whole: Path, target: Path, most: float) -> int:
    """Move files into parts of the same layout, of at most `most` bytes each; return how many parts there are."""
    part, size = 1, 0
    for path in sorted(path for path in whole.rglob("*") if path.is_file()):
        if size and size + path.stat().st_size > most:
            part, size = part + 1, 0
        size += path.stat().st_size
        there = target / str(part) / path.relative_to(whole)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, there)
    shutil.rmtree(whole)
    return part


if __name__ == "__main__":
    main()
