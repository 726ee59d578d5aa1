"""nnU-Net's trainer, with seed and epochs in its name, checks of the split, and a log of the cases that are drawn."""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_tf.baseline.checkpoint import RECORD
from nnunetv2_tf.dataset.code_version import FILE, CodeVersion, code_version, write_code_versions
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, Split, check_groups_whole, ensure_splits
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import from_json, to_json
from nnunetv2_tf.sets.enrichment import EnrichmentRecord, TrainingRecord
from nnunetv2_tf.sets.names import TrainerOptions
from nnunetv2_tf.sets.sampling import Draw, describe_draws, with_tumour

CODE = "tf_code"  # our key in nnU-Net's checkpoint, beside RECORD


class Float32Loss(torch.nn.Module):
    """A loss of float32 outputs, in the midst of autocast: Dice sums over more voxels than bfloat16 can count."""

    def __init__(self, loss: torch.nn.Module, device_type: str) -> None:
        super().__init__()
        self.loss, self.device_type = loss, device_type

    def forward(self, output: Any, target: Any) -> torch.Tensor:
        """Return the loss of one output, or of the list of outputs at several resolutions."""
        with torch.autocast(self.device_type, enabled=False):
            return self.loss(
                [level.float() for level in output] if isinstance(output, list) else output.float(), target
            )


