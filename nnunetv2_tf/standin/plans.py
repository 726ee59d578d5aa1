"""Plans for networks so small that an epoch takes seconds on a CPU. They share nnU-Net's preprocessed data."""

from typing import Any

from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.work import read_json, write_json

NAME = "nnUNetPlansTiny"
FEATURES = [8, 16, 32]


def write_tiny_plans(dataset: Dataset, source: str = "nnUNetPlans", name: str = NAME, patch: int = 24) -> None:
    """Writes <name>.json beside the plans it shrinks."""
    plans = read_json(dataset.preprocessed / f"{source}.json", f"plan {dataset.name} first.")
    plans["plans_name"] = name
    for settings in plans["configurations"].values():
        if "architecture" in settings:
            _shrink(settings, patch)
    write_json(dataset.preprocessed / f"{name}.json", plans)


def _shrink(settings: dict[str, Any], patch: int) -> None:
    dimensions = len(settings["patch_size"])
    settings["patch_size"] = [patch] * dimensions
    settings["batch_size"] = 2
    architecture = settings["architecture"]["arch_kwargs"]
    stages = len(FEATURES)
    blocks = "n_blocks_per_stage" if "n_blocks_per_stage" in architecture else "n_conv_per_stage"
    architecture |= {
        "n_stages": stages,
        "features_per_stage": FEATURES,
        "kernel_sizes": [[3] * dimensions] * stages,
        "strides": [[1] * dimensions] + [[2] * dimensions] * (stages - 1),
        blocks: [1] * stages,
        "n_conv_per_stage_decoder": [1] * (stages - 1),
    }
