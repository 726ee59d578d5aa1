"""What a part of a set, or a fit, is made of and by: config.json in its folder. Another order may not continue it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.meaning import Meaning
from nnunetv2_tf.methods.lookup import FoundMethod
from nnunetv2_tf.provenance import BaselineUse
from nnunetv2_tf.records import read_record, to_json
from nnunetv2_tf.stamps import digest
from nnunetv2_tf.synthesis.hosts import Hosts
from nnunetv2_tf.work import write_json

CURE = "make it anew with --overwrite."
ANEW = "take another name with -s, or make it anew with --overwrite."


@dataclass(frozen=True)
class Order:
    """All that decides what a set's cases look like, except how many they are; or what a fit comes to."""

    dataset: str
    fold: Fold
    method: str
    preset: str
    config: Any  # of the method
    plans: str
    configuration: str
    plan_stamp: str
    tumour: tuple[int, ...]  # label values
    organ: tuple[int, ...]
    cohort: str  # digest of who may be host and donor
    seed: int | None  # None: the recipe was given
    healthy: str | None = None  # the dataset of healthy hosts
    harmonised: int | None = None  # by which rules they take over the looks of training cases
    controls: Any = None  # what was asked of their tumours
    tumours: str | None = None  # digest of what they are drawn from
    baseline: BaselineUse | None = None  # the nnU-Net that a method learns through
    fit: str | None = None  # digest of what the method has learnt
    learnt_from: str | None = None  # digest of what it learns from

    @classmethod
    def of(
        cls,
        hosts: Hosts,
        method: FoundMethod,
        seed: int | None,
        baseline: BaselineUse | None = None,
        fit: str | None = None,
        learnt_from: str | None = None,
    ) -> "Order":
        """The order that these make."""
        cohort, plan, meaning = hosts.cohort, hosts.plan, Meaning.read(hosts.dataset)
        members = [sorted((name, list(group)) for name, group in cohort.groups.items()), sorted(cohort.donors)]
        return cls(
            dataset=hosts.dataset.name,
            fold=hosts.fold,
            method=method.name,
            preset=method.preset,
            config=to_json(method.config),
            plans=str(plan.plans["plans_name"]),
            configuration=plan.configuration,
            plan_stamp=plan.stamp,
            tumour=meaning.tumour,
            organ=meaning.organ,
            cohort=digest([*members, sorted(cohort.healthy)]),
            seed=seed,
            baseline=baseline,
            fit=fit,
            learnt_from=learnt_from,
            **hosts.order,
        )

    @property
    def hash(self) -> str:
        """The manifest's config_hash."""
        return digest(to_json(self))

    def place(self, path: Path, what: str) -> None:
        """Writes the order, or compares with the one there and refuses what differs."""
        if path.exists():
            self.refuse_other(path, what)
        else:
            write_json(path, to_json(self))

    def refuse_other(self, path: Path, what: str, cure: str = ANEW) -> None:
        """Raises when `what` is not, or no longer, made to this order."""
        before, now = to_json(read_record(Order, path, CURE)), to_json(self)
        for key, sentence in _DIFFERS.items():
            if before[key] != now[key]:
                difference = sentence.format(before[key], now[key])
                raise UserError(f"{what} of fold {self.fold} was begun with {difference} ({path}); {cure}")


_DIFFERS = {
    "dataset": "dataset {}, not {}",
    "fold": "fold {}, not {}",
    "method": "method {}, not {}",
    "preset": "preset {}, not {}",
    "config": "config {}, not {}",
    "plans": "plans {}, not {}",
    "configuration": "configuration {}, not {}",
    "plan_stamp": "other content of the plans (plan_stamp) than now",
    "tumour": "tumour labels {} in dataset.json, not {}",
    "organ": "organ labels {} in dataset.json, not {}",
    "cohort": "other training cases, groups or donors (cohort) than now",
    "seed": "seed {}, not {} (None: a recipe was given)",
    "healthy": "healthy dataset {}, not {}",
    "harmonised": "hosts harmonised by rules {}, not {} (None: as they are)",
    "controls": "controls {}, not {}",
    "baseline": "baseline {}, not {}",
    "learnt_from": "other training scans, or another patch size (learnt_from), than now",
    "fit": "another fit of the method, or of one it needs (fit), than there is now",
    "tumours": "other tumours, healthy scans or rules of drawing (tumours) than now",
}
