"""The baseline's checkpoint. In: dataset, trainer, plans, configuration, fold. Out: its network, after checks."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from nnunetv2_tf.dataset.cases import dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.dataset.provenance import BaselineUse
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.working_space.preprocess import DECIDING_IN_PLANS

WRAPPERS = ("module.", "_orig_mod.")  # what DDP and torch.compile put before names of weights
REAL_ONLY = ("TFBaselineTrainer", "nnUNetTrainer")  # how names of trainers on real cases begin
RECORD = "tf_training"  # our trainers' key in a checkpoint


@dataclass(frozen=True)
class Baseline:
    """An nnU-Net trained on the real cases of a fold, by the names nnU-Net gives it."""

    dataset: Dataset
    trainer: str
    plans: str
    configuration: str
    fold: Fold
    trusted: bool = field(default=False, compare=False)  # its checkpoint, even where it may run code

    @property
    def folder(self) -> Path:
        """The result folder that nnU-Net trained it in."""
        return self.dataset.model_fold(self.trainer, self.plans, self.configuration, self.fold)

    @property
    def path(self) -> Path:
        """The checkpoint at the end of training."""
        return self.folder / "checkpoint_final.pth"

    @property
    def use(self) -> BaselineUse:
        """What manifests say about it."""
        return BaselineUse(self.trainer, self.plans, self.configuration, file_digest(self.path))

    def network(self) -> nn.Module:
        """Return the network with its trained weights, on the CPU."""
        checkpoint = self.checkpoint()
        network = built(checkpoint["init_args"])
        weights = {unwrapped(name): value for name, value in checkpoint["network_weights"].items()}
        try:
            network.load_state_dict(weights)
        except RuntimeError:
            raise UserError(
                f"{self.path} holds the weights of another network than {self.plans} describe ({self.trainer} changes "
                "it); name a trainer with -tr that does not."
            ) from None
        return network

    def checkpoint(self) -> Mapping[str, Any]:
        """Read the checkpoint; raise when it is not that of this fold's baseline."""
        others = "" if self.path.exists() else self._other_baselines()
        checkpoint = read_checkpoint(self.path, f"{self._train}{others}", self.trusted)
        arguments = checkpoint["init_args"]
        used = (arguments["plans"]["dataset_name"], arguments["plans"]["plans_name"], arguments["configuration"],
                str(arguments["fold"]))  # fmt: skip
        asked = (self.dataset.name, self.plans, self.configuration, str(self.fold))
        if used != asked:
            raise UserError(
                f"{self.path} was trained as {' '.join(used)}, and stands in for {' '.join(asked)}; {self._train}"
            )
        trained_with, current = arguments["dataset_json"], dataset_json(self.dataset)
        for key in ("channel_names", "labels"):
            if trained_with.get(key) != current.get(key):
                raise UserError(
                    f"{self.path} was trained with {key} {trained_with.get(key)}, and dataset.json has "
                    f"{current.get(key)}; {self._train}"
                )
        plans = read_json(self.dataset.preprocessed / f"{self.plans}.json", "plan the dataset again.")
        if _deciding(plans, self.configuration) != _deciding(arguments["plans"], self.configuration):
            raise UserError(f"{self.plans} has changed since {self.path} was trained; {self._train}")
        self._check_same_cases(checkpoint.get(RECORD))
        return checkpoint

    @property
    def _train(self) -> str:
        where = f"{self.dataset.name} {self.configuration} {self.fold}"
        return f"train it with: nnUNetv2_train {where} -tr {self.trainer} -p {self.plans}"

    def _other_baselines(self) -> str:
        """Return which other trainings could be baselines, in words; empty if none could."""
        alike = self.folder.parent.parent.glob(f"*__{self.plans}__{self.configuration}/{self.folder.name}")
        trainers = {fold.parent.name.split("__")[0] for fold in alike if (fold / self.path.name).exists()}
        known = sorted(name for name in trainers if name.startswith(REAL_ONLY))
        return f", or name one that has ended with -tr: {', '.join(known)}" if known else ""

    def _check_same_cases(self, record: Mapping[str, Any] | None) -> None:
        """Raise when the model was trained by another split than the fold has now, or on synthetic cases.

        nnU-Net's own trainers keep no record; for them the cases in the folder `validation` tell the split.
        """
        split = fold_split(self.dataset, self.fold, raw_cases(self.dataset))
        if record is None:
            ending = dataset_json(self.dataset)["file_ending"]
            validated = {path.name.removesuffix(ending) for path in (self.folder / "validation").glob(f"*{ending}")}
            if validated != set(split.val):
                raise UserError(
                    f"{self.folder / 'validation'} does not hold predictions of the cases that validate in this fold, "
                    f"so that nobody knows what {self.path.name} was trained on; {self._train}"
                )
            return
        if record.get("enrichment") is not None:
            raise UserError(
                f"{self.path} was trained with synthetic cases; the baseline knows real ones only. Name another -tr."
            )
        if record.get("split") != split.digest:
            raise UserError(
                f"{self.path} trained and validated on other cases than splits_final.json has now; {self._train}"
            )


