"""How much room a benchmark will take on disk. In: the trainings that are yet to be done. Out: a sentence.

Cases are as large as the real ones are, in nnUNet_raw and nnUNet_preprocessed; a training leaves two checkpoints, each
with weights and the momentum of every one. What fits, predictions and logs take is little beside it, and not counted.
"""

import shutil
from collections.abc import Sequence

import torch

from nnunetv2_tf.baseline.checkpoint import built
from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.working_space.preprocess import STORED, Plan

CHECKPOINTS = 2  # final and best
PER_WEIGHT = 8  # bytes: its value and its momentum
GB = 1e9


def room_needed(trainings: Sequence[Training]) -> str:
    """Return a sentence about what these trainings, and the cases that they lack, will take."""
    if not trainings:
        return "Nothing more will be written."
    matrix, total, number = trainings[0].matrix, 0.0, 0
    for name in map(str, matrix.datasets):
        dataset, of_it = Dataset(name), [training for training in trainings if training.dataset.name == name]
        plan, cases = Plan.read(dataset, matrix.plans, matrix.configuration), _missing_cases(of_it)
        total += cases * _of_case(plan, dataset) + len(of_it) * _of_training(plan)
        number += cases
    free = shutil.disk_usage(trainings[0].dataset.preprocessed).free
    return (
        f"On disk about {total / GB:.3g} GB more, for {number} cases and {len(trainings)} trainings; "
        f"{free / GB:.3g} GB are free."
    )


def _missing_cases(trainings: Sequence[Training]) -> int:
    """Return how many cases the sets lack that trainings take from; those of a set are counted once."""
    lacking = {}
    for training in trainings:
        if training.set_name is not None:
            part = training.part
            there = len(part.manifest().accepted) if part.exists() else 0
            lacking[part.folder] = max(0, training.matrix.num_cases(training.arm) - there)
    return sum(lacking.values())


def _of_case(plan: Plan, dataset: Dataset) -> float:
    """Return the bytes of a real case, raw and preprocessed, in the mean."""
    arrays, sizes = dataset.preprocessed / plan.data_identifier, []
    for name, case in raw_cases(dataset).items():
        stored = [arrays / f"{name}{ending}" for ending in STORED]
        sizes.append(sum(path.stat().st_size for path in (*case.images, case.label, *stored) if path.exists()))
    return sum(sizes) / len(sizes)


def _of_training(plan: Plan) -> float:
    """Return the bytes of what a training leaves."""
    with torch.device("meta"):
        network = built({"plans": plan.plans, "configuration": plan.configuration, "dataset_json": plan.dataset_json})
    return CHECKPOINTS * PER_WEIGHT * sum(one.numel() for one in network.parameters())
