"""Sets on disk. In: a dataset. Out: each fold's part of a set, with its files, manifest and preprocessed arrays."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunetv2_tf.dataset.cases import CaseFiles, channel_files
from nnunetv2_tf.dataset.folders import FIGURES, Dataset
from nnunetv2_tf.dataset.provenance import CURE, CaseEntry, Manifest, Sidecar
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked
from nnunetv2_tf.sets.names import check_set_name
from nnunetv2_tf.working_space.preprocess import Plan, StampedFolder
from nnunetv2_tf.working_space.stored import Case


@dataclass(frozen=True)
class SetPart:
    """The part of a set that belongs to one fold."""

    dataset: Dataset
    set_name: str
    fold: Fold

    @property
    def folder(self) -> Path:
        """The folder nnUNet_raw/<dataset>/tf/<set>/fold_<k>."""
        return self.dataset.set_part(self.set_name, self.fold)

    @property
    def arrays(self) -> Path:
        """The folder nnUNet_preprocessed/<dataset>/tf/<set>/fold_<k>."""
        return self.dataset.preprocessed_set_part(self.set_name, self.fold)

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is; a part exists when its manifest does."""
        return self.folder / "manifest.json"

    def exists(self) -> bool:
        """Return whether this fold has a part of the set."""
        return self.manifest_path.is_file()

    def check_exists(self) -> None:
        """Raise when the fold has no part of the set; the message lists the sets that it has."""
        if self.exists():
            return
        known = sorted({part.set_name for part in all_parts(self.dataset) if part.fold == self.fold})
        others = f"fold {self.fold} has: {', '.join(known)}" if known else f"fold {self.fold} has no set yet"
        raise UserError(
            f"There is no set {self.set_name} for fold {self.fold} of {self.dataset.name} ({self.folder}); {others}. "
            "Make cases with nnUNetv2_tf_synthesize, or add some with nnUNetv2_tf_sets --add."
        )

    def manifest(self) -> Manifest:
        """Read the manifest."""
        self.check_exists()
        manifest = Manifest.read(self.manifest_path)
        if (manifest.dataset, manifest.set, manifest.fold) != (self.dataset.name, self.set_name, self.fold):
            raise UserError(
                f"{self.manifest_path} belongs to set {manifest.set}, fold {manifest.fold}, of {manifest.dataset}; "
                "sets cannot be copied or renamed by hand, add the cases with nnUNetv2_tf_sets --add."
            )
        return manifest

    def sidecar_path(self, case: str) -> Path:
        """Return where the sidecar of a case is."""
        return self.folder / "sidecars" / f"{case}.json"

    def sidecar(self, case: str) -> Sidecar:
        """Read the sidecar of a case."""
        sidecar = Sidecar.read(self.sidecar_path(case))
        if sidecar.case != case:
            raise UserError(f"{self.sidecar_path(case)} speaks of {sidecar.case}; {CURE}")
        return sidecar

    @property
    def config_path(self) -> Path:
        """Where nnUNetv2_tf_synthesize writes how it makes the part; parts of foreign cases have no such file."""
        return self.folder / "config.json"

    def skipped_path(self, case: str) -> Path:
        """Return the path of the file that says why a line of the recipe became no case."""
        return self.folder / "skipped" / f"{case}.json"

    def case_files(self, case: str, file_ending: str, channels: int) -> CaseFiles:
        """Return the NIfTI files of a case."""
        images = channel_files(self.folder / "imagesTr", case, file_ending, channels)
        return CaseFiles(case, images, self.folder / "labelsTr" / f"{case}{file_ending}")

    def files(self, entry: CaseEntry, file_ending: str) -> CaseFiles:
        """Return the NIfTI files of a case, by its entry in the manifest."""
        return self.case_files(entry.case, file_ending, len(entry.image_sha256))

    def case(self, entry: CaseEntry, real: Case, plan: Plan) -> Case:
        """Return a preprocessed case of the set, to be read as a real one is."""
        files = self.files(entry, plan.dataset_json["file_ending"])
        folder = self.preprocessed(plan.data_identifier)
        return replace(real, files=files, group=("case", entry.case), folder=folder)

    def preprocessed(self, data_identifier: str) -> Path:
        """Return the folder of a configuration's arrays; it holds nothing else, as nnU-Net requires."""
        return self.arrays / data_identifier

    def stale(self, plan: Plan, entries: Sequence[CaseEntry], by_digest: bool = False) -> list[CaseEntry]:
        """Return the cases that are not preprocessed, or were from other files or by other plans than now."""
        stale = set(self._stored(plan).stale(plan, {entry.case: _source(entry) for entry in entries}, by_digest))
        return [entry for entry in entries if entry.case in stale]

    def preprocess(self, plan: Plan, num_processes: int) -> int:
        """Preprocess the cases that are stale; return their number."""
        with self.lock:
            entries = {entry.case: entry for entry in self.stale(plan, self.manifest().cases, by_digest=True)}
            cases = [self.files(entry, plan.dataset_json["file_ending"]) for entry in entries.values()]
            for case in cases:
                check_unchanged(case, entries[case.identifier])
            sources = {case: _source(entry) for case, entry in entries.items()}
            self._stored(plan).preprocess(plan, cases, sources, _source_now, num_processes)
        return len(cases)

    def remove(self) -> None:
        """Delete the part and its preprocessed arrays."""
        if self.folder.exists():
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.folder.rename(self.scratch)  # at once: if killed now, nothing of it is taken for another set's
        roots = (self.dataset.sets, self.dataset.preprocessed / "tf")
        measured = (root / FIGURES / self.set_name / f"fold_{self.fold}" for root in roots)
        for folder in (self.scratch, self.arrays, *measured):
            if folder.exists():
                shutil.rmtree(folder)

    @property
    def scratch(self) -> Path:
        """Where cases are written before they are moved into the part."""
        return self.folder.parent.parent / f".{self.set_name}.{self.folder.name}.adding"

    @property
    def lock(self) -> AbstractContextManager[object]:
        """The lock to hold while writing to this part."""
        path = self.folder.parent.parent / f".{self.set_name}.{self.folder.name}.lock"
        return locked(path, f"set {self.set_name}, fold {self.fold}")

    def _stored(self, plan: Plan) -> StampedFolder:
        return StampedFolder(self.preprocessed(plan.data_identifier))


