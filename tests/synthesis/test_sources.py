"""Scans whose files have changed are named; hosts and donors of one name are not mixed up."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nnunetv2_tf.dataset.cases import case_digest
from nnunetv2_tf.dataset.provenance import Sidecar
from nnunetv2_tf.synthesis.sources import digests_of, first_changed
from nnunetv2_tf.working_space.stored import Case
from tests.scenes import Built


def copied(case: Case, folder: Path) -> Case:
    """With a label that a test may change."""
    folder.mkdir()
    label = Path(shutil.copy(case.files.label, folder))
    return replace(case, files=replace(case.files, label=label))


@pytest.fixture
def scans(scene: Built, tmp_path) -> tuple[Case, Case]:
    first, second = scene.cases[:2]
    return copied(first, tmp_path / "host"), copied(second, tmp_path / "donor")


def sidecar(host: str, sources: dict[str, str]) -> Sidecar:
    return Sidecar("s", 0, host, (), (), (), None, sources, {}, 0, {})


def pack_anew(case: Case) -> None:
    label = case.files.label
    label.write_bytes(gzip.compress(gzip.decompress(label.read_bytes()), 9, mtime=1))


def test_each_scan_has_the_digest_of_its_files(scans):
    host, donor = scans
    found = digests_of({"h": host, "d": donor})
    assert found == {"h": case_digest(host.files), "d": case_digest(donor.files)}
    assert found["h"] != found["d"]


@pytest.mark.parametrize("changed", ["h", "d"])
def test_what_has_changed_is_named(scans, changed: str):
    host, donor = scans
    known = [sidecar("h", digests_of({"h": host})), sidecar("h", digests_of({"d": donor, "h": host}))]
    assert first_changed(known, {"h": host}, {"d": donor}) is None
    pack_anew(host if changed == "h" else donor)
    assert first_changed(known, {"h": host}, {"d": donor}) == changed


def test_a_host_may_have_a_donors_name(scans):
    host, donor = scans
    known = [sidecar("same", digests_of({"same": host})), sidecar("other", digests_of({"same": donor}))]
    assert first_changed(known, {"same": host}, {"same": donor}) is None
