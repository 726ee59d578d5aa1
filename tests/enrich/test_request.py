"""What can be asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.enrich.request import EnrichRequest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.standin.brains import healthy
from tests.workspace import HEALTHY, TINY, Workspace

WANTED = EnrichRequest(
    dataset="501", configuration="3d_fullres", folds=(0,), healthy="601", num_cases=2, method="tf_aug",
    preset="default", set_name="tfaug2", raw_brats=(), raw_healthy=(), modalities=("t1n",), source=None,
    plans=TINY, spacing=None, trainer="TFBaselineTrainer_1epochs_seed0", enriched_trainer=None, train=False,
    device="cpu", num_processes=1, seed=0, kept_gb=1.0, keep=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"set_name": "p50"}, "cannot be called 'p50'"),
        ({"trainer": "nnUNetTrainer"}, "its name begins with TFBaselineTrainer"),
        ({"trainer": "TFBaselineTrainer_seed0_1epochs"}, "use -tr TFBaselineTrainer_1epochs_seed0"),
        ({"enriched_trainer": "TFEnrichedTrainer_other"}, "does not train with set tfaug2"),
        ({"enriched_trainer": "TFEnrichedTrainer_tfaug2_n3"}, "takes 3 cases, and -num_cases is 2"),
        ({"healthy": None}, "name their dataset with -healthy"),
        ({"method": "carvemix"}, "leave -healthy and -raw_healthy out"),
        ({"spacing": (3.0,) * 3, "plans": "nnUNetPlans"}, "a name of their own"),
        ({"enriched_trainer": "TFEnrichedTrainer_1epochs"}, "does not train with set tfaug2"),
        ({"spacing": (3.0,) * 3, "plans": "nnUNetResEncUNetMPlans"}, "a name of their own"),
        ({"spacing": (3.0, 0.0, 3.0), "plans": "coarse"}, "three numbers above 0"),
        ({"spacing": (3.0,) * 3}, "has a spacing of 1 1 1 mm"),
        ({"plans": "whatever"}, "has no plans whatever"),
        ({"method": "tf_og"}, "There is no method tf_og"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_begins(workspace: Workspace, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        replace(WANTED, **changes).check()


def test_healthy_scans_of_other_channels_are_refused_before_anything_begins(workspace: Workspace):
    healthy().write_dataset(HEALTHY.raw, 1, seed=5, prefix="person")
    WANTED.check()
    write_json(
        HEALTHY.raw / "dataset.json", {**read_json(HEALTHY.raw / "dataset.json", ""), "channel_names": {"0": "t2w"}}
    )
    with pytest.raises(UserError, match="has the channels t2w, and Dataset501_StandIns has t1n"):
        WANTED.check()


def test_datasets_that_are_yet_to_be_made_have_whole_names(workspace: Workspace):
    raw = (Path("somewhere"),)
    assert WANTED.labelled_dataset == workspace.dataset
    made = replace(WANTED, dataset="Dataset777_New", raw_brats=raw)
    assert made.labelled_dataset == Dataset("Dataset777_New")
    assert replace(WANTED, raw_brats=raw).labelled_dataset == workspace.dataset  # it was made before
    with pytest.raises(UserError, match="777 is yet to be made; give it its whole name"):
        replace(made, dataset="777").labelled_dataset  # noqa: B018


@pytest.mark.parametrize(
    ("method", "healthy", "expected"),
    [("tf_aug", "601", True), ("carvemix", None, False), ("tumorcp", None, False), ("tumorcp", "601", True)],
)
def test_methods_that_serve_both_kinds_of_hosts_take_healthy_ones_where_some_are_named(method, healthy, expected):
    assert replace(WANTED, method=method, healthy=healthy).in_healthy is expected
