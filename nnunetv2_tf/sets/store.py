"""One fold's part of a set: its files, its manifest, which of its cases are preprocessed; and the list of all sets."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.cases import CaseFiles, channel_files
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.preparation.preprocess import Plan, StampedFolder
from nnunetv2_tf.provenance import CURE, CaseEntry, Manifest, Sidecar
from nnunetv2_tf.sets.names import check_set_name
from nnunetv2_tf.stamps import file_digest
from nnunetv2_tf.work import locked


@dataclass(frozen=True)
class SetPart:
    """The part of a set for one fold."""

    dataset: Dataset
    set_name: str
    fold: Fold

    @property
    def folder(self) -> Path:
        """nnUNet_raw/<dataset>/tf/<set>/fold_<k>."""
        return self.dataset.set_part(self.set_name, self.fold)

    @property
    def manifest_path(self) -> Path:
        """The manifest; a part exists when it does."""
        return self.folder / "manifest.json"

    def exists(self) -> bool:
        """Whether this fold has a part of the set."""
        return self.manifest_path.is_file()

    def refuse_missing(self) -> None:
        """Raises when the fold has no such part; says what it has."""
        if self.exists():
            return
        known = sorted({part.set_name for part in all_parts(self.dataset) if part.fold == self.fold})
        others = f"fold {self.fold} has: {', '.join(known)}" if known else f"fold {self.fold} has no set yet"
        raise UserError(
            f"There is no set {self.set_name} for fold {self.fold} of {self.dataset.name} ({self.folder}); {others}. "
            "Make cases with nnUNetv2_tf_synthesize, or add some with nnUNetv2_tf_sets --add."
        )

    def manifest(self) -> Manifest:
        """Reads the manifest."""
        self.refuse_missing()
        manifest = Manifest.read(self.manifest_path)
        if (manifest.dataset, manifest.set, manifest.fold) != (self.dataset.name, self.set_name, self.fold):
            raise UserError(
                f"{self.manifest_path} belongs to set {manifest.set}, fold {manifest.fold}, of {manifest.dataset}; "
                "sets cannot be copied or renamed by hand, add the cases with nnUNetv2_tf_sets --add."
            )
        return manifest

    def sidecar_path(self, case: str) -> Path:
        """Where the sidecar of a case is."""
        return self.folder / "sidecars" / f"{case}.json"

    def sidecar(self, case: str) -> Sidecar:
        """Reads the sidecar of a case."""
        sidecar = Sidecar.read(self.sidecar_path(case))
        if sidecar.case != case:
            raise UserError(f"{self.sidecar_path(case)} speaks of {sidecar.case}; {CURE}")
        return sidecar

    @property
    def config_path(self) -> Path:
        """What nnUNetv2_tf_synthesize makes the part of; foreign parts have none."""
        return self.folder / "config.json"

    def case_files(self, case: str, file_ending: str, channels: int) -> CaseFiles:
        """The NIfTI files of a case."""
        images = channel_files(self.folder / "imagesTr", case, file_ending, channels)
        return CaseFiles(case, images, self.folder / "labelsTr" / f"{case}{file_ending}")

    def files(self, entry: CaseEntry, file_ending: str) -> CaseFiles:
        """The NIfTI files of a case in the manifest."""
        return self.case_files(entry.case, file_ending, len(entry.image_sha256))

    def preprocessed(self, data_identifier: str) -> Path:
        """Where the arrays of a configuration are; holds nothing else, as nnU-Net demands."""
        return self.dataset.preprocessed_set_part(self.set_name, self.fold) / data_identifier

    def stale(self, plan: Plan, entries: Sequence[CaseEntry]) -> list[CaseEntry]:
        """The cases that are not preprocessed, or from other files or by other plans than now."""
        stale = set(self._stored(plan).stale(plan, {entry.case: _source(entry) for entry in entries}))
        return [entry for entry in entries if entry.case in stale]

    def preprocess(self, plan: Plan, num_processes: int) -> int:
        """Preprocesses what is stale; returns how many cases that were."""
        with self.lock:
            entries = {entry.case: entry for entry in self.stale(plan, self.manifest().cases)}
            cases = [self.files(entry, plan.dataset_json["file_ending"]) for entry in entries.values()]
            for case in cases:
                refuse_changed(case, entries[case.identifier])
            sources = {case: _source(entry) for case, entry in entries.items()}
            self._stored(plan).preprocess(plan, cases, sources, num_processes)
        return len(cases)

    def remove(self) -> None:
        """Deletes the part and its preprocessed arrays. The manifest goes first: what is left is never a set."""
        self.manifest_path.unlink(missing_ok=True)
        self.config_path.unlink(missing_ok=True)
        if self.folder.exists():
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.folder.rename(self.scratch)  # what a kill leaves is never taken for cases
        for folder in (self.scratch, self.dataset.preprocessed_set_part(self.set_name, self.fold)):
            if folder.exists():
                shutil.rmtree(folder)

    @property
    def scratch(self) -> Path:
        """Where cases are put together before they join."""
        return self.dataset.sets / f".{self.set_name}.{self.folder.name}.adding"

    @property
    def lock(self) -> AbstractContextManager[object]:
        """To be held while writing to this part."""
        path = self.dataset.sets / f".{self.set_name}.{self.folder.name}.lock"
        return locked(path, f"set {self.set_name}, fold {self.fold}")

    def _stored(self, plan: Plan) -> StampedFolder:
        return StampedFolder(self.preprocessed(plan.data_identifier))


def all_parts(dataset: Dataset) -> Iterator[SetPart]:
    """Every part of every set of a dataset, by set and fold."""
    for manifest in sorted(dataset.sets.glob("*/fold_*/manifest.json")):
        fold = _fold_of(manifest.parent)
        if fold is not None:
            yield SetPart(dataset, manifest.parent.parent.name, fold)


def parts_of(dataset: Dataset, set_name: str, folds: Sequence[Fold] | None = None) -> list[SetPart]:
    """The parts of one set, or those for some folds; refuses a set that has none and a fold that has none."""
    if folds is not None:
        parts = [SetPart(dataset, set_name, fold) for fold in dict.fromkeys(folds)]
        for part in parts:
            part.refuse_missing()
        return parts
    parts = [part for part in all_parts(dataset) if part.set_name == set_name]
    if not parts:
        raise UserError(f"{dataset.name} has no set {set_name}; nnUNetv2_tf_sets -d {dataset.name} lists its sets.")
    return parts


def remove_set(dataset: Dataset, set_name: str, folds: Sequence[Fold] | None) -> list[SetPart]:
    """Deletes a set or some folds' parts of it, also half-added and half-removed ones; returns what was there."""
    check_set_name(set_name)
    roots = (dataset.sets / set_name, dataset.preprocessed / "tf" / set_name)
    found = {_fold_of(folder) for root in roots for folder in root.glob("fold_*")}
    found |= {_fold_of(path, f".{set_name}.", ".adding") for path in dataset.sets.glob(f".{set_name}.fold_*.adding")}
    there = {fold for fold in found if fold is not None}
    wanted = there if folds is None else set(folds) & there
    if not wanted:
        parts_of(dataset, set_name)
        raise UserError(f"Set {set_name} of {dataset.name} has no part for fold {' '.join(map(str, folds or []))}.")
    parts = [SetPart(dataset, set_name, fold) for fold in sorted(wanted, key=str)]
    for part in parts:
        with part.lock:
            part.remove()
    for folder in (*roots, *(root.parent for root in roots)):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return parts


