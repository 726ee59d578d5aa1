"""Foreign cases: synthetic cases that other programs made. In: a folder in nnU-Net's layout. Out: parts of a set.

All checks come before anything is written, and files are written beside the set before they are moved into it.
"""

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from nnunetv2_tf.dataset.cases import CaseFiles, dataset_json, folder_cases, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, fold_split
from nnunetv2_tf.dataset.provenance import FORMAT, CaseEntry, Manifest, Sidecar, versions
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import put_in_place, read_json, scratch_folder
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.sets.checks import CaseRules, check_case
from nnunetv2_tf.sets.enrichment import warnings
from nnunetv2_tf.sets.leakage import find_leaks
from nnunetv2_tf.sets.names import check_set_name
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.working_space.preprocess import Plan

Ancestry = Mapping[str, tuple[str, ...]] | Literal["unknown"]

METHOD = "foreign"
SHOWN = 5  # bad cases in one message


def add_cases(
    dataset: Dataset,
    folder: Path,
    set_name: str,
    folds: Sequence[Fold],
    ancestry: Ancestry,
    plans: Sequence[Plan],
    num_processes: int,
) -> list[SetPart]:
    """Check the cases in `folder` and add them to the set, for each of the folds; return the parts."""
    check_set_name(set_name)
    description = dataset_json(dataset)
    _same_meaning(folder, description, dataset)
    real = raw_cases(dataset)
    cases = folder_cases(folder, description["file_ending"], len(description["channel_names"]))
    for name in sorted({case.identifier for case in cases} & set(real)):
        raise UserError(f"Case {name} is called like a real case of the dataset; rename the synthetic one.")
    sidecars = {case.identifier: _sidecar(case.identifier, ancestry) for case in cases}
    parts = [SetPart(dataset, set_name, fold) for fold in dict.fromkeys(folds)]
    for part in parts:
        _check_no_leaks(part, sidecars, list(real))
    masked = any(plan.masked for plan in plans)
    rules = CaseRules.of(description, next(iter(real.values())).images[0], masked)
    entries = _checked(rules, cases, num_processes)
    for part in parts:
        _missing(part, entries, sidecars)  # raises before any fold is changed
    for part in parts:
        with part.lock:
            missing = _missing(part, entries, sidecars)
            _join(part, [case for case in cases if case.identifier in missing], missing, sidecars)
    print(" ".join([Groups.read(dataset).remark(real), *warnings(list(sidecars.values()))]))
    return parts


def read_ancestry(path: Path) -> Ancestry:
    """Read the ancestors of cases from a JSON file {synthetic case: [real case, ...]}."""
    ancestry = read_json(path, "write {synthetic case: [real case, ...]}.")
    lists = ancestry.values() if isinstance(ancestry, dict) else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise UserError(f"{path} must be a JSON object {{synthetic case: [real case, ...]}}; write it like that.")
    return {case: tuple(names) for case, names in ancestry.items()}


def _same_meaning(folder: Path, description: dict[str, Any], dataset: Dataset) -> None:
    """Raise when the folder's dataset.json, if any, has other channels or labels: no other check would notice."""
    path = folder / "dataset.json"
    if not path.exists():
        return
    foreign = read_json(path, "correct or delete it.")
    if not isinstance(foreign, dict):
        raise UserError(f"{path} must be a JSON object; correct or delete it.")
    for key in ("channel_names", "labels"):
        if key in foreign and foreign[key] != description[key]:
            raise UserError(
                f"{path} says {key} {foreign[key]}, but {dataset.name} has {description[key]}; bring the cases into "
                "the dataset's order and numbering."
            )


def _sidecar(case: str, ancestry: Ancestry) -> Sidecar:
    if ancestry != "unknown" and case not in ancestry:
        raise UserError(
            f"The ancestors file says nothing about case {case}; list the real cases it was made from "
            "([] if there are none), or add the folder with --trust."
        )
    return Sidecar(
        case=case,
        line=None,
        host=None,
        donors=(),
        ancestors="unknown" if ancestry == "unknown" else ancestry[case],
        geometry_ancestors=(),
        reach_mm=None,
        sources={},
        controls={},
        seed=None,
        versions=versions(),
    )


def _check_no_leaks(part: SetPart, sidecars: Mapping[str, Sidecar], real: Sequence[str]) -> None:
    split = fold_split(part.dataset, part.fold, real)
    leaks = find_leaks(
        sidecars.values(), split, Groups.read(part.dataset), set(real), everything_trains=part.fold == "all"
    )
    if leaks:
        raise UserError(
            f"Case {leaks[0].case} may not join fold {part.fold}: {leaks[0].reason} ({len(leaks)} such findings); add "
            "to each fold only what was made from its training cases."
        )


def _checked(rules: CaseRules, cases: Sequence[CaseFiles], num_processes: int) -> list[CaseEntry]:
    results = list(in_parallel(partial(check_case, rules), cases, num_processes, "Checking"))
    bad = [sentences for sentences in results if isinstance(sentences, list)]
    if bad:
        shown = "\n".join(sentence for sentences in bad[:SHOWN] for sentence in sentences)
        raise UserError(f"{len(bad)} of {len(cases)} cases cannot be used, so nothing was added:\n{shown}")
    return [entry for entry in results if isinstance(entry, CaseEntry)]


def _missing(part: SetPart, entries: Sequence[CaseEntry], sidecars: Mapping[str, Sidecar]) -> dict[str, CaseEntry]:
    """Return the cases that the part lacks; raise when it has another case of the same name."""
    wanted = {entry.case: entry for entry in entries}
    if part.config_path.exists():
        raise UserError(f"Set {part.set_name} is made by nnUNetv2_tf_synthesize; add foreign cases under another name.")
    if not part.exists():
        return wanted
    manifest = part.manifest()
    if manifest.method != METHOD:
        raise UserError(f"Set {part.set_name} was made by {manifest.method}; add foreign cases under another name.")
    for entry in manifest.cases:
        new = wanted.pop(entry.case, None)
        if new is None:
            continue
        same_files = (new.image_sha256, new.label_sha256) == (entry.image_sha256, entry.label_sha256)
        if not same_files or part.sidecar(entry.case).ancestors != sidecars[entry.case].ancestors:
            raise UserError(
                f"Another case {entry.case} is in set {part.set_name} (fold {part.fold}) already; rename yours, or "
                "remove the set first (nnUNetv2_tf_sets --remove)."
            )
    return wanted


def _join(
    part: SetPart, cases: Sequence[CaseFiles], entries: Mapping[str, CaseEntry], sidecars: Mapping[str, Sidecar]
) -> None:
    """Copy cases beside the part and move them into it; the manifest, which makes them count, is written last."""
    with scratch_folder(part.scratch) as scratch:
        for case in cases:
            for source in (*case.images, case.label):
                target = scratch / source.parent.name / source.name
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(source, target)
            sidecars[case.identifier].write(scratch / "sidecars" / f"{case.identifier}.json")
        for path in scratch.glob("*/*"):
            target = part.folder / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            put_in_place(path, target)
    before = part.manifest().cases if part.exists() else ()
    _manifest(part, (*before, *entries.values())).write(part.manifest_path)


def _manifest(part: SetPart, entries: tuple[CaseEntry, ...]) -> Manifest:
    return Manifest(
        format=FORMAT,
        set=part.set_name,
        dataset=part.dataset.name,
        fold=part.fold,
        method=METHOD,
        preset=None,
        config_hash=None,
        recipe_hash=None,
        healthy=None,
        baseline=None,
        versions=versions(),
        cases=entries,
    )
