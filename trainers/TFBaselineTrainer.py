"""nnU-Net's trainer, with seed and epochs in its name, checks of the split, and a log of the cases that are drawn."""

import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_tf.baseline.checkpoint import RECORD, read_checkpoint
from nnunetv2_tf.dataset.code_version import FILE, CodeVersion, code_version, write_code_versions
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, Split, check_groups_whole, ensure_splits, groups_in_training
from nnunetv2_tf.dataset.label_roles import LabelRoles
from nnunetv2_tf.io.errors import UserError, sentence_of
from nnunetv2_tf.io.files import save_torch
from nnunetv2_tf.io.json_dataclass import from_json, to_json
from nnunetv2_tf.io.nnunet_version import remark_on_nnunet
from nnunetv2_tf.sets.enrichment import EnrichmentRecord, OnlineRecord, TrainingRecord
from nnunetv2_tf.sets.names import TrainerOptions
from nnunetv2_tf.sets.sampling import Draw, describe_draws, full_target, with_tumour
from nnunetv2_tf.training.distributed import gathered_lists
from nnunetv2_tf.training.float32_loss import Float32Loss
from nnunetv2_tf.training.ordered_batches import ERROR, OrderedLoader, in_order, seeds_of, without_workers

CODE = "tf_code"  # our key in nnU-Net's checkpoint, beside RECORD
TRAIN, VALIDATE = range(2)  # streams of random numbers


class TFBaselineTrainer(nnUNetTrainer):
    """The nnU-Net of a fold's real training cases: TFEnrichedTrainer without a set."""

    options = TrainerOptions()
    in_cascades = True  # whether it can train configurations that need predictions of a previous stage

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 (nnU-Net's signature)
    ) -> None:
        cascaded = PlansManager(plans).get_configuration(configuration).previous_stage_name is not None
        if cascaded and not self.in_cascades:
            sentence = (
                f"Error: {type(self).__name__} cannot train {configuration}: synthetic cases have no predictions of "
                "its previous stage; train 3d_fullres instead."
            )
            print(sentence, file=sys.stderr)
            raise SystemExit(2)
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
        self.workers = get_allowed_n_proc_DA()  # that make batches

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
            self.groups, told = groups_in_training(self.tf_dataset, self.fold, self.all_identifiers())
            self.print_to_log_file(told)
            if self.fold != "all":
                ensure_splits(self.tf_dataset, self.all_identifiers(), self.groups)
            training, validation = super().get_tr_and_val_datasets()
            self.split = Split(tuple(training.identifiers), tuple(validation.identifiers))
            check_groups_whole(self.split, self.groups, self.tf_dataset, self.fold)
            if remark := remark_on_nnunet():
                self.print_to_log_file(f"WARNING: {remark}")
            self.print_to_log_file(f"Real cases: {len(self.split.train)} train, {len(self.split.val)} validate.")
            training = self.with_synthetic_cases(training)
        return training, validation

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Return nnU-Net's dataloaders; with a seed, of batches that depend on it and not on who makes them."""
        seed = self.seed_of_batches
        if seed is None:
            return super().get_dataloaders()
        with without_workers():
            augmenters: Any = super().get_dataloaders()
        training, validation = (augmenter.data_loader for augmenter in augmenters)
        pinned = self.device.type == "cuda"
        first = self.current_epoch * self.num_iterations_per_epoch
        of_training = self.ordered(training, [seed, self.rank, TRAIN], first)
        first = self.current_epoch * self.num_val_iterations_per_epoch
        of_validation = OrderedLoader(validation, [seed, self.rank, VALIDATE], first)
        return in_order(of_training, self.workers, pinned), in_order(of_validation, -(-self.workers // 2), pinned)

    @property
    def seed_of_batches(self) -> int | None:
        """What batches depend on; None: on chance."""
        return self.options.seed

    def ordered(self, loader: Any, seed: Sequence[int], first: int) -> OrderedLoader:
        """Return nnU-Net's loader of training batches with numbers, the next of which is `first`."""
        return OrderedLoader(loader, seed, first)

    def with_synthetic_cases(self, training: Any) -> Any:
        """Return the dataset to train with; here the real cases only."""
        self.keep_record(None)
        return training

    def keep_record(self, enrichment: EnrichmentRecord | OnlineRecord | None) -> None:
        """Record which cases and code this training uses; refuse to continue one that used other cases."""
        self.record = TrainingRecord(self.split.digest, enrichment, self.options.precision)
        if self.current_epoch > 0:
            self.record.check_same(self.record_of_checkpoint)
        now = code_version()
        if self.current_epoch < self.num_epochs and now not in self.code:
            self.code.append(now)
        if self.current_epoch == 0 and self.rank == 0:  # of an earlier model, which this one will replace
            (Path(str(self.output_folder)) / FILE).unlink(missing_ok=True)

    def on_train_epoch_start(self) -> None:
        """Seed anew for every epoch, so that a continued training draws what an undisturbed one would."""
        super().on_train_epoch_start()
        self._seed(self.current_epoch + 1)

    def train_step(self, batch: dict) -> dict:
        """Do nnU-Net's step; return with its results which patches it saw."""
        with self.refusals():
            if ERROR in batch:
                raise UserError(batch[ERROR])
        drawn = self.drawn(batch, full_target(batch).numpy())
        return {**self.step(batch), "drawn": drawn}

    def step(self, batch: dict) -> dict:
        """Do nnU-Net's training step, in the precision of the trainer's name."""
        with self.precision():
            return super().train_step(batch)

    def drawn(self, batch: dict, target: np.ndarray) -> list[Draw]:
        """Return what a batch shows."""
        there = with_tumour(target, *self.tumour)
        return [Draw(str(case), tumour) for case, tumour in zip(batch["keys"], there, strict=True)]

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
        self.log_draws(gathered_lists(drawn))

    def log_draws(self, drawn: Sequence[Draw]) -> None:
        """Log the patches of an epoch, of all processes."""
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
        if self.rank != 0:
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
        with self.refusals():
            save_torch(checkpoint, Path(filename))
        if os.path.basename(filename) == "checkpoint_final.pth":
            write_code_versions(self.code, Path(filename).parent)

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:  # type: ignore[override]
        """Load a checkpoint as nnU-Net does (by file name only), and keep what its weights were trained with.

        nnU-Net runs whatever a checkpoint holds, so it is read without running anything first.
        """
        with self.refusals():
            checkpoint = read_checkpoint(Path(filename_or_checkpoint), "train this model anew.", can_trust=False)
        super().load_checkpoint(filename_or_checkpoint)
        self.record_of_checkpoint = checkpoint.get(RECORD)
        self.code = [from_json(CodeVersion, entry) for entry in checkpoint.get(CODE, [])]

    @property
    def rank(self) -> int:
        """The number of this process among all that train together, on however many machines."""
        return getattr(self, "global_rank", self.local_rank)

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
        except (UserError, OSError) as error:
            sentence = sentence_of(error)
            if sentence is None:
                raise
            self.print_to_log_file(f"Error: {sentence}")
            raise SystemExit(2) from None

    def _seed(self, epoch: int = 0) -> None:
        if self.options.seed is None:
            return
        of_python, of_numpy, of_torch = seeds_of([self.options.seed, self.rank, epoch])
        random.seed(of_python)
        np.random.seed(of_numpy)
        torch.manual_seed(of_torch)
