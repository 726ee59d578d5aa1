"""Real BraTS-Africa and BraTS 2021 scans: merged, they lie on one another, and not a label voxel changes."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.commands import convert_healthy
from nnunetv2_tf.conversion.brats.convert import convert_back
from nnunetv2_tf.conversion.brats.relabel_predictions import RelabelRequest
from nnunetv2_tf.dataset.cases import CaseFiles, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import read_json
from tests.conversion.brats.test_convert import arrays, convert

DATA = os.environ.get("NNUNETV2_TF_REAL_DATA")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA, reason="NNUNETV2_TF_REAL_DATA is not set")]

FOUR_MODALITIES = ("00002", "00028", "00056", "00112")


@pytest.fixture
def africa() -> Path:
    return Path(str(DATA)) / "BraTS-Africa"


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def differing_voxels(dataset: Dataset, folder: Path, back: Path, theirs: Mapping[str, Path], source: str) -> int:
    """Labels of the dataset, handed back, against the source's own files."""
    folder.mkdir()
    cases: dict[str, CaseFiles] = {name: case for name, case in raw_cases(dataset).items() if name in theirs}
    for name, case in cases.items():
        shutil.copy(case.label, folder / f"{name}.nii.gz")
    convert_back(RelabelRequest(folder, back, source, 1))
    pairs = [
        [sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (theirs[n], back / f"{n}.nii.gz")] for n in cases
    ]
    return sum(int((one != other).sum()) for one, other in pairs)


@pytest.mark.exhaustive
def test_thirty_africans_with_t1(nnunet: Path, africa: Path):
    dataset = convert([africa], modalities=("t1n",), num_processes=2)
    cases = raw_cases(dataset)
    assert len(cases) == 30
    theirs = {name: next((africa / name).glob("*-seg.nii.gz")) for name in cases}
    assert {case.label for case in cases.values()} == set(theirs.values())  # referenced: the numbers are ours already
    assert differing_voxels(dataset, nnunet / "p", nnunet / "b", theirs, "2023-ssa") == 0
    assert len(read_json(dataset.preprocessed / "splits_final.json", "")) == 5


def test_two_sources_on_one_another(nnunet: Path, africa: Path):
    """RAS and LPS, ET 3 and 4; the mean brains as nnU-Net's own reader sees them."""
    four = nnunet / "four"
    four.mkdir()
    for number in FOUR_MODALITIES:
        (four / f"BraTS-SSA-{number}-000").symlink_to(africa / f"BraTS-SSA-{number}-000")
    cbica = Path(str(DATA)) / "BraTS2021"
    dataset = convert([four, cbica], num_processes=1)
    assert read_json(dataset.raw / "dataset.json", "")["overwrite_image_reader_writer"] == "NibabelIOWithReorient"
    names = sorted(raw_cases(dataset))
    brains = {name: (arrays(dataset, name)[0] != 0).any(0) for name in names}
    african = np.mean([brains[name] for name in names if "SSA" in name], axis=0) > 0.5
    (other,) = (brains[name] for name in names if "SSA" not in name)
    overlap = dice(african, other)
    print(f"mean brains overlap: Dice {overlap:.3f}")
    assert overlap > 0.85
    theirs = {name: next(cbica.rglob(f"{name}_seg.nii.gz")) for name in names if "SSA" not in name}
    assert differing_voxels(dataset, nnunet / "p", nnunet / "b", theirs, "2021") == 0
    theirs = {name: next((africa / name).glob("*-seg.nii.gz")) for name in names if "SSA" in name}
    assert differing_voxels(dataset, nnunet / "q", nnunet / "c", theirs, "2023-ssa") == 0


def test_a_head_and_a_brain_of_two_collections_become_hosts(nnunet: Path, africa: Path, monkeypatch):
    """One whole head at 1.3 mm and one stripped scan at 0.9 mm, upon a patient's scan."""
    for name in ("ds000011", "ds002748"):
        scan = sorted((africa.parent / name).glob("sub-*/anat/*_T1w.nii.gz"))[0]
        link = nnunet / name / scan.parent.parent.name / "anat" / scan.name
        link.parent.mkdir(parents=True)
        link.symlink_to(scan)
    reference = africa / "BraTS-SSA-00002-000" / "BraTS-SSA-00002-000-t1n.nii.gz"
    words = [
        "-i",
        nnunet / "ds000011",
        nnunet / "ds002748",
        "-d",
        601,
        "-name",
        "Healthy",
        "-reference",
        reference,
        "-np",
        1,
    ]
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_convert_healthy", *map(str, words)])
    assert convert_healthy.main() == 0
    patient = sitk.ReadImage(str(reference))
    made = Dataset("Dataset601_Healthy")
    for outcome in read_json(made.raw / "conversion_report.json", ""):
        assert outcome["measures"]["overlap"] > 0.93
        assert outcome["measures"]["covered"] > 0.99
        assert 1000 < outcome["measures"]["brain_ml"] < 1800
        image = sitk.ReadImage(str(made.raw / "imagesTr" / f"{outcome['case']}_0000.nii.gz"))
        assert (image.GetSize(), image.GetOrigin()) == (patient.GetSize(), patient.GetOrigin())
    assert len(raw_cases(made)) == 2
