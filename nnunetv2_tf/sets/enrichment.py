"""Synthetic cases of an enriched training. In: a set, a fold, options. Out: the chosen cases, checked, and a record."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, Split
from nnunetv2_tf.dataset.provenance import CaseEntry, Sidecar
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.sets.leakage import find_leaks
from nnunetv2_tf.sets.names import TrainerOptions
from nnunetv2_tf.sets.store import SetPart, only_set_of
from nnunetv2_tf.working_space.preprocess import Plan

SHOWN = 3  # leaks in one message
ONLINE_PERCENT = 50  # of the drawn cases are new where a trainer's name says nothing


class ResultRecord:
    """A dataclass in a fold's result folder."""

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        write_json(path, to_json(self))


@dataclass(frozen=True)
class EnrichmentRecord(ResultRecord):
    """tf_enrichment.json in a fold's result folder: what the model in it is trained with."""

    set: str
    dataset: str
    fold: Fold
    method: str
    num_real: int
    num_synthetic: int
    percent: int | None
    hash: str  # of the entries of the cases used, so that a set may grow without breaking a training with _n100


@dataclass(frozen=True)
class OnlineRecord(ResultRecord):
    """tf_online.json in a fold's result folder: by what new cases are made while the model in it is trained."""

    method: str
    preset: str
    dataset: str
    healthy: str | None
    fold: Fold
    num_real: int
    percent: int
    seed: int  # of the recipe: in the trainer's name, or by chance
    hash: str  # of all else that they are made of and by


@dataclass(frozen=True)
class TrainingRecord:
    """What a checkpoint was trained with. It is saved in the checkpoint, so it always belongs to these weights."""

    split: str
    enrichment: EnrichmentRecord | OnlineRecord | None
    precision: str | None = None  # of convolutions; None: nnU-Net's own

    def check_same(self, before: Any) -> None:
        """Raise when the training to continue began with other cases; `before` is the record in its checkpoint."""
        if before is None:
            raise UserError("The checkpoint to continue from was written by another trainer; start anew without --c.")
        differing = [key for key, value in to_json(self).items() if before.get(key) != value]
        if "split" in differing:
            raise UserError(
                "This training began with other training and validation cases than splits_final.json has now, so cases "
                "it has learnt could validate it; restore the file, or start the training anew without --c."
            )
        if "precision" in differing:
            began, asked = (name or "nnU-Net's own" for name in (before.get("precision"), self.precision))
            raise UserError(
                f"This training began with {began} precision, and the trainer's name asks for {asked}; use the name "
                "that it began with, or start anew without --c."
            )
        if differing:
            raise UserError(
                "This training began with other synthetic cases than its set holds now, or than are made now "
                f"(checkpoint: {before['enrichment']}); put back what has changed, or start the training anew without "
                "--c."
            )


@dataclass(frozen=True)
class Enrichment:
    """The synthetic cases of one training."""

    part: SetPart
    method: str
    entries: tuple[CaseEntry, ...]
    sidecars: tuple[Sidecar, ...]

    @classmethod
    def choose(cls, dataset: Dataset, fold: Fold, options: TrainerOptions) -> "Enrichment":
        """Choose the first `count` accepted cases of the set, or all; so a larger count adds cases to a smaller one."""
        part = only_set_of(dataset, fold) if options.set_name is None else SetPart(dataset, options.set_name, fold)
        manifest = part.manifest()
        accepted = manifest.accepted
        count = options.count or len(accepted)
        if not accepted or len(accepted) < count:
            raise UserError(
                f"Set {part.set_name} has {len(accepted)} accepted cases for fold {fold} ({part.manifest_path}), and "
                f"{count or 'some'} were asked for; add cases to the set or ask for fewer (_n<count>)."
            )
        entries = accepted[:count]
        return cls(part, manifest.method, entries, tuple(part.sidecar(entry.case) for entry in entries))

    @property
    def identifiers(self) -> list[str]:
        """The identifiers of the chosen cases."""
        return [entry.case for entry in self.entries]

    def describe(self, percent: int | None) -> str:
        """Return a line about the set for nnU-Net's log."""
        share = "drawn like real ones" if percent is None else f"making up {percent} % of what is drawn"
        text = (
            f"Synthetic cases: {len(self.entries)} of set {self.part.set_name} (method {self.method}) train, {share}."
        )
        return " ".join([text, *warnings(self.sidecars)])

    def check_no_leaks(self, split: Split, groups: Groups, known: Collection[str]) -> None:
        """Raise when a chosen case carries anything of a validation case."""
        leaks = find_leaks(self.sidecars, split, groups, known, everything_trains=self.part.fold == "all")
        if leaks:
            shown = "; ".join(f"{leak.case}: {leak.reason}" for leak in leaks[:SHOWN])
            more = f"; and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
            raise UserError(
                f"Set {self.part.set_name} leaks validation cases of fold {self.part.fold} into training "
                f"({shown}{more}); make or add this fold's part from its training cases only."
            )

    def check_unique_names(self, real: Collection[str]) -> None:
        """Raise when a synthetic case is called like a real one."""
        for name in sorted(set(self.identifiers) & set(real)):
            raise UserError(f"Synthetic case {name} of set {self.part.set_name} is called like a real case; rename it.")

    def check_fresh(self, plan: Plan) -> None:
        """Raise when a chosen case is not preprocessed for this configuration by these very plans."""
        stale = self.part.stale(plan, self.entries)
        if stale:
            raise UserError(
                f"{len(stale)} of {len(self.entries)} cases of set {self.part.set_name} (first: {stale[0].case}) are "
                f"not preprocessed for {plan.configuration} with the current {plan.plans['plans_name']}; run: "
                f"nnUNetv2_tf_sets -d {self.part.dataset.name} --preprocess -s {self.part.set_name} "
                f"-f {self.part.fold} -c {plan.configuration} -p {plan.plans['plans_name']}"
            )

    def record(self, num_real: int, percent: int | None) -> EnrichmentRecord:
        """Return the content of tf_enrichment.json."""
        return EnrichmentRecord(
            set=self.part.set_name,
            dataset=self.part.dataset.name,
            fold=self.part.fold,
            method=self.method,
            num_real=num_real,
            num_synthetic=len(self.entries),
            percent=percent,
            hash=digest([to_json(entry) for entry in self.entries]),
        )


def warnings(sidecars: Sequence[Sidecar]) -> list[str]:
    """Return sentences about what the check for leaks cannot know about these cases."""
    unknown = sum(sidecar.ancestors == "unknown" for sidecar in sidecars)
    none = sum(not sidecar.ancestors for sidecar in sidecars)
    pseudo = sum(bool(sidecar.pseudo_donors) for sidecar in sidecars)
    sentences = []
    if pseudo:
        sentences.append(f"The tumours of {pseudo} come from unlabelled scans, in which a baseline found them.")
    if unknown:
        sentences.append(
            f"WARNING: the ancestors of {unknown} are unknown (--trust), so nobody checked them for leaks."
        )
    if none:
        sentences.append(f"{none} are said to descend from no real case.")
    return sentences
