"""Plans with another network. In: a dataset's plans. Out: plans that share their preprocessed data."""

from collections.abc import Sequence
from typing import Any

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import read_json, write_json


def write_plans_with(
    dataset: Dataset, source: str, name: str, patch: Sequence[int], features: Sequence[int], convolutions: int = 2
) -> None:
    """Write <name>.json, plans of another network for all that has one.

    Args:
        dataset: planned by nnU-Net already
        source: the plans to begin with; `name` may be the same
        name: of the new plans
        patch: as for `give_network`
        features: likewise
        convolutions: likewise
    """
    plans = read_json(dataset.preprocessed / f"{source}.json", f"plan {dataset.name} first.")
    give_network(plans, patch, features, convolutions)
    write_json(dataset.preprocessed / f"{name}.json", plans | {"plans_name": name})


def give_network(plans: dict[str, Any], patch: Sequence[int], features: Sequence[int], convolutions: int = 2) -> None:
    """Give another network to all configurations of plans that have one of their own.

    Args:
        plans: are changed
        patch: (Z, Y, X) voxels; 2d configurations take the last two
        features: number in each stage; every stage after the first halves the resolution
        convolutions: number in each stage
    """
    for settings in plans["configurations"].values():
        if "architecture" in settings:
            _give_network(settings, list(patch), list(features), convolutions)


def _give_network(settings: dict[str, Any], patch: list[int], features: list[int], convolutions: int) -> None:
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
