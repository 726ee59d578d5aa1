"""How much room a benchmark will take on disk. In: the trainings that are yet to be done. Out: a sentence.

Cases are as large as the real ones are, in nnUNet_raw and nnUNet_preprocessed, healthy scans in the latter; a training
leaves two checkpoints, each with weights and the momentum of every one. Pools of online trainings are said apart, since
they go with them. What fits, predictions and logs take, and what is kept of hosts only to be faster, is not counted.
"""

import shutil
from collections.abc import Sequence

import numpy as np
import torch

from nnunetv2_tf.baseline.checkpoint import built
from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.arguments import KEPT_GB
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.online.case_pool import ANEW, SIZE
from nnunetv2_tf.working_space.healthy import healthy_identifier
from nnunetv2_tf.working_space.preprocess import STORED, Plan, is_stored

CHECKPOINTS = 2  # final and best
PER_WEIGHT = 8  # bytes: its value and its momentum
GB = 1e9


def room_needed(trainings: Sequence[Training]) -> str:
    """Return a sentence about what these trainings, and the cases that they lack, will take."""
    if not trainings:
        return "Nothing more will be written."
    matrix, total, number, scans = trainings[0].matrix, 0.0, 0, 0
    for name in map(str, matrix.datasets):
        dataset, of_it = Dataset(name), [training for training in trainings if training.dataset.name == name]
        plan, cases, healthy = Plan.read(dataset, matrix.plans, matrix.configuration), missing_cases(of_it), 0
        for hosts in {Dataset.find(str(one.arm.healthy)) for one in of_it if one.arm.healthy is not None}:
            healthy += missing_scans(hosts, dataset, plan)
        raw, stored = _of_case(plan, dataset)
        total += cases * (raw + stored) + healthy * stored + len(of_it) * bytes_of_training(plan)
        number, scans = number + cases, scans + healthy
    free = shutil.disk_usage(trainings[0].dataset.preprocessed).free
    return (
        f"On disk about {total / GB:.3g} GB more, for {number} cases, {scans} healthy scans and {len(trainings)} "
        f"trainings (besides up to {KEPT_GB:g} GB a dataset, kept to be faster); {free / GB:.3g} GB are free for "
        f"nnUNet_preprocessed.{_room_of_pools(trainings)}"
    )


def _room_of_pools(trainings: Sequence[Training]) -> str:
    """Return a sentence about the pools of online trainings, with a space before it; nothing where none has one."""
    pooled = [
        one
        for one in trainings
        if one.arm.online and not find_method(str(one.arm.method), one.arm.preset).method_class.quick
    ]
    if not pooled:
        return ""
    whose = " or ".join(sorted({str(one.arm.method) for one in pooled}))
    largest = max(_of_pool(Plan.read(one.dataset, one.matrix.plans, one.matrix.configuration)) for one in pooled)
    return f" An online training with {whose} keeps up to {largest / GB:.3g} GB there while it runs."


def missing_cases(trainings: Sequence[Training]) -> int:
    """Return how many cases the sets lack that trainings take from; those of a set are counted once."""
    lacking = {}
    for training in trainings:
        if training.set_name is not None:
            part = training.part
            there = len(part.manifest().accepted) if part.exists() else 0
            lacking[part.folder] = max(0, training.matrix.num_cases(training.arm) - there)
    return sum(lacking.values())


def missing_scans(healthy: Dataset, dataset: Dataset, plan: Plan) -> int:
    """Return how many healthy scans have yet to be preprocessed by a labelled dataset's plans."""
    identifier = healthy_identifier(dataset, str(plan.plans["plans_name"]), plan.configuration)
    return sum(not is_stored(healthy.preprocessed / identifier, case) for case in raw_cases(healthy))


def _of_case(plan: Plan, dataset: Dataset) -> tuple[float, float]:
    """Return the bytes of a real case, raw and preprocessed, in the mean over those that are preprocessed."""
    arrays, raw, stored = dataset.preprocessed / plan.data_identifier, [], []
    for name, case in raw_cases(dataset).items():
        if is_stored(arrays, name):
            stored.append(sum((arrays / f"{name}{ending}").stat().st_size for ending in STORED))
            raw.append(sum(path.stat().st_size for path in (*case.images, case.label)))
    if not raw:
        raise UserError(
            f"No case of {dataset.name} is preprocessed by {plan.plans['plans_name']}, so that nobody knows how large "
            "one is; run nnUNetv2_preprocess."
        )
    return sum(raw) / len(raw), sum(stored) / len(stored)


def _of_pool(plan: Plan) -> float:
    """Return the bytes of an online training's pool before it is compressed, with the cases that come next."""
    voxels = np.prod(plan.manager.median_image_size_in_voxels)
    channels = len(plan.dataset_json["channel_names"])
    return (SIZE + ANEW) * float(voxels) * (channels * np.float32().itemsize + np.int16().itemsize)


def bytes_of_training(plan: Plan) -> float:
    """Return the bytes of what a training leaves."""
    with torch.device("meta"):
        network = built({"plans": plan.plans, "configuration": plan.configuration, "dataset_json": plan.dataset_json})
    return CHECKPOINTS * PER_WEIGHT * sum(one.numel() for one in network.parameters())