def only_set_of(dataset: Dataset, fold: Fold) -> SetPart:
    """The fold's set when there is exactly one, so that a trainer's name need not say it."""
    parts = [part for part in all_parts(dataset) if part.fold == fold]
    if len(parts) != 1:
        found = ", ".join(part.set_name for part in parts) or "none"
        raise UserError(
            f"-tr TFEnrichedTrainer without a set's name needs exactly one set for fold {fold}, and there is: {found}; "
            "name one (TFEnrichedTrainer_<set>), or add one with nnUNetv2_tf_sets --add."
        )
    return parts[0]


def refuse_changed(case: CaseFiles, entry: CaseEntry) -> None:
    """Raises when a file of a case is not the one the manifest speaks of."""
    for path, expected in zip((*case.images, case.label), (*entry.image_sha256, entry.label_sha256), strict=True):
        if not path.is_file() or file_digest(path) != expected:
            raise UserError(
                f"{path} is missing or was changed since the case joined the set; put it back, or remove "
                "the set (nnUNetv2_tf_sets --remove) and add it again."
            )


def _source(entry: CaseEntry) -> list[Any]:
    """What a case was made of, for its stamp."""
    return [list(entry.image_sha256), entry.label_sha256]


def _fold_of(folder: Path, prefix: str = "", suffix: str = "") -> Fold | None:
    """The fold a folder's name speaks of; None for names that are not ours."""
    text = folder.name.removeprefix(prefix).removesuffix(suffix).removeprefix("fold_")
    if text == "all":
        return text
    return int(text) if text.isdigit() and str(int(text)) == text else None
