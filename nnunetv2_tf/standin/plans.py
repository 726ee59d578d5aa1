"""Plans for networks small enough for a CPU. In: a dataset's plans. Out: plans that share their preprocessed data."""

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.working_space.network_plans import write_plans_with

NAME = "nnUNetPlansTiny"


def write_tiny_plans(
    dataset: Dataset, source: str = "nnUNetPlans", name: str = NAME, patch: int = 24, width: int = 8
) -> None:
    """Write <name>.json beside the plans it shrinks; with these an epoch takes seconds."""
    write_plans_with(dataset, source, name, (patch,) * 3, (width, 2 * width, 4 * width), convolutions=1)
