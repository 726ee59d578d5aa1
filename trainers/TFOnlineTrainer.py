"""nnU-Net's trainer on the real training cases of a fold, and on synthetic ones that are made while it trains."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.dataset.folders import ONLINE_POOLS
from nnunetv2_tf.dataset.provenance import versions
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.files import remove_unlocked
from nnunetv2_tf.io.panels import Panel
from nnunetv2_tf.online import draws
from nnunetv2_tf.online.case_pool import PooledCases, PoolKeeper
from nnunetv2_tf.online.case_source import CaseSource, NewEachTime
from nnunetv2_tf.online.online_cases import OnlineCases
from nnunetv2_tf.online.online_dataset import MADE, Clock, OnlineDataset, OnlineLoader, Origin
from nnunetv2_tf.sets.sampling import Draw, full_target, tumour_mask
from nnunetv2_tf.training.distributed import from_first_process, number_of_processes
from nnunetv2_tf.working_space.preprocess import Plan

from .TFBaselineTrainer import TFBaselineTrainer

PAINTED_EVERY = 50  # epochs


class TFOnlineTrainer(TFBaselineTrainer):
    """Trains with new cases of a method, TFOnlineTrainer_<method>; `sets.names` has all parts of the name."""

    in_cascades = False

    dataset: OnlineDataset | None = None
    pool: PooledCases | None = None  # where cases come from one
    keeper: PoolKeeper | None = None  # of the pool, in one process
    drawn_seed: int | None = None  # where the name says none
    panels: Sequence[Panel] = ()  # of patches of this epoch

    def with_synthetic_cases(self, training: Any) -> OnlineDataset:
        """Return the real training cases together with new ones, after checking what these are made of."""
        plan = Plan(self.plans_manager.plans, self.configuration_name, self.dataset_json)
        seed = self.seed_of_batches
        online = OnlineCases.of(self.tf_dataset, plan, self.fold, self.options, seed, max(1, self.workers))
        online.check(self.split, self.groups, self.all_identifiers())
        self.keep_record(online.record)
        if self.rank == 0:
            online.record.write(self.folder / "tf_online.json")
        source = self._source(online, seed)
        if self.rank == 0:
            draws.keep_draws_before(self.folder, self.current_epoch)
        self.dataset = OnlineDataset(training, source, plan, online.percent)
        return self.dataset

    def _source(self, online: OnlineCases, seed: int) -> CaseSource:
        """Return where the new cases come from; what can go wrong with the first one does so now."""
        maker, begins = online.maker(self.device.type), self.current_epoch < self.num_epochs
        if online.method.method_class.quick:
            if begins:
                first = self.current_epoch * self.num_iterations_per_epoch
                maker.make(self._clock.first_case(first))  # and workers inherit what was read for it
            self.print_to_log_file(online.describe("made where batches are made"))
            return NewEachTime(maker)
        source = digest([online.record.hash, seed, self.device.type, versions()])
        where = self.tf_dataset.preprocessed / "tf" / ONLINE_POOLS / self.folder.parent.name
        cases = PooledCases(where / f"{self.folder.name}_{source[:8]}", source)
        self.print_to_log_file(
            online.describe(f"{cases.anew} of {cases.size} in {cases.folder} made anew in every epoch")
        )
        if self.rank == 0:
            for left in sorted(where.glob(f"{self.folder.name}_*")):  # a replaced training's, or this one's that ended
                if left.is_dir() and (left != cases.folder or not begins):
                    remove_unlocked(left)
        if begins:
            self.pool = cases
            if self.rank == 0:
                self.keeper = PoolKeeper(cases, maker, self.num_epochs)
                made = self.keeper.fill(self.current_epoch)
                self.print_to_log_file(f"Pool: {made} cases made, {cases.size - made} found.")
            else:
                cases.wait_for_all(cases.lines(self.current_epoch))  # before nnU-Net's barrier, which waits minutes
        return cases

    def ordered(self, loader: Any, seed: Sequence[int], first: int) -> OnlineLoader:
        """Return nnU-Net's loader of training batches with numbers, which says where new cases come from."""
        assert self.dataset is not None
        return OnlineLoader(loader, self.dataset, seed, first, self._clock)

    @property
    def seed_of_batches(self) -> int:
        """What batches depend on: the seed in the trainer's name, or one by chance."""
        if self.options.seed is not None:
            return self.options.seed
        if self.drawn_seed is None:
            before = (self.record_of_checkpoint or {}).get("enrichment") or {}
            self.drawn_seed = int(from_first_process(before.get("seed", secrets.randbits(32))))
        return self.drawn_seed

    @property
    def _clock(self) -> Clock:
        return Clock(
            iterations=self.num_iterations_per_epoch,
            epochs=self.num_epochs,
            batch_size=self.configuration_manager.batch_size,
            rank=self.rank,
            processes=number_of_processes(),
        )

    @property
    def folder(self) -> Path:
        """The fold's result folder."""
        return Path(str(self.output_folder))

    def run_training(self) -> None:
        """Train as nnU-Net does; when that ends in any way, so does what makes the pool."""
        try:
            super().run_training()
        finally:
            if self.keeper is not None:
                self.keeper.close(remove=False)

    def on_train_epoch_start(self) -> None:
        """Begin to make what the next epoch needs; paint patches of this one, where it is its turn."""
        super().on_train_epoch_start()
        if self.keeper is not None:
            with self.refusals():
                self.keeper.begin_next(self.current_epoch)
        self.panels = ()

    def drawn(self, batch: dict, target: np.ndarray) -> list[Draw]:
        """Return what a batch shows, and where its new cases come from."""
        drawn = super().drawn(batch, target)
        for origin in batch[MADE]:
            case = f"{self.options.method}_{origin.line}"
            drawn[origin.place] = Draw(case, drawn[origin.place].with_tumour, origin.host, origin.donors)
            self._show(batch, origin)
        return drawn

    def _show(self, batch: dict, origin: Origin) -> None:
        """Keep the picture of a new patch, where pictures of this epoch are wanted."""
        wanted = self.current_epoch % PAINTED_EVERY == 0 and self.rank == 0
        if wanted and len(self.panels) < draws.SHOWN:
            image, target = (part[origin.place].numpy() for part in (batch["data"], full_target(batch)))
            tumour = tumour_mask(target, *self.tumour)
            self.panels = (*self.panels, draws.patch_panel(image[0], target, tumour, origin.host))

    def log_draws(self, drawn: Sequence[Draw]) -> None:
        """Log the patches of an epoch, and write down its new cases."""
        self.print_to_log_file(draws.describe(drawn, len(self.split.train)))
        if self.rank == 0:
            with self.refusals():
                draws.append_draws(self.folder, self.current_epoch, drawn)
                draws.write_patches(self.panels, self.folder / f"tf_online_epoch_{self.current_epoch:04d}.png")

    def on_epoch_end(self) -> None:
        """Wait for the next epoch's pool, if new cases come from one."""
        super().on_epoch_end()
        if self.keeper is not None:
            with self.refusals():
                said = self.keeper.wait()
            if said:
                self.print_to_log_file(said)
        elif self.pool is not None and self.current_epoch < self.num_epochs:
            with self.refusals():
                new = self.pool.lines(self.current_epoch)[-self.pool.anew :]
                self.pool.wait_for_all(new)  # not in the next epoch's collectives, which wait minutes

    def on_train_end(self) -> None:
        """End what nnU-Net ends, then the pool."""
        super().on_train_end()
        if self.keeper is not None:
            self.keeper.close(remove=True)
            self.keeper = None
