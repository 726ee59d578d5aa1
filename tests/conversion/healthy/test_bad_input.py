"""What is wrong with healthy scans, or with what is asked for, is said in a sentence, and nothing is half written."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.io.files import read_json
from tests.conversion.people import PEOPLE, damage, made, scan_of
from tests.workspace import tree

pytestmark = pytest.mark.slow


DAMAGED = {
    "cut": "cannot be read, it is damaged or cut short",
    "text": "cannot be read, it is damaged or cut short",
    "nan": "holds NaN or infinite values",
    "empty": "is empty, every voxel is 0",
    "small": "too few for a brain",
    "2d": "too few for a brain",
    "4d": "is no single 3D volume",
    "half": "background of 0, or not all of it",
    "normalised": "of its brain are below 0, as after normalisation",
    "shell": "most of its brain is 0, so it is no scan",
    "infinite": "holds NaN or infinite values",
    "head": "shows more than a brain on a background of 0, or not all of it; leave -strip none out",
}


def test_bad_scans_do_not_stop_the_rest(convert, bids, tmp_path):
    numbers = {10 + number: how for number, how in enumerate(DAMAGED)}
    for number, how in numbers.items():
        path = scan_of(bids, number)
        path.parent.mkdir(parents=True)
        shutil.copy(scan_of(bids, 0), path)
        damage(path, how)
    (tmp_path / "people.txt").write_text("".join(f"sub-{number}\n" for number in (0, *numbers)), encoding="utf-8")
    assert convert("-strip", "none", "-subjects", tmp_path / "people.txt") == 1
    report = {entry["case"]: entry for entry in read_json(made() / "conversion_report.json", "")}
    for number, how in numbers.items():
        assert report[f"bids_sub-{number}"]["status"] == "unusable"
        assert DAMAGED[how] in " ".join(report[f"bids_sub-{number}"]["reasons"])
    assert len(report) == 1 + len(numbers)
    assert read_json(made() / "dataset.json", "")["numTraining"] == 1
    assert [path.name for path in (made() / "imagesTr").iterdir()] == ["bids_sub-0_0000.nii.gz"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-i", "missing"], "missing does not exist or is no folder"),
        (["-channels", "t1n=A", "-channels", "t1n=B"], "-channels names t1n twice; name it once"),
        (["-subjects", "empty.txt"], "empty.txt names nobody; write one person per line"),
        (["-layout", "ixi"], "holds no scan in layout ixi with t1n"),
        (["-layout", "folder"], "needs a pattern for t1n"),
        (["-layout", "folder", "-glob", "t1n=x.nii.gz"], r"has no *, and what * stands for"),
        (["-glob", "t1n"], "-glob takes pairs like t1n=*_T1.nii.gz, not 't1n'"),
        (["-channels", "t2f=FLAIR"], "-channels or -glob names t2f, and the reference has t1n"),
        (["-channels", "t1n=MP2RAGE"], "holds no scan in layout bids"),
        (["-where", "group=control"], "participants.tsv does not exist"),
        (["-where", "group"], "-where takes pairs like group=control, not 'group'"),
        (["-subjects", "missing.txt"], "missing.txt does not exist; -subjects takes a file"),
        (
            ["-layout", "folder", "-glob", "t1n=*/anat/*_T1w.nii.gz", "-session", "1"],
            "-session means nothing in layout folder; leave it out, or choose -layout bids",
        ),
        (["-n4"], "The bias field of Dataset501_Real is not corrected as far as its dataset.json says"),
        (["-session", "late"], "holds no scan in layout bids"),
        (["-glob", "t1n=*_T1.nii.gz"], "-glob means nothing in layout bids; leave it out, or choose -layout folder"),
        (["-reference", "777"], "There is no dataset 777"),
        (["-reference", "missing.nii.gz"], "missing.nii.gz does not exist"),
        (["-reference", "head.nii.gz"], "shows more than a brain"),
        (["-reference", "brain.nii.gz", "-f", "0"], "-f goes with a dataset as -reference"),
        (["-d", "501"], "There is a dataset Dataset501_Real already"),
        (["-d", "0"], "A dataset's number goes from 1 to 999"),
        (["-name", "a b"], "A dataset cannot be called 'a b'"),
        (["-name", "a/b"], "A dataset cannot be called 'a/b'"),
        (["-strip", "synthstrip"], "-strip synthstrip needs synthstrip, which is not installed"),
    ],
)
def test_what_cannot_be_done_is_said(convert, bids, tmp_path, capsys, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    head = sitk.GetImageFromArray(np.ones((30, 30, 30), np.float32))
    sitk.WriteImage(head, str(tmp_path / "head.nii.gz"))
    (tmp_path / "empty.txt").write_bytes(b"# nobody\n")
    before = set(tree(tmp_path / "nnUNet_raw"))
    assert convert(*options) == 2
    assert sentence in capsys.readouterr().err
    assert set(tree(tmp_path / "nnUNet_raw")) == before


def test_when_nothing_can_be_used(convert, bids, capsys):
    for index in range(PEOPLE):
        damage(scan_of(bids, index), "cut")
    assert convert() == 2
    said = capsys.readouterr().err
    assert f"None of the {PEOPLE} scans can be used, so there is no dataset:" in said
    assert all(f"bids_sub-{index}: " in said for index in range(PEOPLE))
    assert not made().exists()  # its number is free
    assert convert("-name", "Other") == 2
    assert "so there is no dataset" in capsys.readouterr().err


def test_folders_without_a_scan_that_is_wanted_are_named(convert, bids, tmp_path, capsys):
    (tmp_path / "two.txt").write_bytes(b"sub-0\nsub-1\n")
    for name in ("sub-1/func/sub-1_bold.nii.gz", "old/scan.nii.gz"):
        (bids / name).parent.mkdir()
        shutil.copy(scan_of(bids, 0), bids / name)
    assert convert("-subjects", tmp_path / "two.txt") == 0
    names = [bids / "old", bids / "sub-1" / "func"]  # not sub-2, who is not wanted
    listed = "\n".join(f"  {name}" for name in names)
    assert f"Passed over, since no scan of t1n is recognised in them:\n{listed}\n" in capsys.readouterr().out
    assert read_json(made() / "passed_over.json", "") == [str(name) for name in names]
