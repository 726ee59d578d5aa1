"""Tumours that a baseline finds in unlabelled scans (SynthTumour's way). In: a request. Out: labels, to be donors.

nnUNet_results/.../<trainer>__<plans>__<configuration>/fold_k/pseudo_labels/Dataset602_Y/ gets, scan by scan, labels of
what is large and sure enough and is recognised once more; components.csv says of all components why they were taken or
left, overview.png shows some. What is there is kept, so that a killed run goes on.
"""

import csv
import io
import shutil
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.class_probabilities import ClassProbabilities
from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.label_roles import LabelRoles, class_values
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.geometry.resampling import resample_label
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked, whole_file, write_json
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.io.kept import kept
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.quality.pseudo_labels import Component, ComponentRules, chosen
from nnunetv2_tf.quality.recognition import recognised, segmented_around
from nnunetv2_tf.synthesis.fitting import usable_device
from nnunetv2_tf.synthesis.host_files import read_file, turned
from nnunetv2_tf.synthesis.pseudo_donors import CURE, DONE, PseudoLabels, label_file, pseudo_donors, pseudo_folder
from nnunetv2_tf.working_space.healthy import check_same_channels, healthy_cases, healthy_stamps
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case, OpenCase
from nnunetv2_tf.working_space.unlabelled import check_copies, check_patients, check_same_bias_field

ROWS = 8  # of the overview
AGAIN = "label the scans anew with --overwrite."
VANISHED = "on the scan's own grid nothing is left of it"


@dataclass(frozen=True)
class PseudoLabelRequest:
    """What nnUNetv2_tf_sets --pseudolabel is asked for."""

    dataset: str  # id or name
    unlabelled: str  # id or name of the dataset of unlabelled scans
    folds: tuple[Fold, ...]
    configuration: str = "3d_fullres"
    plans: str = "nnUNetPlans"
    trainer: str = "TFBaselineTrainer"
    rules: ComponentRules = field(default_factory=ComponentRules)
    mirroring: bool = True
    device: str = "cpu"
    overwrite: bool = False
    trust_checkpoint: bool = False  # the baseline's, even where it may run code


@dataclass(frozen=True)
class ScanLabel:
    """What was found in one scan."""

    label_sha256: str | None  # of its label; None: nothing was taken
    components: tuple[Component, ...]
    source: str  # digest of what it was found in, by whom and by which rules


def pseudolabel(request: PseudoLabelRequest) -> None:
    """Label the scans of a dataset by the baselines of some folds."""
    dataset, unlabelled = Dataset.find(request.dataset), Dataset.find(request.unlabelled)
    plan = Plan.read(dataset, request.plans, request.configuration)
    usable_device(request.device)
    baselines = [
        Baseline(dataset, request.trainer, request.plans, request.configuration, fold, request.trust_checkpoint)
        for fold in dict.fromkeys(request.folds)
    ]
    jobs = [_Job(baseline, unlabelled, plan, request) for baseline in baselines]
    for job in jobs:  # what is wrong with one fold stops all before anything is written
        job.check()
    for job in jobs:
        with locked(job.folder.parent / f".{unlabelled.name}.lock", "these pseudo-labels"):
            job.check_same()  # once more: others may have labelled them meanwhile
            print(job.run())


