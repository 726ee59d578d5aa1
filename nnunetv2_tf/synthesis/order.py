"""What a part of a set, or a fit, is made of and by: config.json in its folder. Another order may not continue it."""

from dataclasses import dataclass, field, fields
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
DIFFERS = "differs"  # what is said, of before and of now, where two orders differ in a field
ANEW = "take another name with -s, or make it anew with --overwrite."


@dataclass(frozen=True)
class Order:
    """All that decides what a set's cases look like, except how many they are; or what a fit comes to."""

    dataset: str = field(metadata={DIFFERS: "dataset {}, not {}"})
    fold: Fold = field(metadata={DIFFERS: "fold {}, not {}"})
    method: str = field(metadata={DIFFERS: "method {}, not {}"})
    preset: str = field(metadata={DIFFERS: "preset {}, not {}"})
    config: Any = field(metadata={DIFFERS: "config {}, not {}"})  # of the method
    plans: str = field(metadata={DIFFERS: "plans {}, not {}"})
    configuration: str = field(metadata={DIFFERS: "configuration {}, not {}"})
    plan_stamp: str = field(metadata={DIFFERS: "other content of the plans (plan_stamp) than now"})
    tumour: tuple[int, ...] = field(metadata={DIFFERS: "tumour labels {} in dataset.json, not {}"})
    organ: tuple[int, ...] = field(metadata={DIFFERS: "organ labels {} in dataset.json, not {}"})
    # digest of who may be host and donor
    cohort: str = field(metadata={DIFFERS: "other training cases, groups or donors (cohort) than now"})
    seed: int | None = field(metadata={DIFFERS: "seed {}, not {} (None: a recipe was given)"})
    # the dataset of healthy hosts
    healthy: str | None = field(default=None, metadata={DIFFERS: "healthy dataset {}, not {}"})
    # by which rules they take over the looks of training cases
    harmonised: int | None = field(
        default=None, metadata={DIFFERS: "hosts harmonised by rules {}, not {} (None: as they are)"}
    )
    # what was asked of their tumours
    controls: Any = field(default=None, metadata={DIFFERS: "controls {}, not {}"})
    # digest of what they are drawn from
    tumours: str | None = field(
        default=None, metadata={DIFFERS: "other tumours, healthy scans or rules of drawing (tumours) than now"}
    )
    # the nnU-Net that a method learns through
    baseline: BaselineUse | None = field(default=None, metadata={DIFFERS: "baseline {}, not {}"})
    # digest of what the method has learnt
    fit: str | None = field(
        default=None, metadata={DIFFERS: "another fit of the method, or of one it needs (fit), than there is now"}
    )
    # digest of what it learns from
    learnt_from: str | None = field(
        default=None, metadata={DIFFERS: "other training scans, or another patch size (learnt_from), than now"}
    )

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
        for entry in fields(Order):
            if before[entry.name] != now[entry.name]:
                difference = entry.metadata[DIFFERS].format(before[entry.name], now[entry.name])
                raise UserError(f"{what} of fold {self.fold} was begun with {difference} ({path}); {cure}")
