"""The guide's way without a GPU: plans of a coarser spacing, called by -p in every command."""

from pathlib import Path

import pytest

from nnunetv2_tf.conversion.brats.labels import MODALITIES
from nnunetv2_tf.standin.brains import Brains
from tests.conversion.people import research
from tests.documentation.blocks import ADULTS, commands, new_workspace, run, shortened, write_healthy

pytestmark = pytest.mark.exhaustive

LINES = [
    *commands("README", "From raw folders to a trained model")[:2],  # both conversions
    *commands("guide/gpus_and_clusters", "Neither"),
]


def test_the_way(tmp_path: Path):
    workspace = new_workspace(tmp_path, Brains(**ADULTS, channel_names=MODALITIES))
    write_healthy(tmp_path, research())
    for line in LINES:
        run(workspace, shortened(line))
    folder = workspace.results / "TFEnrichedTrainer_ta20_1epochs__nnUNetPlans_3mm__3d_fullres" / "fold_0"
    assert (folder / "validation" / "summary.json").exists()
