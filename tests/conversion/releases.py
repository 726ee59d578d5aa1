"""Stand-ins in the naming, numbering and orientation of every BraTS release."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.conversion.brats.labels import MODALITIES, OURS, SOURCES
from nnunetv2_tf.standin.brains import Brains

RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
NAMES = {
    "brats2018": ["HGG/Brats18_2013_10_1", "LGG/Brats18_TCIA01_131_1"],
    "brats2019": ["HGG/BraTS19_2013_10_1", "LGG/BraTS19_TCIA01_131_1"],
    "brats2020": ["BraTS20_Training_001", "BraTS20_Training_355"],
    "brats2021": ["BraTS2021_00000", "BraTS2021_01666"],
    "2023-gli": ["BraTS-GLI-00000-000", "BraTS-GLI-00000-001"],
    "2023-ssa": ["BraTS-SSA-00002-000", "BraTS-SSA-00007-000"],
    "2023-ped": ["BraTS-PED-00002-000", "BraTS-PED-00003-000"],
    "2023-men": ["BraTS-MEN-00000-000", "BraTS-MEN-00002-000"],
    "2023-met": ["BraTS-MET-00001-000", "BraTS-MET-00002-000"],
    "2024-gli": ["BraTS-GLI-02060-100", "BraTS-GLI-02060-101"],
    "2024-ped": ["BraTS-PED-00005-000", "BraTS-PED-00006-000"],
    "msd": ["BRATS_001", "BRATS_002"],
}
SMALL = Brains(shape=(24, 26, 25), channel_names=MODALITIES)


def write_release(folder: Path, source: str, brains: Brains = SMALL, seed: int = 0) -> dict[str, np.ndarray]:
    """Writes two cases as the release has them; returns their label maps in our numbering, (Z, Y, X)."""
    truths = {}
    for index, name in enumerate(NAMES[source]):
        rng = np.random.default_rng([seed, index])
        image, label = brains.draw(rng)
        if "RC" in SOURCES[source].values.values():
            label[label.shape[0] // 2 :][label[label.shape[0] // 2 :] == OURS["NCR"]] = OURS["RC"]
        write_case(folder, source, name, brains, image, their_numbers(label, source))
        truths[Path(name).name] = label
    return truths


def their_numbers(label: np.ndarray, source: str) -> np.ndarray:
    """Independently of the code under test: the first of their values with that name, written out by hand."""
    until_2021 = {1: 1, 2: 2, 3: 4}
    tables = {"2024-ped": {1: 2, 2: 4, 3: 1}, "msd": {1: 2, 2: 1, 3: 3}}
    table = until_2021 if source.startswith("brats") else tables.get(source, {1: 1, 2: 2, 3: 3, 4: 4})
    return np.vectorize(lambda value: table.get(value, 0), otypes=[np.uint8])(label)


def write_case(folder: Path, source: str, name: str, brains: Brains, image: np.ndarray, label: np.ndarray) -> None:
    if source == "msd":
        order = [image[MODALITIES.index(modality)] for modality in ("t2f", "t1n", "t1c", "t2w")]
        joined = sitk.JoinSeries([sitk.GetImageFromArray(volume) for volume in order])
        joined.SetSpacing([*brains.spacing[::-1], 1.0])
        (folder / "imagesTr").mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(joined, str(folder / "imagesTr" / f"{name}.nii.gz"))
        brains.write(label, folder / "labelsTr" / f"{name}.nii.gz")
        return
    known = SOURCES[source]
    case, stem = folder / name, Path(name).name
    ending = ".nii" if source == "brats2020" else ".nii.gz"
    for channel, modality in enumerate(MODALITIES):
        brains.write(image[channel], case / f"{stem}{known.separator}{known.modalities[modality]}{ending}")
    odd = stem == "BraTS20_Training_355"  # the one case of 2020 whose label is named otherwise
    brains.write(label, case / ("W39_1998.09.19_Segm.nii" if odd else f"{stem}{known.separator}seg{ending}"))
