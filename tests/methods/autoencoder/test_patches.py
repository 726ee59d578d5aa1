"""Patches of patients and of healthy scans."""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.methods.autoencoder.patches import ScanPatches, Scans
from nnunetv2_tf.training.pool import Pool
from tests.scenes import Built

SIZE = (8, 8, 8)


def patches(scene: Built, **changes) -> ScanPatches:
    healthy = [replace(case, roles=replace(case.roles, tumour=(9,))) for case in scene.cases[2:]]  # tumours of nobody
    cases = [*scene.cases[:2], *healthy]
    settings = {"patients": 2, "real": 0.5, "centred": 1.0, "size": SIZE, "batch": 3, "seed": 4, **changes}
    return ScanPatches(Pool(Scans(cases), len(cases)), **settings)


def test_a_batch_depends_on_its_step_alone(scene: Built):
    one, again, other = (patches(scene)(step) for step in (4, 4, 5))
    for name, array in one.items():
        np.testing.assert_array_equal(array, again[name])
    assert one["image"].shape == (3, 1, *SIZE)
    assert one["place"].tolist() == [0, 1, 2]
    assert not np.array_equal(one["image"], other["image"])


@pytest.mark.parametrize(("real", "with_tumour"), [(1.0, 1.0), (0.0, 0.0), (0.5, 0.5)])
def test_so_many_are_of_patients_and_lie_around_tumours(scene: Built, real, with_tumour):
    drawn = [patches(scene, real=real)(step)["tumour"] for step in range(40)]
    share = np.mean([(patch > 0).any() for batch in drawn for patch in batch])
    assert share == pytest.approx(with_tumour, abs=0.12)


def test_without_healthy_scans_all_are_of_patients(scene: Built):
    only = patches(scene, real=0.0)
    only = replace(only, scans=Pool(Scans(scene.cases[:2]), 2))
    assert all((patch > 0).any() for step in range(10) for patch in only(step)["tumour"])


def test_a_scan_without_organ_is_seen_where_its_body_is(scene: Built):
    nowhere = replace(scene.cases[0], roles=replace(scene.cases[0].roles, tumour=(9,), organ=(9,)))
    piece = Scans([nowhere])(0)
    assert np.array_equal(piece["organ"], scene.cases[0].body())


def test_patches_that_are_shown_lie_around_tumours(scene: Built):
    drawn = [patches(scene).around_a_tumour(np.random.default_rng(index)) for index in range(10)]
    assert all((patch["tumour"] > 0).any() for patch in drawn)


def test_others_lie_anywhere_in_the_organ(scene: Built):
    drawn = [patches(scene, real=0.0, centred=0.0)(step) for step in range(20)]
    assert all(batch["organ"].any(axis=(1, 2, 3)).all() for batch in drawn)
    assert len({batch["image"].tobytes() for batch in drawn}) == 20
