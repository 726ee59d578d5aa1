"""Plans for networks small enough for a CPU. They share the preprocessed data of the plans they are made of."""

from collections.abc import Sequence
from typing import Any

from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.work import read_json, write_json

NAME = "nnUNetPlansTiny"
TINY_FEATURES = (8, 16, 32)


def write_tiny_plans(dataset: Dataset, source: str = "nnUNetPlans", name: str = NAME, patch: int = 24) -> None:
    """Writes <name>.json beside the plans it shrinks: an epoch takes seconds."""
    write_small_plans(dataset, source, name, (patch,) * 3, TINY_FEATURES, convolutions=1)


def write_small_plans(
    dataset: Dataset, source: str, name: str, patch: Sequence[int], features: Sequence[int], convolutions: int = 2
) -> None:
    """Writes <name>.json, for all configurations of `source` that have a network of their own.

    Args:
        dataset: planned by nnU-Net already
        source: the plans to shrink; `name` may be the same
        name: of the new plans
        patch: (Z, Y, X) voxels; 2d configurations take the last two
        features: of each stage; every stage after the first halves the resolution
        convolutions: of each stage
    """
    plans = read_json(dataset.preprocessed / f"{source}.json", f"plan {dataset.name} first.")
    plans["plans_name"] = name
    for settings in plans["configurations"].values():
        if "architecture" in settings:
            _shrink(settings, list(patch), list(features), convolutions)
    write_json(dataset.preprocessed / f"{name}.json", plans)


def _shrink(settings: dict[str, Any], patch: list[int], features: list[int], convolutions: int) -> None:
    dimensions = len(settings["patch_size"])
    settings["patch_size"] = patch[-dimensions:]
    settings["batch_size"] = 2
    architecture = settings["architecture"]["arch_kwargs"]
    stages = len(features)
    blocks = "n_blocks_per_stage" if "n_blocks_per_stage" in architecture else "n_conv_per_stage"
    architecture |= {
        "n_stages": stages,
        "features_per_stage": features,
        "kernel_sizes": [[3] * dimensions] * stages,
        "strides": [[1] * dimensions] + [[2] * dimensions] * (stages - 1),
        blocks: [convolutions] * stages,
        "n_conv_per_stage_decoder": [convolutions] * (stages - 1),
    }
