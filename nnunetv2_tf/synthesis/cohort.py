"""What a fold may use: its real training cases and the healthy ones, read once and shared by all that asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from nnunetv2_tf.dataset.cases import CaseFiles, raw_cases
from nnunetv2_tf.dataset.folders import KEPT, Dataset
from nnunetv2_tf.dataset.folds import Groups, check_known_cases, fold_split, same_patient
from nnunetv2_tf.dataset.label_roles import LabelRoles, class_values
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.array_cache import ArrayCache
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.registration.affines import check_shares_space, ways_to_scans
from nnunetv2_tf.synthesis.patients_mass_effect import observed_strengths
from nnunetv2_tf.synthesis.pseudo_donors import PseudoDonors
from nnunetv2_tf.tumours.bank import Bank, bank_from_cases
from nnunetv2_tf.tumours.recipe import CohortNames
from nnunetv2_tf.working_space.healthy import healthy_cases, healthy_stamps
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case, training_cases

APART = 0.5  # of the cohort's extent: brains whose centres are further apart do not share a space


class Cohort:
    """The cases of one fold, with or without a healthy dataset."""

    def __init__(
        self,
        dataset: Dataset,
        plan: Plan,
        fold: Fold,
        healthy: Dataset | None = None,
        kept_gb: float = 0.0,
        pseudo: PseudoDonors | None = None,
    ) -> None:
        """Set up.

        Args:
            dataset: the real cases'
            plan: the working space
            fold: its training cases are the cohort's
            healthy: the dataset of healthy scans; None: there are none
            kept_gb: of what is computed again and again of hosts may be kept on disk; 0: nothing is, or looked for
            pseudo: unlabelled scans with tumours that a baseline has labelled, whose tumours count as the cohort's
        """
        self.dataset, self.plan, self.fold, self.healthy, self.pseudo = dataset, plan, fold, healthy, pseudo
        self.cache = ArrayCache(dataset.preprocessed / "tf" / KEPT, kept_gb)
        self._strengths: tuple[float, ...] | None = None

    @cached_property
    def files(self) -> Mapping[str, CaseFiles]:
        """All real cases of the dataset; nnU-Net's fingerprint and plans are made of them."""
        return raw_cases(self.dataset)

    @cached_property
    def groups(self) -> Groups:
        """The patients that real cases are of."""
        return Groups.read(self.dataset)

    @cached_property
    def training(self) -> Mapping[str, Case]:
        """The fold's training cases by identifier."""
        cases = training_cases(self.files, self.dataset, self.plan, self.fold)
        return {case.identifier: replace(case, cache=self.cache) for case in cases}

    @cached_property
    def labelled(self) -> Mapping[str, Case]:
        """All real cases with a tumour, training or validating in the fold: for measuring, never for making a set."""
        split, example = fold_split(self.dataset, self.fold, list(self.files)), next(iter(self.training.values()))
        names = sorted({*split.train, *split.val})
        check_known_cases(names, self.files, self.dataset)
        cases = {name: replace(example, files=self.files[name], group=self.groups[name]) for name in names}
        return {name: case for name, case in cases.items() if case.has_tumour()}

    @property
    def training_files(self) -> Mapping[str, CaseFiles]:
        """Raw files of the fold's training cases, by identifier."""
        return {name: self.files[name] for name in self.training}

    @cached_property
    def healthy_cases(self) -> Mapping[str, Case]:
        """The healthy scans by identifier; none without a healthy dataset."""
        if self.healthy is None:
            return {}
        cases = healthy_cases(self.dataset, self.healthy, self.plan)
        return {case.identifier: replace(case, cache=self.cache) for case in cases}

    @cached_property
    def donors(self) -> Mapping[str, Case]:
        """Whose tumours may be used: training cases, where they have any, and pseudo-labelled scans.

        A scan that may be of the patient of a training case is of that one's group.
        """
        donors = dict(self.training)
        for name, case in ({} if self.pseudo is None else self.pseudo.cases).items():
            groups = [real.group for real in self.training.values() if same_patient(real.group, case.group)]
            donors[name] = replace(case, cache=self.cache, group=groups[0] if groups else case.group)
        return donors

    def with_pseudo(self, pseudo: PseudoDonors) -> "Cohort":
        """Return the same with pseudo-labelled donors besides."""
        return Cohort(self.dataset, self.plan, self.fold, self.healthy, self.cache.most_gb, pseudo)

    @property
    def healthy_stamps(self) -> Mapping[str, str]:
        """Digests of the healthy scans' arrays, by identifier."""
        if self.healthy is None:
            return {}
        known = healthy_stamps(self.dataset, self.healthy, self.plan)
        return {name: known[name] for name in self.healthy_cases}

    @cached_property
    def names(self) -> CohortNames:
        """Who may be host and donor."""
        groups = {name: case.group for name, case in self.training.items()}
        donors = [name for name, case in self.training.items() if case.has_tumour()]
        pseudo = {name: case.group for name, case in self.donors.items() if name not in groups}
        return CohortNames(groups, donors, list(self.healthy_cases), pseudo)

    @cached_property
    def roles(self) -> LabelRoles:
        """What the real cases' labels stand for."""
        return LabelRoles.read(self.dataset)

    @cached_property
    def class_values(self) -> Mapping[str, int]:
        """The tumour's classes by name."""
        return class_values(self.dataset)

    @property
    def knows_organ(self) -> bool:
        """Whether the organ is known of real cases too; else it is all of a scan, air and all."""
        return self.plan.masked or bool(self.roles.organ)

    @property
    def bank(self) -> Bank:
        """The training cases' tumours, where they lie among the healthy brains; at least one."""
        if not self.tumours.lesions:
            raise UserError("No training case of this fold has a tumour; check its labels and splits_final.json.")
        return self.tumours

    @cached_property
    def tumours(self) -> Bank:
        """The donors' tumours, which may be none, and where brains lie."""
        affines = {} if self.healthy is None else ways_to_scans(self.dataset, self.healthy, self.training_files)
        bank = bank_from_cases(list(self.training.values()), affines)
        if self.healthy is not None:
            cure = f"convert the healthy scans with -reference {self.dataset.number}."
            self._check_there(bank, list(self.healthy_cases.values()), self.healthy, cure)
        if self.pseudo is not None:
            scans = self.pseudo.dataset
            if self.healthy is not None:
                check_shares_space(self.dataset, self.healthy, scans)
            for case in self.pseudo.cases.values():
                self._check_there(bank, [case], scans, "they must share one space.")
            pseudo = bank_from_cases([self.donors[name] for name in self.pseudo.cases], {})
            lesions = sorted((*bank.lesions, *pseudo.lesions), key=lambda lesion: lesion.donor)
            bank = replace(bank, lesions=tuple(lesions))
        return bank

    def observed_strengths(self, num_processes: int) -> tuple[float, ...]:
        """How strong the training patients' mass effects are; measured once."""
        if self._strengths is None:
            self._strengths = observed_strengths(list(self.training.values()), self.tumours.diffuse, num_processes)
        return self._strengths

    def check_same_space(self) -> None:
        """Raise when healthy scans or donors lie elsewhere than the training cases."""
        _ = self.tumours  # which are looked for in one space

    def _check_there(self, bank: Bank, cases: Sequence[Case], others: Dataset, cure: str) -> None:
        """Raise when the brains of another dataset lie elsewhere than the real ones."""
        case = next((case for case in (case.open() for case in cases) if case.organ().any()), None)
        if case is None:
            raise UserError(f"No scan of {others.name} has any of its label, the organ; convert them again.")
        centre = case.grid.affine @ [*np.argwhere(case.organ()).mean(axis=0), 1]
        away = np.abs(centre[:3] - bank.extent.mean(axis=0)) / np.diff(bank.extent, axis=0)[0]
        if away.max() > APART:
            raise UserError(
                f"The brains of {others.name} lie elsewhere than those of {self.dataset.name}, by more than half "
                f"their size ({case.identifier}); {cure}"
            )
