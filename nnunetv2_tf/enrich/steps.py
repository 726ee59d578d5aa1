"""The steps of an enrichment. In: a request. Out: steps in order, each with its command and what it works on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.benchmark.running import LOCK
from nnunetv2_tf.dataset.cases import dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.enrich import inputs
from nnunetv2_tf.enrich.inputs import Inputs
from nnunetv2_tf.enrich.request import PLANNERS, EnrichRequest
from nnunetv2_tf.enrich.step import Step, delete_fit, delete_part, nothing, put_aside
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.methods.lookup import SelectedMethod, needed_by
from nnunetv2_tf.report.page.write import NAME as PAGE
from nnunetv2_tf.sets.names import parse_trainer_name
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.fit_result import learns
from nnunetv2_tf.synthesis.fitting import DONE, fit_name
from nnunetv2_tf.working_space.healthy import healthy_plans_name
from nnunetv2_tf.working_space.preprocess import Plan, is_stored

FINGERPRINT = "dataset_fingerprint.json"  # by which nnU-Net plans


def steps_of(request: EnrichRequest) -> list[Step]:
    """Return all steps, in an order in which they can be done."""
    return list(_Steps(request).all())


@dataclass(frozen=True)
class _Steps:
    request: EnrichRequest

    def all(self) -> Iterator[Step]:
        request = self.request
        if request.raw_brats:
            yield self._convert_brats()
        if request.raw_healthy:
            yield self._convert_healthy()
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
            yield self._report(fold)
            if request.train:
                yield self._train(fold)

    def _convert_brats(self) -> Step:
        request, dataset = self.request, self.request.labelled_dataset
        folders, name = tuple(map(str, request.raw_brats)), dataset.name[11:]
        source = () if request.source is None else ("-source", request.source)
        command = ("nnUNetv2_tf_convert_brats", "-i", *folders, "-d", dataset.number, "-name", name, "-modalities",
                   *request.modalities, *source, "-np", str(request.num_processes))  # fmt: skip
        return Step(
            f"convert {' '.join(folders)}", _converting(dataset), command, (dataset.raw / "dataset.json").is_file,
            lambda: {
                **inputs.of_folders("-raw_brats", request.raw_brats), "-modalities": " ".join(request.modalities),
                "-source": str(request.source),
            },
            at_once=True,
            stuck=lambda: f"leave -raw_brats out to go on with {dataset.name} as it is, or delete it in nnUNet_raw and "
            "nnUNet_preprocessed, to have it converted anew.",
        )  # fmt: skip

    def _convert_healthy(self) -> Step:
        request, healthy = self.request, self.request.healthy_dataset
        folders, name = tuple(map(str, request.raw_healthy)), healthy.name[11:]
        command = ("nnUNetv2_tf_convert_healthy", "-i", *folders, "-d", healthy.number, "-name", name, "-reference",
                   request.labelled_dataset.number, "-np", str(request.num_processes))  # fmt: skip
        return Step(
            f"convert {' '.join(folders)}", _converting(healthy), command, (healthy.raw / "dataset.json").is_file,
            lambda: inputs.of_folders("-raw_healthy", request.raw_healthy), (_converting(request.labelled_dataset),),
            remembered_only=True, accepted=(0, 1),
        )  # fmt: skip

    def _preprocess(self) -> Step:
        request, dataset, plans = self.request, self.request.labelled_dataset, self.request.plans
        folder, cases = dataset.preprocessed, f"the cases of {dataset.name}"

        def plan_again(changed: Sequence[str]) -> None:
            if cases not in changed:  # somebody has changed the plans, and means them
                return
            stale = (f"{plans}.json", FINGERPRINT, "dataset.json") if own else ()
            for name in stale:
                (folder / name).unlink(missing_ok=True)
            if not own:  # what is left of planning anew: nnU-Net preprocesses by this copy
                write_json(folder / "dataset.json", dataset_json(dataset))

        own = plans == "nnUNetPlans" or plans in PLANNERS or request.spacing is not None
        return Step(
            f"plan and preprocess {dataset.name}", self._preprocess_key, self._planning(dataset),
            lambda: self._stored(dataset, plans) and inputs.labels_are_copied(dataset),
            lambda: {**inputs.of_cases(dataset), **inputs.of_plans(dataset, plans, request.configuration)},
            (_converting(dataset),), clear=plan_again,
        )  # fmt: skip

    def _planning(self, dataset: Dataset) -> tuple[str, ...]:
        """Return the command that plans, unless that is done, and preprocesses."""
        request, plans = self.request, self.request.plans
        several = ("-c", request.configuration, "-np", str(request.num_processes))
        if (dataset.preprocessed / f"{plans}.json").exists():
            return ("nnUNetv2_preprocess", "-d", dataset.number, "-plans_name", plans, *several)
        both = ("nnUNetv2_plan_and_preprocess", "-d", dataset.number, "--verify_dataset_integrity", *several,
                "-npfp", str(request.num_processes))  # fmt: skip
        if request.spacing is not None:
            spacing = tuple(map(repr, request.spacing))
            return (*both, "-overwrite_target_spacing", *spacing, "-overwrite_plans_name", plans)
        return (*both, "-pl", PLANNERS[plans]) if plans in PLANNERS else both

    def _preprocess_healthy(self) -> Step:
        request, healthy, dataset = self.request, self.request.healthy_dataset, self.request.labelled_dataset
        plans = healthy_plans_name(dataset, request.plans)
        command = ("nnUNetv2_tf_preprocess_healthy", "-d", dataset.number, "-healthy", healthy.number,
                   "-p", request.plans, "-c", request.configuration, "-np", str(request.num_processes))  # fmt: skip
        return Step(
            f"preprocess {healthy.name}", self._preprocess_healthy_key, command,
            lambda: self._stored(healthy, plans), lambda: inputs.of_cases(healthy),
            (self._preprocess_key, _converting(healthy)),
        )  # fmt: skip

    def _stored(self, dataset: Dataset, plans: str) -> bool:
        """Return whether all cases of a dataset are preprocessed."""
        folder = dataset.preprocessed
        wanted = (dataset.raw / "dataset.json", folder / f"{plans}.json", folder / "dataset.json")
        if not all(path.exists() for path in wanted):
            return False
        arrays = folder / Plan.read(dataset, plans, self.request.configuration).data_identifier
        return all(is_stored(arrays, case) for case in raw_cases(dataset))

    def _baseline(self, fold: Fold) -> Step:
        return self._training(
            "train the baseline", self.request.trainer, fold, (), nothing, self._checkpoint(fold).is_file
        )

    def _train(self, fold: Fold) -> Step:
        request = self.request
        part, trainer = self._part(fold), request.final_trainer
        count, folder = parse_trainer_name(trainer)[1].count, self._folder(trainer, fold)
        return self._training(
            "train with synthetic cases", trainer, fold, (self._set_key(fold),), lambda: inputs.of_set(part, count),
            lambda: (folder / "checkpoint_final.pth").exists() and (folder / "validation" / "summary.json").is_file(),
        )  # fmt: skip

    def _training(
        self, title: str, trainer: str, fold: Fold, needs: tuple[str, ...], more: Callable[[], Inputs],
        finished: Callable[[], bool],
    ) -> Step:  # fmt: skip
        request, dataset, folder = self.request, self.request.labelled_dataset, self._folder(trainer, fold)
        command = ("nnUNetv2_train", *self._where(fold), "-tr", trainer, "-p", request.plans, "-device", request.device)
        return Step(
            f"{title} in fold {fold}", self._training_key(trainer, fold), (*command, "--c"), finished,
            lambda: {**inputs.of_training(dataset, request.plans, fold), **more()},
            (self._preprocess_key, *needs), cleared=True, clear=lambda _: put_aside(folder), lock=folder / LOCK,
        )  # fmt: skip

    def _fit(self, method: SelectedMethod, fold: Fold) -> Step:
        request, healthy = self.request, self.request.healthy_dataset
        name = fit_name(method, healthy)
        folder, config = self._folder(name, fold), to_json(method.config)
        fit = ("nnUNetv2_tf_fit", *self._where(fold), "-m", method.name, "-preset", method.preset, "-healthy",
               healthy.number, "-p", request.plans, "-tr", request.trainer, "-device", request.device,
               "-kept_gb", f"{request.kept_gb:g}")  # fmt: skip
        before = [other for other in needed_by(method) if learns(other)]
        return Step(
            f"fit {method.name} in fold {fold}", self._fit_key(method, fold), fit, (folder / DONE).is_file,
            lambda: {
                **inputs.asked(
                    method.name, method.preset, config, healthy.name, request.plans, request.configuration
                ),
                **self._declared(method), **self._learnt_through(fold), **self._fits_in(fold, before),
            },
            (
                self._preprocess_healthy_key, self._training_key(request.trainer, fold),
                *(self._fit_key(one, fold) for one in before),
            ),
            told=lambda: {
                name: value for name, value in inputs.told_by(folder, _of_baseline(fold)).items() if name != "-seed"
            },
            cleared=True, clear=lambda _: delete_fit(folder),
        )  # fmt: skip

    def _synthesize(self, fold: Fold, fits: Sequence[SelectedMethod]) -> Step:
        request, part, method = self.request, self._part(fold), self.request.selected
        healthy = request.healthy_dataset if request.in_healthy else None
        hosts = () if healthy is None else ("-healthy", healthy.number)
        kept = () if request.keep is None else (
            "-filter", "-keep", *(f"{share:g}" for share in request.keep), "-tr", request.trainer)  # fmt: skip
        make = ("nnUNetv2_tf_synthesize", *self._where(fold), "-m", request.method, "-preset", request.preset, *hosts,
                "-p", request.plans, "-num_cases", str(request.num_cases), "-s", request.set_name, "-seed",
                str(request.seed), "-device", request.device, "-np", str(request.num_processes), "-kept_gb",
                f"{request.kept_gb:g}", *kept)  # fmt: skip
        asked = inputs.asked(
            request.method, request.preset, to_json(method.config), healthy and healthy.name, request.plans,
            request.configuration,
        )  # fmt: skip
        return Step(
            f"make {request.num_cases} cases in fold {fold}", self._set_key(fold), make, lambda: self._made(part),
            lambda: {
                **asked, **self._declared(method), "-seed": str(request.seed),
                "-filter, -keep": digest(request.keep and list(request.keep)), "wishes for tumours": digest(None),
                **inputs.of_training(request.labelled_dataset, request.plans, fold),
                **(self._learnt_through(fold) if fits or kept else {}), **self._fits_in(fold, fits),
            },
            (self._preprocess_key, *((self._preprocess_healthy_key,) if healthy else ()),
             *((self._training_key(request.trainer, fold),) if fits or kept else ()),
             *(self._fit_key(one, fold) for one in fits)),
            told=lambda: inputs.told_by(part.folder, _of_baseline(fold)), clear=lambda _: delete_part(part),
            cleared=True, stuck=lambda: "its cases are from elsewhere, and would be lost; take another name with -s."
            if inputs.is_foreign(part.folder) else "",
        )  # fmt: skip

    def _declared(self, method: SelectedMethod) -> Inputs:
        """Return what a preset says besides the method's settings."""
        rules = [to_json(method.sampling), to_json(method.checked), method.shapes and to_json(method.shapes)]
        return {f"rules of drawing and checking of {method.name}": digest(rules)}

    def _learnt_through(self, fold: Fold) -> Inputs:
        return {"-tr": self.request.trainer, **inputs.of_file(_of_baseline(fold), self._checkpoint(fold))}

    def _fits_in(self, fold: Fold, fits: Sequence[SelectedMethod]) -> Inputs:
        """Return the digests of what methods have learnt."""
        found: dict[str, str] = {}
        for method in fits:
            path = self._folder(fit_name(method, self.request.healthy_dataset), fold) / DONE
            found |= inputs.of_file(f"the fit of {method.name} in fold {fold}", path)
        return found

    def _report(self, fold: Fold) -> Step:
        request, part = self.request, self._part(fold)
        command = ("nnUNetv2_tf_report", "-d", request.labelled_dataset.number, "-s", request.set_name, "-f", str(fold),
                   "-np", str(request.num_processes))  # fmt: skip
        return Step(
            f"write the page of fold {fold}", f"page of {self._set_key(fold)}", command,
            (part.folder / PAGE).is_file, lambda: inputs.of_set(part, None), (self._set_key(fold),),
            renewed=True,
        )  # fmt: skip

    def _made(self, part: SetPart) -> bool:
        """Return whether a part has its cases, preprocessed."""
        request = self.request
        if not part.exists() or len(part.manifest().accepted) < request.num_cases:
            return False
        plan = Plan.read(request.labelled_dataset, request.plans, request.configuration)
        return not part.stale(plan, part.manifest().accepted)

    def _part(self, fold: Fold) -> SetPart:
        return SetPart(self.request.labelled_dataset, self.request.set_name, fold)

    def _set_key(self, fold: Fold) -> str:
        return f"set {self.request.set_name} fold_{fold}"

    def _checkpoint(self, fold: Fold) -> Path:
        request = self.request
        dataset, plans, configuration = request.labelled_dataset, request.plans, request.configuration
        return Baseline(dataset, request.trainer, plans, configuration, fold).path

    def _folder(self, called: str, fold: Fold) -> Path:
        return self.request.labelled_dataset.model_fold(called, self.request.plans, self.request.configuration, fold)

    def _where(self, fold: Fold) -> tuple[str, ...]:
        return self.request.labelled_dataset.number, self.request.configuration, str(fold)

    def _place(self, fold: Fold) -> str:
        return f"{self.request.plans} {self.request.configuration} fold_{fold}"

    @property
    def _preprocess_key(self) -> str:
        return f"preprocess {self.request.labelled_dataset.name} {self.request.plans} {self.request.configuration}"

    @property
    def _preprocess_healthy_key(self) -> str:
        plans = healthy_plans_name(self.request.labelled_dataset, self.request.plans)
        return f"preprocess {self.request.healthy_dataset.name} {plans} {self.request.configuration}"

    def _training_key(self, trainer: str, fold: Fold) -> str:
        return f"train {trainer} {self._place(fold)}"

    def _fit_key(self, method: SelectedMethod, fold: Fold) -> str:
        return f"fit {fit_name(method, self.request.healthy_dataset)} {self._place(fold)}"


def _converting(dataset: Dataset) -> str:
    return f"convert {dataset.name}"


def _of_baseline(fold: Fold) -> str:
    return f"the baseline of fold {fold}"
