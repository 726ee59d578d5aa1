"""README's way from raw folders to a model trained with TF-GAN's tumours, and the guides' TF-Aug and own method."""

from pathlib import Path

import pytest

from nnunetv2_tf.conversion.brats.labels import MODALITIES
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.standin.brains import Brains
from tests.conftest import enter
from tests.conversion.people import research
from tests.documentation.blocks import ADULTS, commands, new_workspace, run, shortened, write_healthy

pytestmark = pytest.mark.exhaustive

LINES = [
    *commands("README", "From raw folders to a trained model"),
    *commands("guide/online", "New cases in every batch"),
    *commands("guide/enrich", "All in one command"),
    *commands("guide/methods/tf_aug", "TF-Aug: from maps to images"),
    *commands("guide/where_tumours_go", "Where tumours go"),
    *commands("guide/methods/tumorcp", "TumorCP"),
    *commands("guide/methods/pix2pix", "Pix2Pix"),
    *commands("guide/methods/freetumor", "FreeTumor"),
    *commands("guide/methods/freetumor", "Unlabelled scans"),
    *commands("guide/pseudo_labels", "Unlabelled scans as donors"),
    *commands("guide/methods/difftumor", "DiffTumor"),
    *commands("guide/methods/syntumor", "SynTumor"),
    *commands("guide/methods/your_own", "A method of your own"),
]


def test_the_way(tmp_path: Path):
    workspace = new_workspace(tmp_path, Brains(**ADULTS, channel_names=MODALITIES))
    write_healthy(tmp_path, research())
    for line in dict.fromkeys(LINES):
        words = shortened(line)
        asked = {"freetumor", "--pseudolabel", "-pseudolabelled"}  # what a baseline finds, and one of an epoch nothing
        run(workspace, words, expect=2 if asked & set(words) else 0)
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        for name in ("ea100", "ta100", "tf100", "tcp100", "tcph100", "syn100", "pp100", "dt100", "dtsmall", "own100"):
            assert len(SetPart(workspace.dataset, name, 0).manifest().accepted) == 4
        for name in ("plan", "place"):
            assert (SetPart(workspace.dataset, name, 0).folder / "preview.png").exists()
        assert (
            len(list((Dataset("Dataset602_More").preprocessed / "nnUNetPlans_from501_3d_fullres").glob("*.pkl"))) == 2
        )
        assert len(list((Dataset("Dataset601_Healthy").raw / "imagesTr").iterdir())) == 5
    folder = workspace.results / "TFEnrichedTrainer_tf100_1epochs_seed0__nnUNetPlans__3d_fullres" / "fold_0"
    assert (folder / "validation" / "summary.json").exists()
    assert (workspace.results / "TFEnrichedTrainer_ea100_1epochs_seed0__nnUNetPlans__3d_fullres" / "fold_0").is_dir()
