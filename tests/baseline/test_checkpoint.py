"""Which model may stand in for a fold's baseline, and which may not."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nnunetv2_tf.baseline.checkpoint import Baseline, unwrapped
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from tests.baseline.models import baseline
from tests.workspace import TINY, TRAINER, Workspace


def test_the_network_is_the_trained_one(trained: Workspace):
    model = baseline(trained)
    saved = torch.load(model.path, map_location="cpu", weights_only=False)["network_weights"]
    network = model.network()
    assert set(network.state_dict()) == set(saved)
    assert all(torch.equal(value, saved[name]) for name, value in network.state_dict().items())
    assert model.use.checkpoint_sha256 == file_digest(model.path)
    assert (model.use.trainer, model.use.plans, model.use.configuration) == (TRAINER, TINY, "3d_fullres")


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_names_of_wrapped_networks_are_understood(trained: Workspace, wrapper):
    model = baseline(trained)
    expected = model.network().state_dict()
    change(model, network_weights={f"{wrapper}{name}": value for name, value in expected.items()})
    assert all(torch.equal(value, expected[name]) for name, value in model.network().state_dict().items())
    assert unwrapped("encoder.module.x") == "encoder.module.x"


def change(model: Baseline, **entries) -> None:
    checkpoint = torch.load(model.path, map_location="cpu", weights_only=False)
    torch.save({**checkpoint, **entries}, model.path)


def arguments(model: Baseline, **entries) -> None:
    checkpoint = torch.load(model.path, map_location="cpu", weights_only=False)
    change(model, init_args={**checkpoint["init_args"], **entries})


def other_spacing(model: Baseline) -> None:
    path = model.dataset.preprocessed / f"{TINY}.json"
    plans = read_json(path, "")
    plans["configurations"]["3d_fullres"]["spacing"] = [3.0, 3.0, 3.0]
    write_json(path, plans)


def only_best(model: Baseline) -> None:
    model.path.rename(model.folder / "checkpoint_best.pth")


def nothing(model: Baseline) -> None:
    for path in model.folder.glob("checkpoint_*.pth"):
        path.unlink()


def cut_short(model: Baseline) -> None:
    model.path.write_bytes(model.path.read_bytes()[:5000])


def other_fold(model: Baseline) -> None:
    arguments(model, fold=1)


def other_dataset(model: Baseline) -> None:
    plans = torch.load(model.path, map_location="cpu", weights_only=False)["init_args"]["plans"]
    arguments(model, plans={**plans, "dataset_name": "Dataset777_Other"})


def other_channels(model: Baseline) -> None:
    path = model.dataset.raw / "dataset.json"
    write_json(path, read_json(path, "") | {"channel_names": {"0": "t2w"}})


def other_split(model: Baseline) -> None:
    names = [f"case_{index:03d}" for index in range(10)]
    write_json(model.dataset.preprocessed / "splits_final.json", [{"train": names[1:], "val": names[:1]}])


def with_a_set(model: Baseline) -> None:
    record = torch.load(model.path, map_location="cpu", weights_only=False)["tf_training"]
    change(model, tf_training={**record, "enrichment": {"set": "cm"}})


def other_network(model: Baseline) -> None:
    weights = torch.load(model.path, map_location="cpu", weights_only=False)["network_weights"]
    change(model, network_weights=dict(list(weights.items())[1:]))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (only_best, "checkpoint_final.pth does not exist, only checkpoint_best.pth: the training has not ended"),
        (nothing, f"checkpoint_final.pth does not exist; train it with: nnUNetv2_train .* 3d_fullres 0 -tr {TRAINER}"),
        (cut_short, "checkpoint_final.pth is damaged or no checkpoint of nnU-Net's"),
        (other_fold, "was trained as Dataset501_StandIns .* 3d_fullres 1, and stands in for .* 3d_fullres 0"),
        (other_dataset, "was trained as Dataset777_Other"),
        (other_channels, "was trained with channel_names .*t1n.*, and dataset.json has .*t2w"),
        (other_split, "trained and validated on other cases than splits_final.json has now"),
        (with_a_set, "was trained with synthetic cases; the baseline knows real ones only"),
        (other_spacing, "nnUNetPlansTiny has changed since .*checkpoint_final.pth was trained"),
        (other_network, "holds the weights of another network than nnUNetPlansTiny describe"),
    ],
)
def test_what_is_no_baseline_of_this_fold(trained: Workspace, spoil, sentence):
    model = baseline(trained)
    spoil(model)
    with pytest.raises(UserError, match=sentence):
        model.network()


def test_trainings_that_could_be_the_baseline_are_named(trained: Workspace):
    ended = baseline(trained).folder
    for name in ("TFBaselineTrainer_100epochs", "TFEnrichedTrainer_tf100", "nnUNetTrainer_5epochs"):
        shutil.copytree(ended, ended.parent.with_name(f"{name}__{TINY}__3d_fullres") / ended.name)
    (
        ended.parent.with_name(f"nnUNetTrainer_5epochs__{TINY}__3d_fullres") / ended.name / "checkpoint_final.pth"
    ).unlink()
    forgotten = replace(baseline(trained), trainer="TFBaselineTrainer")
    with pytest.raises(UserError, match=f"with -tr: TFBaselineTrainer_100epochs, {TRAINER}$"):
        forgotten.network()


def test_nnunets_own_trainers_keep_no_record(trained: Workspace):
    model = baseline(trained)
    checkpoint = dict(torch.load(model.path, map_location="cpu", weights_only=False))
    del checkpoint["tf_training"]
    torch.save(checkpoint, model.path)
    with pytest.raises(UserError, match="validation does not hold predictions of the cases that validate in this fold"):
        model.network()
    (model.folder / "validation").mkdir(exist_ok=True)
    for name in fold_split(trained.dataset, 0, [f"case_{index:03d}" for index in range(10)]).val:
        (model.folder / "validation" / f"{name}.nii.gz").touch()
    assert model.network()


class RunsCode:
    """What a checkpoint may hold so that reading it runs something."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.mark,))


def test_no_code_in_a_checkpoint_is_run_unless_it_is_trusted(trained: Workspace, tmp_path):
    model, mark = baseline(trained), tmp_path / "mark"
    change(model, surprise=RunsCode(mark))
    with pytest.raises(
        UserError, match=r"holds more than weights and numbers .*; nothing of it was. .*trust_checkpoint"
    ):
        model.network()
    assert not mark.exists()
    replace(model, trusted=True).network()
    assert mark.exists()


def test_numbers_of_numpy_in_nnunets_log_need_no_trust(trained: Workspace):
    model = baseline(trained)
    logged = {"mean_fg_dice": [np.float64(0.1), np.float32(0.2)], "epochs": np.arange(3), "done": np.bool_(True)}
    change(model, logging=logged)
    checkpoint = model.checkpoint()
    assert checkpoint["logging"]["mean_fg_dice"] == logged["mean_fg_dice"]
    np.testing.assert_array_equal(checkpoint["logging"]["epochs"], logged["epochs"])
