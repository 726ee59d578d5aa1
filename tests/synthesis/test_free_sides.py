"""Patients as hosts, for measuring: tumours keep away from their own, and nothing that trains can find the cases."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.sets.store import all_parts
from nnunetv2_tf.synthesis import free_sides
from nnunetv2_tf.synthesis.free_sides import FreeSidePart, FreeSidePool
from nnunetv2_tf.working_space import free_side
from nnunetv2_tf.working_space.free_side import FreeSide
from tests.synthesis.making import healthy_hosts_of, make_glowing, make_set
from tests.workspace import Workspace

AWAY = 2.0  # mm: these heads are small


@pytest.fixture(autouse=True)
def small_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_side, "AWAY", AWAY)
    monkeypatch.setattr(free_sides, "LEAST_INSIDE", 0.3)


def pool_of(workspace: Workspace) -> FreeSidePool:
    hosts = healthy_hosts_of(workspace)
    return FreeSidePool(hosts.cohort, hosts.seed, hosts)


def measured(workspace: Workspace, name: str) -> MeasuredSet:
    return MeasuredSet.of(workspace.dataset, name, 0, 1, "cpu")


def test_all_patients_are_hosts_where_they_are_free(with_healthy: Workspace):
    pool = pool_of(with_healthy)
    split = fold_split(with_healthy.dataset, 0, [f"case_{index:03d}" for index in range(10)])
    assert set(pool.cases) == {*split.train, *split.val}
    for case in pool.cases.values():
        assert isinstance(case, FreeSide)
        opened = case.open()
        away = np.asarray(distance_transform_edt(opened.tumour() == 0, sampling=opened.grid.spacing))
        assert away[opened.organ()].min() > AWAY
        assert opened.organ().any()


def test_donors_are_training_cases_of_other_people(with_healthy: Workspace):
    pool = pool_of(with_healthy)
    lines = pool.lines(6)
    assert [line.index for line in lines] == list(range(len(lines)))
    assert lines == pool_of(with_healthy).lines(6)
    training = set(pool.cohort.training)
    for line in lines:
        assert line.real_host in pool.cases
        assert set(line.donors) <= training - {line.real_host}


@pytest.mark.slow
@pytest.mark.parametrize("healthy", [True, False])
def test_cases_lie_where_nobody_trains(with_healthy: Workspace, healthy):
    part = make_glowing(with_healthy) if healthy else make_set(with_healthy)
    made = list(measured(with_healthy, part.set_name).on_free_sides(4))
    assert made
    assert [other.set_name for other in all_parts(with_healthy.dataset)] == [part.set_name]
    free = FreeSidePart(with_healthy.dataset, part.set_name, 0)
    assert free.exists()
    assert ".figures" in str(free.preprocessed("x"))
    for one in made:
        assert (one.tumour > 0).any()
        host = measured(with_healthy, part.set_name).real[one.host].open()
        own = host.tumour() > 0
        assert not (own & (one.tumour > 0)).any()
        np.testing.assert_array_equal(one.case.label()[own], host.label()[own])
    times = {path: path.stat().st_mtime_ns for path in free.folder.rglob("*.nii.gz")}
    list(measured(with_healthy, part.set_name).on_free_sides(4))
    assert times == {path: path.stat().st_mtime_ns for path in free.folder.rglob("*.nii.gz")}
    list(measured(with_healthy, part.set_name).on_free_sides(2))  # another number is begun anew without asking
    assert len(list((free.folder / "labelsTr").iterdir())) <= 2
    assert len(list(part.preprocessed("nnUNetPlans_3d_fullres").glob("*.b2nd"))) == 8  # the set itself is all there
    part.remove()
    assert not free.folder.exists()
    assert not free.arrays.exists()
