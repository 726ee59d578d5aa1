"""Handcrafted shapes in healthy hosts."""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.synthesis.placing_pools import ShapeHostPool
from nnunetv2_tf.tumours.recipe import DonorTumour
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.working_space.tissue import as_in
from tests.synthesis.making import cases_in, cohort_of, make_glowing
from tests.workspace import Workspace


def shape_hosts_of(workspace: Workspace, **sampling) -> ShapeHostPool:
    return ShapeHostPool(cohort_of(workspace), 0, SamplingConfig(**sampling))


def test_shapes_go_where_tumours_would_and_look_like_a_training_case(with_healthy: Workspace, tmp_path):
    pool = shape_hosts_of(with_healthy)
    lines = pool.lines(4)
    pool.check_lines(lines, tmp_path)
    with pytest.raises(UserError, match="names case_000 as donor, .* are shapes, shape_000 to shape_063"):
        pool.check_lines([replace(lines[0], tumours=(DonorTumour("case_000"),))], tmp_path)
    for line in lines:
        built = pool.site_builder(line).build(pool.cases[line.host].open(), with_donors=True)
        tumour = built.site.tumour
        assert set(np.unique(tumour)) > {0}
        assert not (tumour > 0)[~built.site.organ].any()
        assert built.controls["harmonised"]["to"] == pool.bank.like[line.donors[0]]
        model = pool.cohort.training[str(pool.bank.like[line.donors[0]])].open()
        for value in np.unique(model.tumour()[model.tumour() > 0]):
            host = pool.cases[line.host].open()
            wanted = as_in(model.image(), model, host)[:, model.tumour() == value].mean(axis=1)
            there = (built.site.donors[0].tumour == int(value)) & built.site.donors[0].organ
            np.testing.assert_allclose(built.site.donors[0].image[:, there].mean(dim=1), wanted, rtol=1e-4)


def test_shapes_like_a_case_are_not_used_where_that_case_is_not(with_healthy: Workspace):
    pool = shape_hosts_of(with_healthy)
    unused = sorted(pool.cohort.training)[0]
    used = pool.sampler_for(next(iter(pool.cases.values())), [unused]).bank
    assert used.lesions
    assert len(used.lesions) < len(pool.bank.lesions)
    assert unused not in {pool.bank.like[lesion.donor] for lesion in used.lesions}


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_shapes_need_no_labelled_tumour(preset, with_healthy: Workspace):
    pool = replace(shape_hosts_of(with_healthy), sampling=find_method("syntumor", preset).sampling)
    for case in pool.cohort.training.values():
        object.__setattr__(case, "roles", replace(case.roles, tumour=(9,)))
    line = pool.lines(1)[0]
    built = pool.site_builder(line).build(pool.cases[line.host].open(), with_donors=True)
    assert (built.site.tumour > 0).any()
    assert "harmonised" not in built.controls
    assert not built.site.donors[0].organ.any()
    with pytest.raises(UserError, match="No training case of this fold has a tumour"):
        _ = pool.cohort.bank


@pytest.mark.slow
def test_a_set_of_shapes_says_which_cases_it_comes_from(with_healthy: Workspace):
    part = make_glowing(with_healthy, "syn", num_cases=2, method="syntumor")
    for name in cases_in(part):
        sidecar = part.sidecar(name)
        assert sidecar.donors == ()
        assert set(sidecar.ancestors) == set(cohort_of(with_healthy).training)
        assert sidecar.controls["transforms"][0]["donor"].startswith("shape_")