@dataclass(frozen=True)
class _Job:
    """The labelling of a dataset's scans by one baseline."""

    baseline: Baseline
    unlabelled: Dataset
    plan: Plan
    request: PseudoLabelRequest

    @property
    def folder(self) -> Path:
        """Where labels go."""
        return pseudo_folder(self.baseline, self.unlabelled)

    def check(self) -> None:
        """Raise when this cannot be done; change nothing."""
        dataset, fold = self.baseline.dataset, self.baseline.fold
        self.baseline.checkpoint()
        manager, roles = self.plan.plans_manager, LabelRoles.read(dataset)
        ClassProbabilities.of(manager.get_label_manager(self.plan.dataset_json), roles.tumour)
        check_same_channels(dataset, self.unlabelled)
        check_same_bias_field(dataset, self.unlabelled)
        check_patients(dataset, self.unlabelled, fold)
        check_copies(dataset, self.unlabelled, fold)
        healthy_cases(dataset, self.unlabelled, self.plan)
        self.check_same()

    def check_same(self) -> None:
        """Raise when labels that are there were made in another way."""
        if self.request.overwrite or not (self.folder / DONE).exists():
            return
        before, request = read_record(PseudoLabels, self.folder / DONE, CURE), self.request
        if before.baseline != self.baseline.use:
            self._refuse(f"other weights of {before.baseline.trainer} than there are now")
        for entry in fields(ComponentRules):
            earlier, now = getattr(before.rules, entry.name), getattr(request.rules, entry.name)
            if earlier != now:
                self._refuse(f"-{entry.name} {_plain(earlier)}, not {_plain(now)}")
        if before.mirroring != request.mirroring:
            self._refuse("mirroring" if before.mirroring else "--disable_tta")

    def _refuse(self, difference: str) -> NoReturn:
        raise UserError(f"The scans of {self.unlabelled.name} were labelled with {difference} ({self.folder}); {AGAIN}")

    def run(self) -> str:
        """Label what is not labelled yet; return a sentence about all of it."""
        if self.request.overwrite and self.folder.exists():
            (self.folder / DONE).unlink(missing_ok=True)  # first, so that a kill leaves nothing that looks finished
            shutil.rmtree(self.folder)
        dataset, request = self.baseline.dataset, self.request
        cases = healthy_cases(dataset, self.unlabelled, self.plan)
        stamps = healthy_stamps(dataset, self.unlabelled, self.plan)
        use = self.baseline.use
        made_by = [to_json(use), to_json(request.rules), request.mirroring, self.plan.stamp]
        labeller = _Labeller(self.baseline, request, self.folder)
        tasks = [(case, digest([made_by, stamps[case.identifier]])) for case in cases]
        found = list(in_parallel(labeller, tasks, 1, f"Labelling {self.unlabelled.name}, fold {self.baseline.fold}"))
        by_scan = {case.identifier: label for case, label in zip(cases, found, strict=True)}
        self._write_table(by_scan)
        if not any(label.label_sha256 for label in found):
            raise UserError(self._nothing(found))
        labels = {name: label.label_sha256 for name, label in by_scan.items()}
        stamps = {name: stamps[name] for name in labels}
        record = PseudoLabels(self.unlabelled.name, use, request.rules, request.mirroring, stamps, labels)
        write_json(self.folder / DONE, to_json(record))
        self._paint(by_scan)
        return self._sentence(found)

    def _write_table(self, by_scan: dict[str, ScanLabel]) -> None:
        names = {str(value): name for name, value in class_values(self.baseline.dataset).items()}
        plain = [entry.name for entry in fields(Component) if entry.name not in ("classes", "centre_mm", "objection")]
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["scan", "taken", *plain, *(f"{name}_ml" for name in names.values()), "x", "y", "z", "reason"])
        for scan, label in by_scan.items():
            for one in label.components:
                figures = ["" if getattr(one, name) is None else getattr(one, name) for name in plain]
                classes = [one.classes.get(value, 0.0) for value in names]
                writer.writerow([scan, int(one.taken), *figures, *classes, *one.centre_mm, one.objection])
        with whole_file(self.folder / "components.csv") as temporary:
            temporary.write_text(table.getvalue(), encoding="utf-8")

    def _paint(self, by_scan: dict[str, ScanLabel]) -> None:
        """Paint some scans where most of their tumour lies, without and with it."""
        rows = []
        for donor in list(pseudo_donors(self.baseline, self.unlabelled, self.plan).cases.values())[:ROWS]:
            case = donor.open()
            image, tumour = case.image()[0], case.tumour()
            cut = fullest_slice(tumour > 0)
            span = tuple(np.quantile(image[case.organ()], (0.002, 0.998)).tolist())
            taken = [one for one in by_scan[donor.files.identifier].components if one.taken]
            sure = " ".join(f"{one.confidence:.2f}" for one in taken)
            upright = case.grid.upright
            rows.append(
                [
                    Panel(upright(image[cut]), span, None, donor.files.identifier),
                    Panel(upright(image[cut]), span, upright(tumour[cut]), f"mean probability {sure}"),
                ]
            )
        write_panels(rows, self.folder / "overview.png", inches=2.6)

    def _sentence(self, found: list[ScanLabel]) -> str:
        components = [one for label in found for one in label.components]
        taken = [one for one in components if one.taken]
        scans = sum(label.label_sha256 is not None for label in found)
        dataset, baseline = self.baseline.dataset, self.baseline
        options = f" -tr {baseline.trainer}" + (f" -p {baseline.plans}" if baseline.plans != "nnUNetPlans" else "")
        return (
            f"Fold {baseline.fold}: {len(taken)} of {len(components)} components are taken, in {scans} of {len(found)} "
            f"scans, {sum(one.volume_ml for one in taken):.1f} ml; the others: {self.folder / 'components.csv'}\n"
            f"Look at some: {self.folder / 'overview.png'}\n"
            f"Use them as donors: nnUNetv2_tf_synthesize {dataset.number} {baseline.configuration} {baseline.fold} "
            f"-m METHOD -pseudolabelled {self.unlabelled.number}{options} ..."
        )

    def _nothing(self, found: list[ScanLabel]) -> str:
        components = [one for label in found for one in label.components]
        if not components:
            return (
                f"{self.baseline.path} finds no tumour in any of the {len(found)} scans of {self.unlabelled.name}; "
                "look at them, or train the baseline longer."
            )
        best = max(components, key=lambda one: (one.volume_ml >= self.request.rules.min_ml, one.confidence))
        return (
            f"None of the {len(components)} components that {self.baseline.trainer} finds in {self.unlabelled.name} is "
            f"taken: of the surest {best.objection} ({self.folder / 'components.csv'}). Ask for less with -min_ml, "
            "-confidence or -keep, or train the baseline longer."
        )