def all_parts(dataset: Dataset) -> Iterator[SetPart]:
    """Yield every part of every set of a dataset, by set and fold."""
    for manifest in sorted(dataset.sets.glob("*/fold_*/manifest.json")):
        fold = _fold_of(manifest.parent)
        if fold is not None:
            yield SetPart(dataset, manifest.parent.parent.name, fold)


def parts_of(dataset: Dataset, set_name: str, folds: Sequence[Fold] | None = None) -> list[SetPart]:
    """Return the parts of a set, or those of some folds; raise when the set, or one of the folds, has none."""
    if folds is not None:
        parts = [SetPart(dataset, set_name, fold) for fold in dict.fromkeys(folds)]
        for part in parts:
            part.check_exists()
        return parts
    parts = [part for part in all_parts(dataset) if part.set_name == set_name]
    if not parts:
        raise UserError(f"{dataset.name} has no set {set_name}; nnUNetv2_tf_sets -d {dataset.name} lists its sets.")
    return parts


def remove_set(dataset: Dataset, set_name: str, folds: Sequence[Fold] | None) -> list[SetPart]:
    """Delete a set or some folds' parts of it, also half-added and half-removed ones; return the deleted parts."""
    check_set_name(set_name)
    roots = (dataset.sets / set_name, dataset.preprocessed / "tf" / set_name)
    folds_on_disk = {_fold_of(folder) for root in roots for folder in root.glob("fold_*")}
    scratch_folders = dataset.sets.glob(f".{set_name}.fold_*.adding")
    folds_on_disk |= {_fold_of(path, f".{set_name}.", ".adding") for path in scratch_folders}
    existing = {fold for fold in folds_on_disk if fold is not None}
    wanted = existing if folds is None else set(folds) & existing
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
    """Return the fold's part of its only set, so that a trainer's name need not say which; raise unless it has one."""
    parts = [part for part in all_parts(dataset) if part.fold == fold]
    if len(parts) != 1:
        names = ", ".join(part.set_name for part in parts) or "none"
        raise UserError(
            f"-tr TFEnrichedTrainer without a set's name needs exactly one set for fold {fold}, and there is: {names}; "
            "name one (TFEnrichedTrainer_<set>), or add one with nnUNetv2_tf_sets --add."
        )
    return parts[0]


def check_unchanged(case: CaseFiles, entry: CaseEntry) -> None:
    """Raise when a file of a case is missing or differs from the manifest's entry."""
    for path, expected in zip((*case.images, case.label), (*entry.image_sha256, entry.label_sha256), strict=True):
        if not path.is_file() or file_digest(path) != expected:
            raise UserError(
                f"{path} is missing or was changed since the case joined the set; put it back, or remove "
                "the set (nnUNetv2_tf_sets --remove) and add it again."
            )


def _source(entry: CaseEntry) -> list[Any]:
    """Return the digests of the files that a case is preprocessed from, for its stamp."""
    return [list(entry.image_sha256), entry.label_sha256]


def _source_now(case: CaseFiles) -> list[Any]:
    """Return the same of files as they are now."""
    return [[file_digest(image) for image in case.images], file_digest(case.label)]


def _fold_of(folder: Path, prefix: str = "", suffix: str = "") -> Fold | None:
    """Return the fold in a folder's name; None when the name is not ours."""
    text = folder.name.removeprefix(prefix).removesuffix(suffix).removeprefix("fold_")
    if text == "all":
        return text
    return int(text) if text.isdigit() and str(int(text)) == text else None
