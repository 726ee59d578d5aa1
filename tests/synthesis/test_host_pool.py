"""Patients as hosts whose donors' tumours stay in place: which lines they get, how sites are built in them."""

import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.host_pool import RealHostPool
from nnunetv2_tf.synthesis.site_builder import RealSiteBuilder
from nnunetv2_tf.tumours.recipe import DonorTumour, RecipeLine, draw_line
from tests.scenes import Built


def real_hosts_of(scene: Built, seed: int) -> RealHostPool:
    return RealHostPool(Cohort(scene.dataset, scene.plan, 0), seed)


def test_lines_with_real_hosts_are_those_of_the_seed(scene: Built):
    pool = real_hosts_of(scene, 5)
    lines = pool.lines(6)
    assert lines == [draw_line(pool.cohort.names, 5, index) for index in range(6)]
    assert pool.lines(2) == lines[:2]
    assert real_hosts_of(scene, 6).lines(6) != lines
    assert pool.cases == pool.cohort.training
    assert pool.settings == {}


def test_a_real_host_is_given_its_lines_donors(scene: Built):
    pool = real_hosts_of(scene, 5)
    for line in pool.lines(4):
        builder = pool.site_builder(line)
        assert isinstance(builder, RealSiteBuilder)
        assert builder.line == line
        assert builder.donors == {name: pool.cohort.training[name] for name in line.donors}


def test_lines_of_a_given_recipe_name_cases_of_the_fold(scene: Built, tmp_path):
    pool = real_hosts_of(scene, 5)
    pool.check_lines(pool.lines(4), tmp_path)
    validating = RecipeLine(0, None, "case_004", (DonorTumour("case_000"),), 0)
    with pytest.raises(UserError, match="line 1 uses case_004, which does not train in this fold"):
        pool.check_lines([validating], tmp_path)
