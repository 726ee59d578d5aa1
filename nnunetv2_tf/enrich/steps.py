"""The steps of an enrichment. In: a request. Out: steps in order, each with command, inputs, and whether it is done.

A step says what it works on by digests of names that people know, so that it can be said what has changed since.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.cases import CaseFiles, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.enrich.request import EnrichRequest
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.methods.lookup import SelectedMethod, needed_by
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.fit_result import learns
from nnunetv2_tf.synthesis.fitting import DONE, fit_name
from nnunetv2_tf.working_space.healthy import healthy_plans_name
from nnunetv2_tf.working_space.preprocess import STORED, Plan

PLANNERS = {f"nnUNetResEncUNet{size}Plans": f"nnUNetPlannerResEnc{size}" for size in ("M", "L", "XL")}
Inputs = Mapping[str, str]  # digests, by a name that people know


@dataclass(frozen=True)
class Step:
    """One command, or what it leaves."""

    title: str
    key: str  # by which it is remembered; steps that several sets share have one
    command: tuple[str, ...]
    again: tuple[str, ...] | None  # that does it anew; None: it cannot be done anew by itself
    done: Callable[[], bool]
    inputs: Callable[[], Inputs]  # besides what steps before it work on
    needs: tuple[str, ...] = ()  # keys of steps before it, whose inputs are its own
    accepted: tuple[int, ...] = (0,)  # exit codes of commands that did what they could


def steps_of(request: EnrichRequest) -> list[Step]:
    """Return all steps, in an order in which they can be done."""
    return list(_Steps(request).all())


@dataclass(frozen=True)
class _Steps:
    request: EnrichRequest

    def all(self) -> Iterator[Step]:
        request = self.request
        yield from self._conversions()
        yield self._preprocess()
        if request.in_healthy:
            yield self._preprocess_healthy()
        for fold in request.folds:
            fits = [*needed_by(request.selected), request.selected] if request.in_healthy else []
            fits = [method for method in fits if learns(method)]
            if fits or request.keep is not None:
                yield self._baseline(fold)
            for method in fits:
                yield self._fit(method, fold)
            yield self._synthesize(fold, fits)
            if request.train:
                yield self._train(fold)

    def _conversions(self) -> Iterator[Step]:
        request, processes = self.request, ("-np", str(self.request.num_processes))
        if request.raw_brats:
            dataset = request.labelled_dataset
            folders, name = tuple(map(str, request.raw_brats)), dataset.name[11:]
            source = () if request.source is None else ("-source", request.source)
            yield Step(
                f"convert {' '.join(folders)}", f"convert {dataset.name}",
                ("nnUNetv2_tf_convert_brats", "-i", *folders, "-d", dataset.number, "-name", name, "-modalities",
                 *request.modalities, *source, *processes),
                None, (dataset.raw / "dataset.json").is_file, lambda: _folders(request.raw_brats),
            )  # fmt: skip
        if request.raw_healthy:
            healthy = request.healthy_dataset
            folders, name = tuple(map(str, request.raw_healthy)), healthy.name[11:]
            command = ("nnUNetv2_tf_convert_healthy", "-i", *folders, "-d", healthy.number, "-name", name, "-reference",
                       request.labelled_dataset.number, *processes)  # fmt: skip
            yield Step(
                f"convert {' '.join(folders)}", f"convert {healthy.name}", command, command,
                (healthy.raw / "dataset.json").is_file, lambda: _folders(request.raw_healthy), accepted=(0, 1),
            )  # fmt: skip

    def _preprocess(self) -> Step:
        dataset, plans = self.request.labelled_dataset, self.request.plans
        command = self._planning(dataset)
        return Step(
            f"plan and preprocess {dataset.name}", f"preprocess {dataset.name} {plans} {self.request.configuration}",
            command, command, lambda: self._preprocessed(dataset, plans), lambda: _cases(dataset),
        )  # fmt: skip

    def _planning(self, dataset: Dataset) -> tuple[str, ...]:
        """Return the command that plans, unless that is done, and preprocesses."""
        request = self.request
        plans, several = request.plans, ("-c", request.configuration, "-np", str(request.num_processes))
        if (dataset.preprocessed / f"{plans}.json").exists():
            return ("nnUNetv2_preprocess", "-d", dataset.number, "-plans_name", plans, *several)
        both = ("nnUNetv2_plan_and_preprocess", "-d", dataset.number, "--verify_dataset_integrity", *several)
        if request.spacing is not None:
            spacing = tuple(f"{size:g}" for size in request.spacing)
            return (*both, "-overwrite_target_spacing", *spacing, "-overwrite_plans_name", plans)
        if plans in PLANNERS:
            return (*both, "-pl", PLANNERS[plans])
        if plans != "nnUNetPlans":
            raise UserError(
                f"{dataset.name} has no plans {plans}; make them with nnUNetv2_plan_experiment, say their -spacing, or "
                "leave -p out."
            )
        return both

    def _preprocess_healthy(self) -> Step:
        request, healthy = self.request, self.request.healthy_dataset
        command = ("nnUNetv2_tf_preprocess_healthy", "-d", request.labelled_dataset.number, "-healthy", healthy.number,
                   "-p", request.plans, "-c", request.configuration, "-np", str(request.num_processes))  # fmt: skip
        plans = healthy_plans_name(request.labelled_dataset, request.plans)
        return Step(
            f"preprocess {healthy.name}", f"preprocess {healthy.name} {plans} {request.configuration}",
            command, command, lambda: self._preprocessed(healthy, plans), lambda: _cases(healthy),
            (self._preprocess().key,),
        )  # fmt: skip

    def _preprocessed(self, dataset: Dataset, plans: str) -> bool:
        """Return whether all cases of a dataset are stored."""
        if not (dataset.preprocessed / f"{plans}.json").exists():
            return False
        folder = dataset.preprocessed / Plan.read(dataset, plans, self.request.configuration).data_identifier
        return all((folder / f"{case}{ending}").is_file() for case in raw_cases(dataset) for ending in STORED)

    def _baseline(self, fold: Fold) -> Step:
        request, dataset = self.request, self.request.labelled_dataset
        baseline = Baseline(dataset, request.trainer, request.plans, request.configuration, fold)
        train = self._training(request.trainer, fold)
        return Step(
            f"train the baseline of fold {fold}", f"train {request.trainer} {self._place(fold)}",
            (*train, "--c"), train, baseline.path.is_file, self._planned, (self._preprocess().key,),
        )  # fmt: skip

    def _fit(self, method: SelectedMethod, fold: Fold) -> Step:
        request = self.request
        name = fit_name(method, request.healthy_dataset)
        folder = request.labelled_dataset.model_fold(name, request.plans, request.configuration, fold)
        fit = ("nnUNetv2_tf_fit", *self._where(fold), "-m", method.name, "-preset", method.preset, "-healthy",
               request.healthy_dataset.number, "-p", request.plans, "-tr", request.trainer, "-device", request.device,
               "-seed", str(request.seed))  # fmt: skip
        before = [other for other in needed_by(method) if learns(other)]
        return Step(
            f"fit {method.name} in fold {fold}", f"fit {name} {self._place(fold)}", fit, (*fit, "--overwrite"),
            (folder / DONE).is_file, lambda: {f"settings of {method.name}": digest(to_json(method.config))},
            (self._preprocess_healthy().key, self._baseline(fold).key, *(self._fit(one, fold).key for one in before)),
        )  # fmt: skip

    def _synthesize(self, fold: Fold, fits: Sequence[SelectedMethod]) -> Step:
        request = self.request
        part = SetPart(request.labelled_dataset, request.set_name, fold)
        healthy = ("-healthy", request.healthy_dataset.number) if request.in_healthy else ()
        kept = () if request.keep is None else (
            "-filter", "-keep", *(f"{share:g}" for share in request.keep), "-tr", request.trainer)  # fmt: skip
        make = ("nnUNetv2_tf_synthesize", *self._where(fold), "-m", request.method, "-preset", request.preset, *healthy,
                "-p", request.plans, "-num_cases", str(request.num_cases), "-s", request.set_name, "-seed",
                str(request.seed), "-device", request.device, "-np", str(request.num_processes), *kept)  # fmt: skip
        needs = [self._preprocess().key, *(self._fit(method, fold).key for method in fits)]
        needs += [self._preprocess_healthy().key] if request.in_healthy else []
        needs += [self._baseline(fold).key] if fits or kept else []
        return Step(
            f"make {request.num_cases} cases for fold {fold}", f"set {request.set_name} {self._place(fold)}",
            make, (*make, "--overwrite"),
            lambda: part.exists() and len(part.manifest().accepted) >= request.num_cases,
            lambda: {
                f"settings of {request.method}": digest(to_json(request.selected.config)),
                "what makes the set (-m, -preset, -healthy, -seed, -filter, -keep)": digest(
                    [request.method, request.preset, request.healthy, request.seed, request.keep]
                ),
            },
            tuple(needs),
        )  # fmt: skip

    def _train(self, fold: Fold) -> Step:
        request = self.request
        trainer, train = request.final_trainer, self._training(request.final_trainer, fold)
        folder = request.labelled_dataset.model_fold(trainer, request.plans, request.configuration, fold)
        return Step(
            f"train with synthetic cases in fold {fold}", f"train {trainer} {self._place(fold)}",
            (*train, "--c"), train, (folder / "validation" / "summary.json").is_file, self._planned,
            (f"set {request.set_name} {self._place(fold)}",),
        )  # fmt: skip

    def _planned(self) -> Inputs:
        """Return what nnU-Net's trainings depend on besides cases."""
        folder, plans = self.request.labelled_dataset.preprocessed, f"{self.request.plans}.json"
        names = [name for name in (plans, "splits_final.json") if (folder / name).exists()]
        return {name: file_digest(folder / name) for name in names}

    def _training(self, trainer: str, fold: Fold) -> tuple[str, ...]:
        options = ("-tr", trainer, "-p", self.request.plans, "-device", self.request.device)
        return ("nnUNetv2_train", *self._where(fold), *options)

    def _where(self, fold: Fold) -> tuple[str, ...]:
        return self.request.labelled_dataset.number, self.request.configuration, str(fold)

    def _place(self, fold: Fold) -> str:
        return f"{self.request.plans} {self.request.configuration} fold_{fold}"


def _folders(folders: Sequence[Path]) -> Inputs:
    """Return digests of what lies in folders: names, sizes and times of files, since to read them all takes long."""
    return {
        f"the files in {folder}": digest(
            [[str(path.relative_to(folder)), *_stamp(path)] for path in sorted(folder.rglob("*")) if path.is_file()]
        )
        for folder in folders
    }


def _cases(dataset: Dataset) -> Inputs:
    """Return the digest of a dataset's scans and labels, in the same way."""
    cases: Mapping[str, CaseFiles] = raw_cases(dataset)
    files = {name: [_stamp(path) for path in (*case.images, case.label)] for name, case in cases.items()}
    description = file_digest(dataset.raw / "dataset.json")
    return {f"the cases of {dataset.name}": digest([files, description])}


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
