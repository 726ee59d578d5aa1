"""Promise 7: what is wrong with the data is said in a sentence, and nothing of a case is half-written."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.commands.synthesize import main
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.tumours.recipe import read_recipe
from tests.disks import files_no_larger_than
from tests.synthesis.making import make_set, temporary_files
from tests.workspace import TINY, Workspace

pytestmark = pytest.mark.slow


def image_of(workspace: Workspace, case: str):
    return workspace.dataset.raw / "imagesTr" / f"{case}_0000.nii.gz"


def truncate(workspace: Workspace, case: str) -> None:
    path = image_of(workspace, case)
    path.write_bytes(path.read_bytes()[:-200])


def not_a_number(workspace: Workspace, case: str) -> None:
    path = image_of(workspace, case)
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).astype(np.float32)
    array[3, 3, 3] = np.nan
    changed = sitk.GetImageFromArray(array)
    changed.CopyInformation(image)
    sitk.WriteImage(changed, str(path))


def damaged_label(workspace: Workspace, case: str) -> None:
    (workspace.dataset.raw / "labelsTr" / f"{case}.nii.gz").write_bytes(gzip.compress(b"nothing"))


def lost_arrays(workspace: Workspace, case: str) -> None:
    (workspace.dataset.preprocessed / "nnUNetPlans_3d_fullres" / f"{case}.pkl").unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (truncate, "_0000.nii.gz cannot be read, it is damaged or cut short; replace it"),
        (not_a_number, "_0000.nii.gz holds NaN or infinite values; replace them"),
        (damaged_label, "nii.gz cannot be read, it is damaged or cut short; replace it"),
        (lost_arrays, "is not preprocessed for 3d_fullres .*; run nnUNetv2_preprocess"),
    ],
)
def test_damaged_cases(workspace: Workspace, spoil, sentence):
    for case in range(10):
        spoil(workspace, f"case_{case:03d}")
    with pytest.raises(UserError, match=sentence):
        make_set(workspace)
    assert not list(workspace.dataset.sets.rglob("*.nii.gz"))
    assert not list(workspace.dataset.sets.rglob("manifest.json"))
    assert temporary_files(workspace.root) == []


def test_raw_images_swapped_after_preprocessing(workspace: Workspace):
    one, other = (image_of(workspace, name) for name in ("case_001", "case_002"))
    swapped = other.read_bytes(), one.read_bytes()
    for path, content in zip((one, other), swapped, strict=True):
        path.write_bytes(content)
    with pytest.raises(UserError, match="is not the scan that was preprocessed .*put that back"):
        make_set(workspace, num_cases=12)


def test_a_raw_label_moved_after_preprocessing(workspace: Workspace):
    for case in range(10):
        path = workspace.dataset.raw / "labelsTr" / f"case_{case:03d}.nii.gz"
        image = sitk.ReadImage(str(path))
        moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(image), 2, axis=1))
        moved.CopyInformation(image)
        sitk.WriteImage(moved, str(path))
    with pytest.raises(UserError, match="is not the scan that was preprocessed .its labels are others."):
        make_set(workspace)


def test_a_raw_image_of_another_size(workspace: Workspace):
    """The scan was replaced after preprocessing."""
    for case in range(10):
        path = image_of(workspace, f"case_{case:03d}")
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(image[:-3, :, :], str(path))
    with pytest.raises(UserError, match="_0000.nii.gz is not the scan that was preprocessed .*run nnUNetv2_preprocess"):
        make_set(workspace)
    assert not list(workspace.dataset.sets.rglob("*.nii.gz"))


def test_nothing_is_lost_when_one_case_is_damaged(workspace: Workspace):
    """What was made before stays, and a second run goes on once the file is mended."""
    part = make_set(workspace, num_cases=8, recipe_only=True)
    last = str(read_recipe(part.folder / "recipe.jsonl")[7].real_host)
    sound = image_of(workspace, last).read_bytes()
    truncate(workspace, last)
    with pytest.raises(UserError, match=f"{last}_0000.nii.gz cannot be read"):
        make_set(workspace, num_cases=8)
    made = len(list(part.folder.glob("sidecars/*.json")))
    assert made > 0
    image_of(workspace, last).write_bytes(sound)
    make_set(workspace, num_cases=8)
    assert len(part.manifest().accepted) == 8


def test_two_patients_at_least(workspace: Workspace):
    write_json(workspace.dataset.raw / "groups.json", {f"case_{index:03d}": "one" for index in range(10)})
    everyone = [f"case_{index:03d}" for index in range(10)]
    write_json(workspace.dataset.preprocessed / "splits_final.json", [{"train": everyone, "val": []}])
    with pytest.raises(UserError, match="10 cases of 1 patients train, 10 of them with a tumour"):
        make_set(workspace)


def test_no_tumour_anywhere(workspace: Workspace):
    path = workspace.dataset.raw / "dataset.json"
    write_json(path, read_json(path, "") | {"tf": {"tumour": ["NCR"]}, "labels": {"background": 0, "NCR": 9}})
    with pytest.raises(UserError, match="8 cases of 8 patients train, 0 of them with a tumour"):
        make_set(workspace)


def test_a_full_disk(workspace: Workspace, monkeypatch, capfd):
    """The sentence says what to do, and running again goes on."""
    words = f"nnUNetv2_tf_synthesize 501 3d_fullres 0 -m carvemix -num_cases 3 -s cm -p {TINY} -np 1"
    monkeypatch.setattr("sys.argv", words.split())
    with files_no_larger_than(8192):
        assert main() == 2
    assert "the file would be larger than this system allows" in capfd.readouterr().err
    assert not list(workspace.dataset.sets.rglob("*.nii.gz"))
    assert temporary_files(workspace.root) == []
    make_set(workspace, num_cases=3)
