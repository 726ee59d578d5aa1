"""Hosts whose files have changed are named."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nnunetv2_tf.dataset.cases import case_digest
from nnunetv2_tf.dataset.provenance import Sidecar
from nnunetv2_tf.synthesis.sources import first_changed
from nnunetv2_tf.working_space.stored import Case
from tests.scenes import Built


def copied(case: Case, folder: Path) -> Case:
    """With a label that a test may change."""
    folder.mkdir()
    label = Path(shutil.copy(case.files.label, folder))
    return replace(case, files=replace(case.files, label=label))


@pytest.fixture
def hosts(scene: Built, tmp_path) -> dict[str, Case]:
    first, second = scene.cases[:2]
    return {"h": copied(first, tmp_path / "one"), "i": copied(second, tmp_path / "other")}


def made_on(*names: str, hosts: dict[str, Case]) -> list[Sidecar]:
    return [
        Sidecar("s", 0, name, (), (), (), None, {name: case_digest(hosts[name].files)}, {}, 0, {}) for name in names
    ]


@pytest.mark.parametrize("changed", ["h", "i"])
def test_what_has_changed_is_named(hosts, changed: str):
    known = made_on("h", "i", "h", hosts=hosts)
    assert first_changed(known, hosts) is None
    label = hosts[changed].files.label
    label.write_bytes(gzip.compress(gzip.decompress(label.read_bytes()), 9, mtime=1))
    assert first_changed(known, hosts) == changed


def test_hosts_that_nothing_was_made_on_are_not_looked_at(hosts):
    known = made_on("h", hosts=hosts)
    hosts["i"].files.label.unlink()
    assert first_changed(known, hosts) is None
