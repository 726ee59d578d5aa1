"""Workspaces with unlabelled scans, made once and copied by each test that wants one."""

from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.quality.pseudo_labels import ComponentRules, chosen
from nnunetv2_tf.synthesis import pseudo_labels
from nnunetv2_tf.synthesis.pseudo_labels import PseudoLabelRequest, pseudolabel
from nnunetv2_tf.working_space.stored import OpenCase
from tests.conftest import Once, entered_copy, extended
from tests.synthesis.making import crop_of, volume
from tests.synthesis.unlabelled import write_more
from tests.workspace import TINY, TRAINER, Workspace

SPECK = 3  # voxels


@pytest.fixture(scope="session")
def unlabelled_template(trained_template: Workspace, once: Once) -> Workspace:
    """`trained_template` and two unlabelled scans, preprocessed; their hidden labels are in `truth`."""

    return extended(once, "unlabelled", trained_template, lambda copy: write_more(copy.root / "truth"))


@pytest.fixture(scope="session")
def labelled_template(unlabelled_template: Workspace, once: Once) -> Workspace:
    """The same, with labels as a good baseline would find them: that of two steps finds nothing.

    It is sure of the tumours, and not of something else in a corner.
    """
    truth = unlabelled_template.root / "truth"

    def found(_, case: OpenCase):
        tumour = volume(truth / f"{case.identifier}.nii.gz")[crop_of(case)].astype(np.int16)
        sure = np.where(tumour > 0, 1.0, 0.0)
        tumour[:, -SPECK:, :SPECK], sure[:, -SPECK:, :SPECK] = 2, 0.5
        return chosen(tumour, sure, case.grid.affine, ComponentRules(min_ml=0.0), lambda _: 1.0)

    def label(copy: Workspace) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pseudo_labels._Labeller, "_predicted", found)
            pseudolabel(PseudoLabelRequest(copy.id, "602", (0,), plans=TINY, trainer=TRAINER))

    return extended(once, "labelled", unlabelled_template, label)


@pytest.fixture
def unlabelled(unlabelled_template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `unlabelled_template`, with the environment set to it."""
    return entered_copy(unlabelled_template, tmp_path, monkeypatch)


@pytest.fixture
def labelled_scans(labelled_template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `labelled_template`, with the environment set to it."""
    return entered_copy(labelled_template, tmp_path, monkeypatch)
