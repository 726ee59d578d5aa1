"""Export of a set as a dataset for nnU-Net alone. In: a dataset and its set. Out: a dataset with both.

Real files are referenced, synthetic ones copied. Written are nnUNet_raw/DatasetYYY_... and, in nnUNet_preprocessed, the
real dataset's plans and fingerprint and a splits_final.json in which synthetic cases train and never validate.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nnunetv2_tf.dataset.cases import CaseFiles, channel_files, dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset, nnunet_folder
from nnunetv2_tf.dataset.folds import Groups, Split, check_groups_whole, ensure_splits
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import put_in_place, scratch_folder, write_json
from nnunetv2_tf.sets.enrichment import Enrichment, warnings
from nnunetv2_tf.sets.names import TrainerOptions
from nnunetv2_tf.sets.store import SetPart, check_unchanged, parts_of
from nnunetv2_tf.working_space.preprocess import read_plans


@dataclass(frozen=True)
class Exported:
    """The result of an export."""

    dataset: Dataset
    folds: tuple[Fold, ...]  # those that have synthetic cases
    warnings: tuple[str, ...]


def export_set(
    dataset: Dataset, set_name: str, folds: Sequence[Fold] | None, target_id: int, name: str | None, plans_name: str
) -> Exported:
    """Write the dataset, whole or not at all."""
    name = name or f"{dataset.name[11:]}_{set_name}"
    with Dataset.of(target_id, name).lock:
        return _export(dataset, set_name, folds, Dataset.new(target_id, name), plans_name)


def _export(
    dataset: Dataset, set_name: str, folds: Sequence[Fold] | None, target: Dataset, plans_name: str
) -> Exported:  # fmt: skip
    plans = {**read_plans(dataset, plans_name), "dataset_name": target.name}
    real = raw_cases(dataset)
    groups = Groups.read(dataset)
    splits = ensure_splits(dataset, list(real), groups)
    chosen = _checked_parts(dataset, set_name, folds, splits, groups, real)
    description = dataset_json(dataset)
    with (
        scratch_folder(target.raw.with_name(f".{target.name}.exporting")) as raw,
        scratch_folder(target.preprocessed.with_name(f".{target.name}.exporting")) as preprocessed,
    ):
        fabricated = _copy_cases(chosen, raw, description["file_ending"])
        for case in sorted(set(real) & set(fabricated)):
            raise UserError(f"{case} would be the name of a real and of a synthetic case; rename one of them.")
        description["dataset"] = {**_references(real), **fabricated}
        description |= {"name": target.name, "numTraining": len(description["dataset"])}
        _write_descriptions(dataset, raw, preprocessed, description)
        write_json(preprocessed / f"{plans_name}.json", plans)
        write_json(preprocessed / "splits_final.json", _enriched_splits(splits, chosen))
        put_in_place(preprocessed, target.preprocessed)
        put_in_place(raw, target.raw)
    sidecars = [sidecar for enrichment in chosen for sidecar in enrichment.sidecars]
    return Exported(target, tuple(enrichment.part.fold for enrichment in chosen), tuple(warnings(sidecars)))


def exported_name(part: SetPart, case: str) -> str:
    """Return a case's name in the export; it holds the fold, since two folds' parts may have cases of the same name."""
    return f"{part.set_name}_f{part.fold}_{case}"


def _checked_parts(
    dataset: Dataset,
    set_name: str,
    folds: Sequence[Fold] | None,
    splits: Sequence[Split],
    groups: Groups,
    real: Mapping[str, CaseFiles],
) -> list[Enrichment]:
    """Return the cases of each fold's part; raise when they leak, or nnU-Net alone would validate on them."""
    chosen = []
    for part in parts_of(dataset, set_name, folds):
        if part.fold == "all" or int(part.fold) >= len(splits):
            raise UserError(
                f"Part {part.fold} of set {set_name} is for a fold that splits_final.json does not list, so stock "
                "nnU-Net would validate on its cases; choose other folds with -f, or train it with TFEnrichedTrainer."
            )
        check_groups_whole(splits[int(part.fold)], groups, dataset, part.fold)
        enrichment = Enrichment.choose(dataset, part.fold, TrainerOptions(set_name))
        enrichment.check_no_leaks(splits[int(part.fold)], groups, real)
        chosen.append(enrichment)
    return chosen


def _references(real: Mapping[str, CaseFiles]) -> dict[str, Any]:
    return {
        name: {"images": [_portable(image) for image in case.images], "label": _portable(case.label)}
        for name, case in real.items()
    }


def _portable(path: Path) -> str:
    path, raw = path.absolute(), nnunet_folder("nnUNet_raw").absolute()
    return f"$nnUNet_raw/{path.relative_to(raw)}" if path.is_relative_to(raw) else str(path)


def _copy_cases(chosen: Sequence[Enrichment], raw: Path, file_ending: str) -> dict[str, Any]:
    """Copy the synthetic files; return their entries for dataset.json, with paths relative to it."""
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir()
    entries = {}
    cases = [(enrichment.part, entry) for enrichment in chosen for entry in enrichment.entries]
    for part, entry in tqdm(cases, desc="Copying", unit="case"):
        files = part.files(entry, file_ending)
        check_unchanged(files, entry)
        name = exported_name(part, entry.case)
        images = channel_files(Path("imagesTr"), name, file_ending, len(files.images))
        label = Path("labelsTr") / f"{name}{file_ending}"
        for source, copy in zip((*files.images, files.label), (*images, label), strict=True):
            shutil.copyfile(source, raw / copy)
        replace(part.sidecar(entry.case), files={}).write(raw / "sidecars" / f"{name}.json")
        entries[name] = {"images": [str(image) for image in images], "label": str(label)}
    return entries


def _write_descriptions(dataset: Dataset, raw: Path, preprocessed: Path, description: dict[str, Any]) -> None:
    for folder in (raw, preprocessed):
        write_json(folder / "dataset.json", description)
    groups = dataset.raw / "groups.json"
    if groups.exists():
        shutil.copyfile(groups, raw / "groups.json")
    fingerprint = dataset.preprocessed / "dataset_fingerprint.json"
    if not fingerprint.exists():
        raise UserError(f"{fingerprint} does not exist; run nnUNetv2_plan_and_preprocess for {dataset.name}.")
    shutil.copyfile(fingerprint, preprocessed / fingerprint.name)


def _enriched_splits(splits: Sequence[Split], chosen: Sequence[Enrichment]) -> list[dict[str, list[str]]]:
    extra: dict[int, list[str]] = {
        int(enrichment.part.fold): [exported_name(enrichment.part, case) for case in enrichment.identifiers]
        for enrichment in chosen
    }
    return [
        {"train": [*split.train, *extra.get(fold, [])], "val": list(split.val)} for fold, split in enumerate(splits)
    ]
