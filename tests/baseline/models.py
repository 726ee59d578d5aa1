"""Short ways to name models in tests."""

from typing import Any

from nnunetv2_tf.baseline.checkpoint import Baseline
from tests.workspace import TINY, TRAINER, Workspace


def baseline(workspace: Workspace, **changes: Any) -> Baseline:
    """The one of the fixture `trained`, or another."""
    settings = {"trainer": TRAINER, "plans": TINY, "configuration": "3d_fullres", "fold": 0, **changes}
    return Baseline(workspace.dataset, **settings)
