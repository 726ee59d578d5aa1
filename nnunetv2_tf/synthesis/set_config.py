"""What a part of a set, or a fit, is made of and by: config.json in its folder. Only what agrees with it goes on."""

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from nnunetv2_tf.dataset.provenance import BaselineUse, PseudoUse
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET, read_record, to_json
from nnunetv2_tf.methods.lookup import SelectedMethod
from nnunetv2_tf.synthesis.acceptance import Filter
from nnunetv2_tf.synthesis.host_pool import HostPool

CURE = "make it anew with --overwrite."
DIFFERS = "differs"  # what is said, of before and of now, where two configs differ in a field
ANEW = "take another name with -s, or make it anew with --overwrite."


@dataclass(frozen=True)
class SetConfig:
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
    # by which rules their tumours grow
    growth: Any = field(
        default=None,
        metadata={DIFFERS: "growth {}, not {} (None: tumours are put in as they are)", ONLY_IF_SET: True},
    )
    # by which rules donors' brightness comes to a host's scale
    scaled: int | None = field(
        default=None,
        metadata={DIFFERS: "donors' brightness by rules {}, not {} (None: as it was)", ONLY_IF_SET: True},
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
    # the dataset of unlabelled scans that a method learns from, too
    unlabelled: str | None = field(default=None, metadata={DIFFERS: "unlabelled dataset {}, not {}", ONLY_IF_SET: True})
    # unlabelled scans that are donors, too
    pseudo_labels: PseudoUse | None = field(
        default=None, metadata={DIFFERS: "pseudo-labelled donors {}, not {}", ONLY_IF_SET: True}
    )
    # digest of what it learns from
    learnt_from: str | None = field(
        default=None,
        metadata={
            DIFFERS: "other training scans, other unlabelled ones, or another patch size (learnt_from), than now"
        },
    )
    # which of the finished cases are kept, and by whom
    filter: Filter | None = field(
        default=None, metadata={DIFFERS: "filter {}, not {} (None: no filter)", ONLY_IF_SET: True}
    )

    @classmethod
    def of(
        cls,
        hosts: HostPool,
        method: SelectedMethod,
        seed: int | None,
        baseline: BaselineUse | None = None,
        fit: str | None = None,
        learnt_from: str | None = None,
        filter_: Filter | None = None,
        unlabelled: str | None = None,
    ) -> "SetConfig":
        """Collect what decides a set, or a fit."""
        cohort, plan, names = hosts.cohort, hosts.cohort.plan, hosts.cohort.names
        members = [sorted((name, list(group)) for name, group in names.groups.items()), sorted(names.donors)]
        return cls(
            dataset=cohort.dataset.name,
            fold=cohort.fold,
            method=method.name,
            preset=method.preset,
            config=to_json(method.config),
            plans=str(plan.plans["plans_name"]),
            configuration=plan.configuration,
            plan_stamp=plan.stamp,
            tumour=cohort.roles.tumour,
            organ=cohort.roles.organ,
            cohort=digest([*members, sorted(names.healthy)]),
            seed=seed,
            baseline=baseline,
            fit=fit,
            learnt_from=learnt_from,
            filter=filter_,
            unlabelled=unlabelled,
            pseudo_labels=cohort.pseudo and cohort.pseudo.use,
            **hosts.settings,
        )

    @cached_property
    def hash(self) -> str:
        """The manifest's config_hash."""
        return digest(to_json(self))

    def write_or_check(self, path: Path, what: str) -> None:
        """Write config.json, or compare with the one there and refuse what differs."""
        if path.exists():
            self.check_same(path, what)
        else:
            write_json(path, to_json(self))

    def check_same(self, path: Path, what: str, cure: str = ANEW) -> None:
        """Raise when config.json says that `what` is, or was, made in another way."""
        before, now = to_json(read_record(SetConfig, path, CURE)), to_json(self)
        for entry in fields(SetConfig):
            earlier, current = before.get(entry.name), now.get(entry.name)
            if earlier != current:
                if isinstance(earlier, dict) and isinstance(current, dict):
                    others = [name for name in {**earlier, **current} if earlier.get(name) != current.get(name)]
                    earlier, current = ({name: one.get(name) for name in others} for one in (earlier, current))
                difference = entry.metadata[DIFFERS].format(earlier, current)
                raise UserError(f"{what} of fold {self.fold} was begun with {difference} ({path}); {cure}")
