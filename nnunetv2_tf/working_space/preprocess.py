"""nnU-Net's own preprocessor, case by case. In: NIfTI files and plans. Out: what `nnUNetv2_preprocess` would store.

`nnUNetv2_preprocess` itself deletes its output folder first and lists its cases itself, so it cannot add to a set.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_tf.dataset.cases import CaseFiles
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import put_in_place, read_json, scratch_folder, write_json
from nnunetv2_tf.io.json_dataclass import checked, to_json
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.io.written import WrittenFiles, are_whole, record_of

# settings of a configuration, and of plans, that decide the arrays a case becomes
DECIDING = {"spacing", "normalization_schemes", "use_mask_for_norm", "preprocessor_name"}
DECIDING_IN_PLANS = (
    "transpose_forward",
    "image_reader_writer",
    "foreground_intensity_properties_per_channel",
    "label_manager",
)
SAVED_AFTER = 2.0  # seconds between two writings of all stamps
STORED = ("_seg.b2nd", ".pkl", ".b2nd")  # in this order: a case with its .b2nd in place is complete


@dataclass(frozen=True)
class Plan:
    """One configuration of one plans file of a dataset, with the dataset.json nnU-Net trains with."""

    plans: dict[str, Any]
    configuration: str
    dataset_json: dict[str, Any]

    @classmethod
    def read(cls, dataset: Dataset, plans_name: str, configuration: str) -> "Plan":
        """Read a dataset's plans; refuse a configuration that does not exist, and the cascade's."""
        plans = read_plans(dataset, plans_name)
        if configuration not in plans["configurations"]:
            known = ", ".join(plans["configurations"])
            raise UserError(f"{plans_name} of {dataset.name} has no configuration {configuration}, only {known}.")
        plan = cls(plans, configuration, read_json(dataset.preprocessed / "dataset.json", "plan the dataset again."))
        if plan.manager.previous_stage_name is not None:
            raise UserError(f"{configuration} needs predictions of its previous stage, which synthetic cases lack.")
        return plan

    @property
    def plans_manager(self) -> PlansManager:
        """nnU-Net's view of the plans."""
        return PlansManager(self.plans)

    @property
    def manager(self) -> Any:
        """nnU-Net's view of the configuration."""
        return self.plans_manager.get_configuration(self.configuration)

    @property
    def data_identifier(self) -> str:
        """The name of the folder nnU-Net stores preprocessed cases in."""
        return self.manager.data_identifier

    @property
    def stamp(self) -> str:
        """A digest of all settings that preprocessed arrays depend on; batch and patch size are not among them."""
        settings = dict(self.manager.configuration)
        deciding = [key for key in settings if key in DECIDING or key.startswith("resampling_fn")]
        return digest(
            {
                "configuration": {key: settings[key] for key in deciding},
                "plans": {key: self.plans.get(key) for key in DECIDING_IN_PLANS},
                "labels": {key: self.dataset_json.get(key) for key in ("labels", "regions_class_order")},
            }
        )

    @property
    def z_scored(self) -> list[bool]:
        """By channel, whether nnU-Net gives each case mean 0 and standard deviation 1."""
        return [scheme == "ZScoreNormalization" for scheme in self.manager.normalization_schemes]

    @property
    def label_manager(self) -> Any:
        """nnU-Net's view of the labels."""
        return self.plans_manager.get_label_manager(self.dataset_json)

    @property
    def masked(self) -> bool:
        """Whether any channel is normalised inside the nonzero mask only."""
        return any(self.manager.use_mask_for_norm)


def stored_files(folder: Path, case: str) -> list[Path]:
    """Return the paths of a case's files in a folder of arrays."""
    return [folder / f"{case}{ending}" for ending in STORED]


def is_stored(folder: Path, case: str) -> bool:
    """Return whether a folder of arrays has all files of a case."""
    return all(path.is_file() for path in stored_files(folder, case))


def read_plans(dataset: Dataset, plans_name: str) -> dict[str, Any]:
    """Read a plans file of a dataset."""
    path = dataset.preprocessed / f"{plans_name}.json"
    plans = read_json(path, f"run nnUNetv2_plan_and_preprocess for {dataset.name}, or name other plans with -p.")
    within = plans.get("plans_name")
    if within != plans_name:
        raise UserError(
            f'{path} is called {within} within, by which nnU-Net names its results; write "plans_name": "{plans_name}" '
            "there."
        )
    return plans


def chosen_plans(dataset: Dataset, plans_name: str, configurations: Sequence[str] | None) -> list[Plan]:
    """Return the plans of the configurations asked for, or of those for which the dataset is preprocessed."""
    if configurations is not None:
        return [Plan.read(dataset, plans_name, configuration) for configuration in configurations]
    plans = []
    for configuration, settings in read_plans(dataset, plans_name)["configurations"].items():
        identifier = settings.get("data_identifier")
        if identifier and "previous_stage" not in settings and (dataset.preprocessed / identifier).is_dir():
            plans.append(Plan.read(dataset, plans_name, configuration))
    if not plans:
        raise UserError(
            f"No configuration of {plans_name} is preprocessed for {dataset.name}; run nnUNetv2_preprocess, or name "
            "configurations with -c."
        )
    return sorted(plans, key=lambda plan: plan.configuration, reverse=True)  # 3d_fullres before 2d


