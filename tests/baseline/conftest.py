from pathlib import Path

import pytest

from nnunetv2_tf.baseline.checkpoint import Baseline
from tests.conftest import enter
from tests.workspace import TINY, Workspace

TRAINER = "TFBaselineTrainer_1epochs_seed0"


@pytest.fixture(scope="session")
def trained_template(template: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """`template` with a baseline of a few steps for fold 0; not to be changed."""
    copy = template.copy(tmp_path_factory.mktemp("trained"))
    with pytest.MonkeyPatch.context() as patch:
        enter(copy, patch)
        copy.trainer(TRAINER).run_training()
    return copy


@pytest.fixture
def trained(trained_template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `trained_template`, with the environment set to it."""
    copy = trained_template.copy(tmp_path)
    enter(copy, monkeypatch)
    return copy


def baseline(workspace: Workspace, **changes) -> Baseline:
    settings = {"trainer": TRAINER, "plans": TINY, "configuration": "3d_fullres", "fold": 0, **changes}
    return Baseline(workspace.dataset, **settings)
