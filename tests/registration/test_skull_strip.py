"""What counts as stripped, and brains of real heads where there are some."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.registration.skull_strip import brain_mask, check_installed, is_stripped
from nnunetv2_tf.standin.brains import healthy

REAL = os.environ.get("NNUNETV2_TF_REAL_DATA")


def brain() -> sitk.Image:
    image = sitk.GetImageFromArray(healthy().draw(np.random.default_rng(0))[0][0])
    image.SetSpacing((1.0, 2.0, 3.0))
    return image


def head() -> sitk.Image:
    """The brain in noise, with a neck that leaves the picture."""
    array = sitk.GetArrayFromImage(brain()).astype(np.float32)
    array[array == 0] = np.random.default_rng(0).integers(0, 2, (array == 0).sum())
    array[:6, 10:30, 10:26] = 300
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 2.0, 3.0))
    return image


def cropped(image: sitk.Image) -> sitk.Image:
    inside = np.argwhere(sitk.GetArrayFromImage(image))[:, ::-1]
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    return sitk.RegionOfInterest(image, (high - low).tolist(), low.tolist())


def conformed() -> sitk.Image:
    """A head whose air and surroundings are exactly 0, as some pipelines leave it: no side shows its neck."""
    whole = sitk.BinaryDilate(sitk.ConstantPad(head() > 1, (9, 9, 9), (9, 9, 9)), (4, 4, 4))
    whole.SetSpacing((5.0, 5.0, 5.5))
    return whole


def test_a_brain_on_zeros_is_stripped_and_a_head_is_not():
    assert is_stripped(brain())
    assert is_stripped(cropped(brain()))
    assert not is_stripped(head())
    assert not is_stripped(conformed())
    assert not is_stripped(sitk.GetImageFromArray(np.ones((9, 9, 9))))


def test_none_does_not_take_a_head_for_a_brain():
    with pytest.raises(
        UserError, match="shows more than a brain on a background of 0, or not all of it; leave -strip none out"
    ):
        brain_mask(head(), "none")


def test_a_neck_that_leaves_by_one_side_is_seen_however_empty_the_others_are():
    array = sitk.GetArrayFromImage(brain())
    array[:3, 8:36, 8:32] = 300
    image = sitk.GetImageFromArray(array)
    rim = np.concatenate([array[0].ravel(), array[-1].ravel(), array[:, 0].ravel(), array[:, -1].ravel()])
    assert (rim == 0).mean() > 0.85
    assert not is_stripped(image)


@pytest.mark.parametrize("how", ["auto", "none"])
def test_a_stripped_scan_is_its_own_mask_holes_filled_and_crumbs_left(how):
    array = sitk.GetArrayFromImage(brain())
    whole = array != 0
    hole = tuple(int(place) for place in np.argwhere(whole).mean(axis=0))
    array[hole], array[0, 0, 0] = 0, 5
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(brain())
    mask = brain_mask(image, how)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask) > 0, whole)
    assert mask.GetSpacing() == image.GetSpacing()


@pytest.mark.parametrize("how", ["hdbet", "synthstrip"])
def test_what_is_not_installed_says_how_to_get_it(how, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=f"-strip {how} needs {how}, which is not installed: "):
        check_installed(how)
    check_installed("none")


def test_deepbet_is_asked_for_by_auto_too(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"-strip auto needs deepbet, .* pip install 'nnunetv2_tf\[skullstrip\]'"):
        brain_mask(head(), "auto")
    assert brain_mask(brain(), "auto").GetSize() == brain().GetSize()  # a stripped scan needs none


@pytest.mark.parametrize(
    ("how", "command", "writes"),
    [("hdbet", "hd-bet", 'printf %s "${4%.nii.gz}_bet.nii.gz"'), ("synthstrip", "mri_synthstrip", 'printf %s "$4"')],
)
def test_other_strippers_are_called_with_files(how, command, writes, monkeypatch, tmp_path):
    """A program in their place copies the scan to where they write the mask."""
    program = tmp_path / command
    program.write_text(f'#!/bin/sh\ncp "$2" "$({writes})"\necho "$@" > {tmp_path}/called\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    check_installed(how)
    mask = brain_mask(brain(), how)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(brain()) > 0)
    assert (tmp_path / "called").read_text(encoding="utf-8").startswith("-i ")
    program.write_text("#!/bin/sh\necho no weights >&2\nexit 3\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=f"{command} ended with exit code 3: no weights"):
        brain_mask(brain(), how)


@pytest.mark.exhaustive
@pytest.mark.skipif(REAL is None, reason="no real scans")
def test_real_heads():
    pytest.importorskip("deepbet")
    data = Path(str(REAL))
    heads = [*sorted((data / "IXI-T1").glob("*"))[:2], *sorted((data / "ds000011").glob("*/anat/*T1w.nii.gz"))[:1]]
    for path in heads:
        image = sitk.ReadImage(str(path))
        assert not is_stripped(image)
        mask = sitk.GetArrayFromImage(brain_mask(image, "auto"))
        litres = mask.sum() * np.prod(image.GetSpacing()) / 1e6
        assert 1.0 < litres < 1.9, path
    brains = [
        *sorted((data / "ds002748").glob("*/anat/*T1w.nii.gz"))[:3],
        *sorted(data.glob("BraTS-*/*/*t1n.nii.gz"))[:3],
    ]
    assert all(is_stripped(sitk.ReadImage(str(path))) for path in brains)