def read_checkpoint(path: Path, cure: str, trusted: bool = False, can_trust: bool = True) -> Mapping[str, Any]:
    """Read a finished training's checkpoint, of which nothing is executed unless it is trusted.

    Args:
        path: of the checkpoint
        cure: ends the error message when there is none
        trusted: whether it may hold anything that pickle can, code among it
        can_trust: whether who asks has an option for that
    """
    if not path.exists():
        unfinished = sorted(other.name for other in path.parent.glob("checkpoint_*.pth"))
        if unfinished:
            raise UserError(
                f"{path} does not exist, only {', '.join(unfinished)}: the training has not ended, and the best "
                "checkpoint is chosen on validation cases. Continue it with nnUNetv2_train ... --c."
            )
        raise UserError(f"{path} does not exist; {cure}")
    if not trusted and not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise UserError(
            f"PyTorch {torch.__version__} cannot read {path} without running what it may hold; pip install "
            f"'torch>=2.6'{', or add --trust_checkpoint' if can_trust else ''}."
        )
    try:
        with nullcontext() if trusted else torch.serialization.safe_globals(_numbers()):
            checkpoint = torch.load(path, map_location="cpu", weights_only=not trusted, mmap=True)
        if {"current_epoch", "init_args", "network_weights"} <= set(checkpoint):
            return checkpoint
    except Exception:  # whatever pickle and zip raise for a damaged file
        if not trusted:
            trust = "If you know where the file comes from, add --trust_checkpoint."
            _check_plain(path, trust if can_trust else cure[:1].upper() + cure[1:])
    raise UserError(f"{path} is damaged or no checkpoint of nnU-Net's; {cure}")


def _numbers() -> list[Any]:
    """Return what reading may build besides what torch allows: numpy's numbers and arrays, as in nnU-Net's log."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    older = [(scalar, "numpy.core.multiarray.scalar"), (array, "numpy.core.multiarray._reconstruct")]
    kinds = {type(np.dtype(kind)) for kind in np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"}
    return [scalar, array, *older, np.ndarray, np.dtype, *kinds]


def _check_plain(path: Path, cure: str) -> None:
    """Raise when a checkpoint holds more than weights and numbers, which unpickling could execute."""
    try:
        with torch.serialization.safe_globals(_numbers()):
            others = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # it is damaged, too
        return
    if others:
        raise UserError(
            f"{path} holds more than weights and numbers ({', '.join(sorted(others))}), which could run code when it "
            f"is read; nothing of it was. {cure}"
        )


def _deciding(plans: Mapping[str, Any], configuration: str) -> str:
    """Return a digest of the settings that decide the network's architecture and how its input is preprocessed."""
    settings = dict(PlansManager(dict(plans)).get_configuration(configuration).configuration)
    return digest(to_json([settings, {key: plans.get(key) for key in DECIDING_IN_PLANS}]))


def built(arguments: Mapping[str, Any]) -> nn.Module:
    """Return the network that nnU-Net's trainer builds from its arguments, with random weights."""
    manager = PlansManager(arguments["plans"])
    configuration = manager.get_configuration(arguments["configuration"])
    return get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        determine_num_input_channels(manager, configuration, arguments["dataset_json"]),
        manager.get_label_manager(arguments["dataset_json"]).num_segmentation_heads,
        allow_init=True,
        deep_supervision=True,
    )


def unwrapped(name: str) -> str:
    """Return the name of a weight without the prefixes of wrappers around the network."""
    for wrapper in (*WRAPPERS, *WRAPPERS):  # either may be around the other
        name = name.removeprefix(wrapper)
    return name
