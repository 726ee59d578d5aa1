"""The new cases of a training. In: what its trainer's name says, a fold. Out: their maker, checked, and a record."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, Patient, Split
from nnunetv2_tf.io.arguments import KEPT_GB, Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.lookup import SelectedMethod
from nnunetv2_tf.online.case_source import CaseMaker
from nnunetv2_tf.sets.enrichment import ONLINE_PERCENT, OnlineRecord
from nnunetv2_tf.sets.leakage import find_leaks
from nnunetv2_tf.sets.names import DEFAULT_PRESET, TrainerOptions
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.fit_result import FitResult
from nnunetv2_tf.synthesis.fitting import fit_for
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.placing_pools import hosts_for
from nnunetv2_tf.synthesis.requests import usable_method
from nnunetv2_tf.synthesis.set_config import SetConfig
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.unlabelled import check_healthy


@dataclass(frozen=True)
class Descent:
    """What all new cases carry something of."""

    case: str
    ancestors: tuple[str, ...]
    unlabelled: Mapping[str, Patient]


@dataclass(frozen=True)
class OnlineCases:
    """The new cases of one training."""

    hosts: HostPool
    method: SelectedMethod
    fit: FitResult | None
    percent: int  # of the drawn cases

    @classmethod
    def of(
        cls, dataset: Dataset, plan: Plan, fold: Fold, options: TrainerOptions, seed: int, num_processes: int
    ) -> "OnlineCases":
        """Look up what the options name; raise where it cannot make cases.

        Args:
            dataset: of the training
            plan: of the training
            fold: of the training
            options: in the trainer's name
            seed: of the recipe
            num_processes: where something has to be measured first
        """
        healthy = None if options.healthy is None else str(options.healthy)
        try:
            method = usable_method(str(options.method), options.preset or DEFAULT_PRESET, healthy, {})
        except UserError as error:
            raise UserError(f"{error} (-healthy 601 is _h601 in a trainer's name.)") from None
        scans = None if healthy is None else Dataset.find(healthy)
        if scans is not None:
            check_healthy(scans)
        hosts = hosts_for(method, Cohort(dataset, plan, fold, scans, KEPT_GB), seed, {}, num_processes)
        return cls(hosts, method, fit_for(hosts, method), options.percent or ONLINE_PERCENT)

    def check(self, split: Split, groups: Groups, known: Collection[str]) -> None:
        """Raise when a new case could carry anything of a validation case.

        Args:
            split: the cases that train and validate
            groups: which cases are one patient
            known: all cases of the dataset
        """
        cohort = self.hosts.cohort
        if set(cohort.training) != set(split.train):
            differing = sorted(set(cohort.training) ^ set(split.train))
            raise UserError(
                f"{differing[0]} is only among the raw cases, or only among the preprocessed ones, that train in fold "
                f"{cohort.fold}, or splits_final.json has changed while training began; preprocess "
                f"{cohort.dataset.name} again, or start it again."
            )
        scans = {} if self.fit is None else self.fit.scans
        descent = Descent(f"a case of {self.method.name}", tuple(cohort.training), scans)
        leaks = find_leaks([descent], split, groups, known, everything_trains=cohort.fold == "all")
        if leaks:
            raise UserError(
                f"New cases of {self.method.name} would leak validation cases of fold {cohort.fold} into training "
                f"({leaks[0].reason}); fit the method without that scan."
            )

    def maker(self, device: str) -> CaseMaker:
        """Return what makes the cases."""
        return CaseMaker(self.hosts, self.method, self.fit, "cpu" if self.method.method_class.quick else device)

    @cached_property
    def record(self) -> OnlineRecord:
        """The content of tf_online.json."""
        cohort = self.hosts.cohort
        learnt = {} if self.fit is None else self.fit.recorded
        config = SetConfig.of(self.hosts, self.method, None, **learnt)
        return OnlineRecord(
            method=self.method.name,
            preset=self.method.preset,
            dataset=cohort.dataset.name,
            healthy=None if cohort.healthy is None else cohort.healthy.name,
            fold=cohort.fold,
            num_real=len(cohort.training),
            percent=self.percent,
            seed=self.hosts.seed,
            hash=config.hash,
        )

    def describe(self, where: str) -> str:
        """Return a line for nnU-Net's log; `where` says how the cases come to be."""
        cohort = self.hosts.cohort
        hosts = "training cases" if cohort.healthy is None else f"scans of {cohort.healthy.name}"
        return (
            f"Synthetic cases: new ones by {self.method.name} ({self.method.preset}), {where}, making up "
            f"{self.percent} % of what is drawn; {len(self.hosts.cases)} {hosts} are hosts, and tumours are those of "
            f"{len(cohort.names.donors)} training cases."
        )
