"""Folders of which nothing is used are named, once, however deep their scans lie."""

from pathlib import Path

from nnunetv2_tf.conversion.folders import files_below, listing, passed_over


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_the_topmost_folder_is_named(tmp_path: Path):
    write(tmp_path, "train/a/a-seg.nii.gz", "train/a/a-t1n.nii.gz", "train/b/b-t1n.nii.gz", "val/x/1/t1.nii.gz")
    write(tmp_path, "val/x/2/t1.NII.GZ", "notes/readme.txt", "dicom/1/i.dcm", "dicom/2/i.dcm", ".hidden/x.nii")
    used = [tmp_path / "train/a/a-seg.nii.gz", tmp_path / "train/a/a-t1n.nii.gz", tmp_path / "dicom/1"]
    passed = [path.relative_to(tmp_path).as_posix() for path in passed_over(tmp_path, used)]
    assert passed == ["dicom/2", "train/b", "val"]


def test_nothing_used_names_the_folders_and_not_what_the_user_named(tmp_path: Path, monkeypatch):
    write(tmp_path, "a/1.nii", "2.nii")
    monkeypatch.chdir(tmp_path)
    assert passed_over(Path(), ()) == [Path("a")]


def test_folders_of_one_name_share_a_line(tmp_path: Path):
    people = [Path(f"sub-{index:02d}") for index in range(12)]
    assert listing([person / "func" for person in people]) == "  func: 12 folders, first sub-00/func"
    lines = listing(people).splitlines()
    assert (lines[0], len(lines), lines[-1]) == ("  sub-00", 11, "  and 2 more")


def test_links_are_followed_and_circles_are_not(tmp_path: Path):
    write(tmp_path, "real/a.nii")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(tmp_path / "source")
    names = [path.relative_to(tmp_path / "source").as_posix() for path in files_below(tmp_path / "source")]
    assert names == ["link/a.nii"]
