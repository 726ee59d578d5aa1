"""What steps work on: raw folders, as they are and behind links."""

import os
from pathlib import Path

from nnunetv2_tf.enrich.inputs import of_folders


def digest_of(folder: Path) -> str:
    (value,) = of_folders("-raw_brats", [folder]).values()
    return value


def test_a_scan_that_changes_is_noticed_behind_links_too(tmp_path: Path):
    case = tmp_path / "archive" / "case_1"
    case.mkdir(parents=True)
    scan = case / "case_1-t1n.nii.gz"
    scan.write_bytes(b"one")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "case_1").symlink_to(case)
    for folder in (tmp_path / "archive", linked):
        before = digest_of(folder)
        (case / "notes.txt").write_text("no scan")
        (case / ".hidden").write_text("neither")
        assert digest_of(folder) == before
        os.utime(scan, ns=(1, scan.stat().st_mtime_ns + 10**9))
        assert digest_of(folder) != before


def test_a_link_to_what_is_above_ends(tmp_path: Path):
    (tmp_path / "scan.nii.gz").write_bytes(b"one")
    before = digest_of(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    assert digest_of(tmp_path) == before
