import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.dataset.volumes import same_grid
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.registration.reference import dataset_reference, mean_brain, read_reference
from tests.workspace import Workspace


def array(path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(float)


def test_the_mean_leaves_tumours_out(workspace: Workspace):
    """Against brute force, voxel by voxel."""
    cases = list(raw_cases(workspace.dataset).values())[:4]
    image = mean_brain(cases, (1, 2, 3))
    volumes, labels = (
        [array(path) for path in paths] for paths in zip(*((c.images[0], c.label) for c in cases), strict=True)
    )
    normalised = []
    for volume, label in zip(volumes, labels, strict=True):
        healthy = (volume != 0) & (label == 0)
        normalised.append(np.where(healthy, (volume - volume[healthy].mean()) / volume[healthy].std(), np.nan))
    inside = (np.sum([volume != 0 for volume in volumes], axis=0) >= 2) & ~np.isnan(normalised).all(axis=0)
    found = sitk.GetArrayFromImage(image)
    np.testing.assert_array_equal(found != 0, inside)
    expected = np.nanmean(np.array(normalised)[:, inside], axis=0)
    clear = (found[inside] > 1) & (found[inside] < 1000)
    assert clear.mean() > 0.99
    assert np.corrcoef(found[inside][clear], expected[clear])[0, 1] > 1 - 1e-6


def test_it_is_made_of_training_cases_and_kept(workspace: Workspace):
    reference = dataset_reference(workspace.dataset, 0)
    split = fold_split(workspace.dataset, 0, raw_cases(workspace.dataset))
    assert set(reference.ancestors) == set(split.train)
    path = workspace.dataset.preprocessed / "tf" / "reference" / "fold_0.nii.gz"
    written = path.stat().st_mtime_ns
    assert dataset_reference(workspace.dataset, 0).source == reference.source
    assert path.stat().st_mtime_ns == written
    everybody = dataset_reference(workspace.dataset, None)
    assert len(everybody.ancestors) == 10
    label = raw_cases(workspace.dataset)[split.train[0]].label
    image = sitk.ReadImage(str(label))
    sitk.WriteImage(image * 0, str(label))
    assert dataset_reference(workspace.dataset, 0).source != reference.source
    assert path.stat().st_mtime_ns != written


def test_cases_that_a_split_names_in_vain(workspace: Workspace):
    path = workspace.dataset.preprocessed / "splits_final.json"
    fold_split(workspace.dataset, 0, raw_cases(workspace.dataset))
    splits = read_json(path, "")
    splits[0]["train"].append("nobody")
    write_json(path, splits)
    with pytest.raises(UserError, match="names nobody, which"):
        dataset_reference(workspace.dataset, 0)


def test_scans_on_other_grids_are_laid_upon_the_first(workspace: Workspace):
    cases = list(raw_cases(workspace.dataset).values())[:2]
    path = cases[1].images[0]
    for file in (path, cases[1].label):
        image = sitk.ReadImage(str(file))
        image.SetOrigin((30.0, -20.0, 10.0))
        sitk.WriteImage(sitk.Flip(image, [True, True, False]), str(file))
    image = mean_brain(cases, (1, 2, 3))
    one = sitk.ReadImage(str(cases[0].images[0]))
    assert same_grid(image, sitk.DICOMOrient(one, "LPS"))
    brain, first = sitk.GetArrayFromImage(image) != 0, sitk.GetArrayFromImage(one) != 0
    assert 2 * (brain & first).sum() / (brain.sum() + first.sum()) > 0.85


def test_heads_are_refused(workspace: Workspace, tmp_path):
    path = next(iter(raw_cases(workspace.dataset).values())).images[0]
    head = sitk.ReadImage(str(path)) + 1
    sitk.WriteImage(head, str(path))
    with pytest.raises(UserError, match="shows more than a brain"):
        dataset_reference(workspace.dataset, None)
    sitk.WriteImage(head, str(tmp_path / "head.nii.gz"))
    with pytest.raises(UserError, match="shows more than a brain"):
        read_reference(tmp_path / "head.nii.gz")
    with pytest.raises(UserError, match="cannot be read"):
        (tmp_path / "cut.nii.gz").write_bytes(b"no")
        read_reference(tmp_path / "cut.nii.gz")