@dataclass(frozen=True)
class _Labeller:
    """Labels one scan after the other."""

    baseline: Baseline
    request: PseudoLabelRequest
    folder: Path

    def __call__(self, task: tuple[Case, str]) -> ScanLabel:
        """Label a scan, or read what was found in it before."""
        case, source = task
        path = label_file(self.folder, case.identifier, case.plan)
        record = self.folder / "scans" / f"{case.identifier}.json"

        def found() -> ScanLabel:
            path.unlink(missing_ok=True)
            opened = case.open()
            predicted, components = self._predicted(opened)
            if any(one.taken for one in components) and not _write(predicted, opened, path):
                path.unlink()  # on the scan's own grid, which may be coarser, nothing is left
                components = [replace(one, objection=one.objection or VANISHED) for one in components]
            return ScanLabel(file_digest(path) if path.exists() else None, tuple(components), source)

        label = kept(record, ScanLabel, source, found)
        if label.label_sha256 is not None and not (path.is_file() and file_digest(path) == label.label_sha256):
            record.unlink()
            label = kept(record, ScanLabel, source, found)
        return label

    def _predicted(self, case: OpenCase) -> tuple[np.ndarray, list[Component]]:
        """Return what is predicted (Z, Y, X), LEFT where it is not taken, and its components."""
        segmentor, once_more = _segmentors(self.baseline, self.request)
        image, values = case.image(), case.roles.tumour
        probabilities = segmentor.probabilities(torch.from_numpy(image))
        labels = np.asarray(segmentor.labels.convert_probabilities_to_segmentation(probabilities))
        predicted = np.where(np.isin(labels, values) & case.organ(), labels, 0).astype(np.int16)
        probability = ClassProbabilities.of(segmentor.labels, values).of_any(probabilities).numpy()

        def again(component: np.ndarray) -> float:
            return recognised(segmented_around(once_more, image, component), component, values).tumour

        return chosen(predicted, probability, case.grid.affine, self.request.rules, again)


def _segmentors(baseline: Baseline, request: PseudoLabelRequest) -> tuple[Segmentor, Segmentor]:
    """Return what labels, and what is asked once more: without mirroring, of a box around the component."""
    key: Any = (baseline, request.device, request.mirroring)
    if key not in _ready:
        _ready.clear()
        device = torch.device(request.device)
        _ready[key] = Segmentor(baseline, device, request.mirroring), Segmentor(baseline, device)
    return _ready[key]


_ready: dict[Any, tuple[Segmentor, Segmentor]] = {}


def _write(predicted: np.ndarray, case: OpenCase, path: Path) -> bool:
    """Write a map (Z, Y, X) as a label of the scan; return whether anything is left of its tumour there."""
    volume = read_file(case.files.label, case)
    native = resample_label(predicted, np.linalg.inv(case.grid.to_native), case.grid.native_shape)
    turned(volume, case)[...] = volume.to_file_values(native)
    volume.write(path)
    return bool(np.isin(native, case.roles.tumour).any())


def _plain(value: Any) -> str:
    return " ".join(f"{number:g}" for number in np.atleast_1d(value))