class TFBaselineTrainer(nnUNetTrainer):
    """The nnU-Net of a fold's real training cases: TFEnrichedTrainer without a set."""

    options = TrainerOptions()

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 (nnU-Net's signature)
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self.options.epochs is not None:
            self.num_epochs = self.options.epochs
            self.save_every = max(1, min(self.save_every, self.num_epochs // 20))  # so that --c finds something
        self.groups, self.split = Groups(), Split((), ())
        self.tumour: tuple[Sequence[int] | None, Sequence[int]] = (), ()
        self.synthetic_identifiers: frozenset[str] = frozenset()
        self.record: TrainingRecord | None = None
        self.record_of_checkpoint: dict | None = None
        self.code: list[CodeVersion] = []

    def initialize(self) -> None:
        """Seed the global random generators that nnU-Net uses, before the network's weights are initialised.

        On the CPU nnU-Net takes all cores, whatever OMP_NUM_THREADS says, and trainings side by side slow each other
        down many times over. Here the variable counts.
        """
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if self.device.type == "cpu" and threads.isdigit() and int(threads) > 0:
            torch.set_num_threads(int(threads))
        self._seed()
        super().initialize()

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """Return nnU-Net's datasets; refuse patients on both sides of the split, and --c with other cases."""
        with self.refusals():
            self.tumour = self._tumour_in_targets()
            self.groups = self._read_groups()
            if self.fold != "all":
                ensure_splits(self.tf_dataset, self.all_identifiers(), self.groups)
            training, validation = super().get_tr_and_val_datasets()
            self.split = Split(tuple(training.identifiers), tuple(validation.identifiers))
            check_groups_whole(self.split, self.groups, self.tf_dataset, self.fold)
            self.print_to_log_file(f"Real cases: {len(self.split.train)} train, {len(self.split.val)} validate.")
            training = self.with_synthetic_cases(training)
        return training, validation

    def with_synthetic_cases(self, training: Any) -> Any:
        """Return the dataset to train with; here the real cases only."""
        self.keep_record(None)
        return training

    def keep_record(self, enrichment: EnrichmentRecord | None) -> None:
        """Record which cases and code this training uses; refuse to continue one that used other cases."""
        self.record = TrainingRecord(self.split.digest, enrichment, self.options.precision)
        if self.current_epoch > 0:
            self.record.check_same(self.record_of_checkpoint)
        now = code_version()
        if self.current_epoch < self.num_epochs and now not in self.code:
            self.code.append(now)
        if self.current_epoch == 0 and self.local_rank == 0:  # of an earlier model, which this one will replace
            (Path(str(self.output_folder)) / FILE).unlink(missing_ok=True)

    def on_train_epoch_start(self) -> None:
        """Seed anew for every epoch, so that a continued training draws what an undisturbed one would."""
        super().on_train_epoch_start()
        self._seed(self.current_epoch + 1)

    def train_step(self, batch: dict) -> dict:
        """Do nnU-Net's step; return with its results which patches it saw."""
        target = batch["target"][0] if isinstance(batch["target"], list) else batch["target"]
        there = with_tumour(target.numpy(), *self.tumour)
        drawn = [Draw(str(case), tumour) for case, tumour in zip(batch["keys"], there, strict=True)]
        with self.precision():
            return {**super().train_step(batch), "drawn": drawn}

    def _tumour_in_targets(self) -> tuple[Sequence[int] | None, Sequence[int]]:
        """Return which labels of a target are tumour, or which of its masks where there are regions."""
        try:
            classes = LabelRoles.of(self.dataset_json).tumour
        except ValueError as error:
            where = Path(str(self.preprocessed_dataset_folder_base)) / "dataset.json"
            raise UserError(f"{where}: {error}; correct it.") from None
        if not self.label_manager.has_regions:
            return classes, ()
        regions = [np.atleast_1d(np.array(region)).tolist() for region in self.label_manager.foreground_regions]
        return None, [index for index, region in enumerate(regions) if set(region) <= set(classes)]

    def validation_step(self, batch: dict) -> dict:
        """Do nnU-Net's step."""
        with self.precision():
            return super().validation_step(batch)

    def _build_loss(self) -> torch.nn.Module:
        """Return nnU-Net's loss, which is computed in float32 whatever the precision of convolutions."""
        loss = cast(torch.nn.Module, super()._build_loss())
        return loss if self.options.precision is None else Float32Loss(loss, self.device.type)

    def precision(self) -> AbstractContextManager:
        """Return the context in which convolutions are bfloat16 where the name says so.

        nnU-Net autocasts on CUDA only, to float16; within this context its own autocast takes bfloat16, too.
        """
        if self.options.precision is None:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """Log how many patches of real and synthetic cases were drawn, and of how many there was tumour in them."""
        super().on_train_epoch_end(train_outputs)
        drawn = [one for output in train_outputs for one in output["drawn"]]
        if self.is_ddp:
            drawn = self._gathered(drawn)
        synthetic = self.synthetic_identifiers
        self.print_to_log_file(describe_draws(drawn, synthetic, len(self.split.train), len(synthetic)))

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Return nnU-Net's augmentation; with a seed, its blur must not choose the implementation by speed."""
        transforms = nnUNetTrainer.get_training_transforms(*args, **kwargs)
        if self.options.seed is not None:
            for transform in getattr(transforms, "transforms", []):
                inner = getattr(transform, "transform", transform)
                if isinstance(inner, GaussianBlurTransform):
                    inner.benchmark = False
        return transforms

    def save_checkpoint(self, filename: str) -> None:
        """Write nnU-Net's checkpoint, whole or not at all, under the name of nnU-Net's own trainer.

        The network is nnU-Net's, so the model can predict where this package is not installed.
        """
        if self.local_rank != 0:
            return
        if self.disable_checkpointing:
            self.print_to_log_file("No checkpoint written, checkpointing is disabled")
            return
        network, optimizer = cast(Any, self.network), cast(Any, self.optimizer)
        network = network.module if self.is_ddp else network
        checkpoint = {
            "network_weights": getattr(network, "_orig_mod", network).state_dict(),
            "optimizer_state": optimizer.state_dict(),
            "grad_scaler_state": None if self.grad_scaler is None else self.grad_scaler.state_dict(),
            "logging": self.logger.get_checkpoint(),
            "_best_ema": self._best_ema,
            "current_epoch": self.current_epoch + 1,
            "init_args": self.my_init_kwargs,
            "trainer_name": nnUNetTrainer.__name__,
            "inference_allowed_mirroring_axes": self.inference_allowed_mirroring_axes,
            RECORD: to_json(self.record),
            CODE: to_json(self.code),
        }
        temporary = f"{filename}.tmp"  # always the same name, so a killed job leaves one at most
        torch.save(checkpoint, temporary)
        os.replace(temporary, filename)
        if os.path.basename(filename) == "checkpoint_final.pth":
            write_code_versions(self.code, Path(filename).parent)

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:  # type: ignore[override]
        """Load a checkpoint as nnU-Net does (by file name only), and keep what its weights were trained with."""
        super().load_checkpoint(filename_or_checkpoint)
        checkpoint = torch.load(filename_or_checkpoint, map_location="cpu", weights_only=False, mmap=True)
        self.record_of_checkpoint = checkpoint.get(RECORD)
        self.code = [from_json(CodeVersion, entry) for entry in checkpoint.get(CODE, [])]

    @property
    def tf_dataset(self) -> Dataset:
        """The folders of the dataset this trainer is for."""
        return Dataset(self.plans_manager.dataset_name)

    def all_identifiers(self) -> list[str]:
        """Return the identifiers of all real cases of the dataset, as nnU-Net's `do_split` sees them."""
        folder = str(self.preprocessed_dataset_folder)
        return infer_dataset_class(folder).get_identifiers(folder)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Turn an error that the user can correct into a line of nnU-Net's log and exit code 2."""
        try:
            yield
        except UserError as error:
            self.print_to_log_file(f"Error: {error}")
            raise SystemExit(2) from None

    def _read_groups(self) -> Groups:
        if not os.environ.get("nnUNet_raw") or not self.tf_dataset.raw.is_dir():
            self.print_to_log_file(f"WARNING: no groups.json was looked for: nnUNet_raw has no {self.tf_dataset.name}.")
            return Groups()
        groups = Groups.read(self.tf_dataset)
        self.print_to_log_file(groups.remark(self.all_identifiers()))
        return groups

    def _seed(self, epoch: int = 0) -> None:
        if self.options.seed is None:
            return
        states = np.random.SeedSequence([self.options.seed, self.local_rank, epoch]).generate_state(3)
        random.seed(int(states[0]))
        np.random.seed(int(states[1]))
        torch.manual_seed(int(states[2]))

    def _gathered(self, drawn: list[Draw]) -> list[Draw]:
        everybody: list[list[Draw]] = [[] for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather_object(everybody, drawn)
        return [one for of_one in everybody for one in of_one]