@dataclass(frozen=True)
class Stamp:
    """What a case was preprocessed from, and what came of it."""

    made_from: str  # digest of the files and of the plan's settings
    files: WrittenFiles = field(default_factory=dict)  # its arrays as they were written; empty where older versions did


@dataclass(frozen=True)
class StampedFolder:
    """A folder of preprocessed cases; a file of stamps beside it tells which cases are out of date."""

    folder: Path  # holds nothing but what nnU-Net stores, since nnU-Net lists it to find its cases

    def stale(self, plan: Plan, sources: Mapping[str, Sequence[Any]], by_digest: bool = False) -> list[str]:
        """Return the cases that are not preprocessed, or were from other files or by other plans than now.

        Args:
            plan: the plan as it is now
            sources: by case, digests of its files
            by_digest: read all arrays, and find those that have changed since they were written
        """
        stamps, plan_stamp = self.stamps(), plan.stamp
        return [
            case
            for case, source in sources.items()
            if case not in stamps
            or stamps[case].made_from != digest([plan_stamp, *source])
            or not are_whole(self.folder, stored_files(self.folder, case), stamps[case].files, by_digest)
            or (by_digest and not stamps[case].files)  # older stamps, for once
        ]

    def forget_others(self, cases: Collection[str]) -> None:
        """Remove the arrays and stamps of cases that are not among these."""
        stamps = self.stamps()
        gone = set(stamps) - set(cases)
        for case in gone:
            for ending in STORED:
                (self.folder / f"{case}{ending}").unlink(missing_ok=True)
        if gone:
            self._write({case: stamp for case, stamp in stamps.items() if case not in gone})

    def preprocess(
        self,
        plan: Plan,
        cases: Sequence[CaseFiles],
        sources: Mapping[str, Sequence[Any]],
        source_now: Callable[[CaseFiles], Sequence[Any]],
        num_processes: int,
    ) -> None:
        """Preprocess these cases and stamp each when its files are written.

        Args:
            plan: the plan
            cases: to preprocess
            sources: by case, digests of its files, as they were when they were checked
            source_now: the same of a case whose files may have changed since
            num_processes: cases worked on at once
        """
        again, plan_stamp = {case.identifier: case for case in cases}, plan.stamp
        stamps = {case: stamp for case, stamp in self.stamps().items() if case not in again}
        self._write(stamps)  # before any array is replaced: no kill may leave new arrays under old stamps
        saved = monotonic()
        try:
            for case, files in preprocess_cases(plan, cases, self.folder, num_processes):
                if source_now(again[case]) != sources[case]:
                    raise UserError(
                        f"A file of {case} has changed while it was preprocessed; put it back and run the same command "
                        "again."
                    )
                stamps[case] = Stamp(digest([plan_stamp, *sources[case]]), files)
                if monotonic() - saved > SAVED_AFTER:
                    self._write(stamps)
                    saved = monotonic()
        except BaseException:
            with suppress(OSError):  # what stopped it is to be told, and may be a full disk
                self._write(stamps)
            raise
        self._write(stamps)

    def stamps(self) -> dict[str, Stamp]:
        """Read the stamps, by case."""
        again = "delete it and preprocess again."
        stored = read_json(self._path, again) if self._path.exists() else {}
        if not isinstance(stored, dict):
            raise UserError(f"{self._path} must be an object; {again}")
        return {
            case: Stamp(value) if isinstance(value, str) else checked(Stamp, value, self._path, again)
            for case, value in stored.items()
        }

    def _write(self, stamps: Mapping[str, Stamp]) -> None:
        write_json(self._path, to_json(stamps))

    @property
    def _path(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.stamps.json")


def preprocess_cases(
    plan: Plan, cases: Sequence[CaseFiles], folder: Path, num_processes: int
) -> Iterator[tuple[str, WrittenFiles]]:
    """Preprocess each case into `folder`; yield its name and files when it is there, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    description = f"Preprocessing for {plan.configuration}"
    with scratch_folder(folder.with_name(f".{folder.name}.tmp")) as scratch:
        yield from in_parallel(partial(_preprocess_case, plan, folder, scratch), cases, num_processes, description)


def _preprocess_case(plan: Plan, folder: Path, scratch: Path, case: CaseFiles) -> tuple[str, WrittenFiles]:
    manager, configuration = plan.plans_manager, plan.manager
    preprocessor = configuration.preprocessor_class(verbose=False)
    images = [str(image) for image in case.images]
    truncated = str(scratch / case.identifier)
    try:
        preprocessor.run_case_save(truncated, images, str(case.label), manager, configuration, plan.dataset_json)
    except (RuntimeError, OSError) as error:  # what blosc2 and the readers raise, a full disk among other things
        raise UserError(
            f"{case.identifier} could not be preprocessed into {folder} ({error}); is the disk full, or the case "
            "damaged? Mend that and run the same command again; what is finished is kept."
        ) from error
    stored = stored_files(folder, case.identifier)
    for ending, path in zip(STORED, stored, strict=True):
        put_in_place(Path(truncated + ending), path)
    return case.identifier, record_of(folder, stored)
