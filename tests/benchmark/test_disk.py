"""How much room a benchmark will take, against files that are there."""

import re
import shutil
from typing import Any

import numpy as np
import pytest
import torch

from nnunetv2_tf.baseline.checkpoint import built
from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.disk import room_needed
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.io.errors import UserError
from tests.benchmark.examples import CARVEMIX, NNUNET, matrix
from tests.synthesis.making import make_set
from tests.workspace import HEALTHY, Workspace, stored


def said(trainings) -> tuple[float, int, int]:
    """Gigabytes, cases and trainings of the sentence."""
    sentence = r"On disk about (\S+) GB more, for (\d+) cases, \d+ healthy scans and (\d+) trainings \("
    found = re.match(sentence, room_needed(trainings))
    assert found is not None
    return float(found[1]), int(found[2]), int(found[3])


def test_cases_are_as_large_as_real_ones_and_trainings_as_their_checkpoints(workspace: Workspace):
    plain, carvemix = matrix(NNUNET, CARVEMIX).trainings()
    plan = workspace.plan()
    network = built({"plans": plan.plans, "configuration": plan.configuration, "dataset_json": plan.dataset_json})
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.99)
    torch.stack([one.sum() for one in network.parameters()]).sum().backward()
    optimiser.step()
    state = [one["momentum_buffer"] for one in optimiser.state_dict()["state"].values()]
    checkpoint = sum(one.numel() * one.element_size() for one in (*network.parameters(), *state))
    alone, cases, number = said([plain])
    assert (cases, number) == (0, 1)
    assert alone * 1e9 == pytest.approx(2 * checkpoint, rel=0.01)
    both, cases, number = said([plain, carvemix])
    assert (cases, number) == (4, 2)
    files = [path for case in raw_cases(workspace.dataset).values() for path in (*case.images, case.label)]
    files += (workspace.dataset.preprocessed / plan.data_identifier).iterdir()
    case = sum(path.stat().st_size for path in files) / len(raw_cases(workspace.dataset))
    assert (both - 2 * alone) * 1e9 == pytest.approx(4 * case, rel=0.02)


def test_what_is_there_is_not_counted(workspace: Workspace):
    _, carvemix = matrix(NNUNET, CARVEMIX).trainings()
    make_set(workspace, carvemix.part.set_name, 4, seed=0)
    assert said([carvemix])[1] == 0
    assert room_needed([]) == "Nothing more will be written."


def test_healthy_scans_that_are_not_preprocessed_yet_count(with_healthy: Workspace):
    syntumor = Arm("syntumor", "syntumor", healthy=601, num_cases=1)
    (training,) = matrix(syntumor, baseline="syntumor").trainings()
    assert " 0 healthy scans " in room_needed([training])
    scans = len(raw_cases(HEALTHY))
    shutil.rmtree(next(HEALTHY.preprocessed.glob("*_3d_fullres")))
    assert f" {scans} healthy scans " in room_needed([training])


def test_before_anything_is_preprocessed_nobody_knows(workspace: Workspace):
    shutil.rmtree(workspace.dataset.preprocessed / workspace.plan().data_identifier)
    with pytest.raises(UserError, match="No case of .* is preprocessed by nnUNetPlansTiny"):
        room_needed(list(matrix(NNUNET).trainings()))


def test_pools_are_said_apart(with_healthy: Workspace):
    quick, pooled = (Arm(name, name, healthy=601, online=True) for name in ("syntumor", "freetumor"))
    one, other = matrix(quick, pooled, baseline="syntumor").trainings()
    assert "while it runs" not in room_needed([one])
    found = re.search(r"training with freetumor keeps up to (\S+) GB there while it runs\.$", room_needed([one, other]))
    assert found is not None
    arrays: Any = stored(with_healthy.dataset.preprocessed / with_healthy.plan().data_identifier)
    voxels = np.median([np.prod(arrays[f"{case}_seg.b2nd"][0]) for case in raw_cases(with_healthy.dataset)])
    assert float(found[1]) * 1e9 == pytest.approx(40 * voxels * (4 + 2), rel=0.1)  # one channel, and labels
