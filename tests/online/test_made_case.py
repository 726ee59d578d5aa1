"""A case in memory is what nnU-Net would store of the finished one."""

import numpy as np
import pytest
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.online.case_source import CaseMaker
from nnunetv2_tf.online.made_case import locations, made_case
from nnunetv2_tf.synthesis.case_maker import edited_site
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.placing_pools import hosts_for
from tests.synthesis.making import make_set
from tests.workspace import HEALTHY, Workspace


def makers(workspace: Workspace, method: str, healthy: bool) -> CaseMaker:
    cohort = Cohort(workspace.dataset, workspace.plan(), 0, HEALTHY if healthy else None)
    selected = find_method(method)
    return CaseMaker(hosts_for(selected, cohort, 0, {}, 1), selected, None)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "healthy"), [("carvemix", False), ("tumorcp", False), ("syntumor", True)])
def test_a_case_is_that_of_a_set_with_the_same_seed(with_healthy: Workspace, method, healthy):
    part = make_set(with_healthy, method=method, num_cases=3, healthy="601" if healthy else None)
    maker = makers(with_healthy, method, healthy)
    folder = str(part.preprocessed(with_healthy.plan().data_identifier))
    stored = infer_dataset_class(folder)(folder)
    for entry in part.manifest().accepted:
        assert entry.line is not None
        image, seg, _, properties = stored.load_case(entry.case)
        case = maker.make(entry.line)
        sidecar = part.sidecar(entry.case)
        assert (case.host, case.donors) == (sidecar.host, sidecar.donors or case.donors)
        assert np.array_equal(case.seg, np.asarray(seg))
        assert np.abs(case.image - np.asarray(image)).max() < 0.02  # what files round away
        found = locations(case.seg, with_healthy.plan())
        assert {key: len(places) for key, places in found.items()} == {
            key: len(places) for key, places in properties["class_locations"].items()
        }


@pytest.mark.parametrize("scene", ["CT with gas"], indirect=True)
def test_values_of_ct_stay_within_nnunets_limits(scene):
    task = scene.task(0, 1, "carvemix")
    host = task.host.open()
    built, edited = edited_site(task, host)
    edited.image.clamp_(min=-1e6)[:] *= 5
    image = made_case(0, task.line.donors, host, built, edited).image
    low, high = ((limit - 50.0) / 60.0 for limit in (-150.0, 250.0))
    assert image.min() >= low - 1e-6
    assert image.max() <= high + 1e-6
