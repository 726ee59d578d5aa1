"""What steps work on, by names that people know. In: folders. Out: digests, or what finished work says of itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunetv2_tf.conversion.folders import files_below
from nnunetv2_tf.dataset.cases import dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import read_splits, splits_file
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.set_config import CURE, SetConfig
from nnunetv2_tf.working_space.preprocess import Plan

Inputs = Mapping[str, str]
NO_SCANS = (".txt", ".md", ".html", ".png", ".jpg", ".pdf")  # files that no converter reads


def of_folders(option: str, folders: Sequence[Path]) -> Inputs:
    """Return the digest of what lies in an option's folders: names, sizes and times, since to read files takes long."""
    return {f"the files of {option}": digest([_listing(folder) for folder in sorted(folders)])}


def _listing(folder: Path) -> list[list[Any]]:
    scans = [path for path in sorted(files_below(folder)) if path.suffix.lower() not in NO_SCANS]
    return [[str(path.relative_to(folder)), *_stamp(path)] for path in scans if path.is_file()]


def of_cases(dataset: Dataset) -> Inputs:
    """Return the digest of a dataset's scans and labels, in the same way; nothing where it is yet to be made."""
    if not (dataset.raw / "dataset.json").is_file():
        return {}
    files = {name: [_stamp(path) for path in (*case.images, case.label)] for name, case in raw_cases(dataset).items()}
    others = [dataset.raw / name for name in ("dataset.json", "groups.json")]
    told = [file_digest(path) for path in others if path.is_file()]
    return {f"the cases of {dataset.name}": digest([files, told])}


def of_plans(dataset: Dataset, plans: str, configuration: str) -> Inputs:
    """Return the digest of what in plans decides the arrays; nothing where there are none yet."""
    if not _planned(dataset, plans):
        return {}
    return {f"spacing and normalisation in {plans} for {configuration}": Plan.read(dataset, plans, configuration).stamp}


def of_training(dataset: Dataset, plans: str, fold: Fold) -> Inputs:
    """Return the digests of what a training depends on besides arrays: plans, and who trains."""
    path, found = splits_file(dataset), {}
    if _planned(dataset, plans):
        found[f"{plans}.json"] = file_digest(dataset.preprocessed / f"{plans}.json")
    if path.exists() and fold != "all":
        folds = read_splits(dataset)
        found[f"the split of fold {fold}"] = digest(to_json(folds[int(fold)]) if int(fold) < len(folds) else None)
    return found


def of_set(part: SetPart, count: int | None) -> Inputs:
    """Return the digest of the cases that a training takes from a set; nothing where there is none yet."""
    if not part.exists():
        return {}
    return {f"the cases of set {part.set_name}": digest([to_json(one) for one in part.manifest().accepted[:count]])}


def of_file(name: str, path: Path) -> Inputs:
    """Return the digest of a file; nothing where it is yet to be made."""
    return {name: file_digest(path)} if path.is_file() else {}


def asked(method: str, preset: str, config: Any, healthy: str | None, plans: str, configuration: str) -> Inputs:
    """Return what a fit or a set is asked to be."""
    return {
        "-m": method,
        "-preset": preset,
        f"settings of {method}": digest(config),
        "-healthy": str(healthy),
        "-p": plans,
        "configuration": configuration,
        "-unlabelled, -pseudolabelled": "None",
    }


def told_by(folder: Path, baseline: str) -> dict[str, str]:
    """Return the same of what a finished or begun fit or set says of itself; nothing where there is none.

    Args:
        folder: of the fit, or of the part of the set
        baseline: what its baseline is called among the inputs
    """
    path = folder / "config.json"
    if not path.exists():
        return {"-m": "cases from elsewhere"} if is_foreign(folder) else {}
    config = read_record(SetConfig, path, CURE)
    told = dict(
        asked(config.method, config.preset, config.config, config.healthy, config.plans, config.configuration)
    )  # fmt: skip
    told["-seed"] = "of a recipe" if config.seed is None else str(config.seed)
    others = [config.unlabelled, config.pseudo_labels and config.pseudo_labels.dataset]
    told["-unlabelled, -pseudolabelled"] = ", ".join(filter(None, others)) or "None"
    used = config.baseline if config.filter is None else config.filter.baseline
    by = {} if used is None else {baseline: used.checkpoint_sha256, "-tr": used.trainer}
    kept = None if config.filter is None else [config.filter.low, config.filter.high]
    return {**told, **by, "-filter, -keep": digest(kept), "wishes for tumours": digest(config.controls or None)}


def is_foreign(folder: Path) -> bool:
    """Tell whether a part of a set holds cases from elsewhere."""
    return (folder / "manifest.json").exists() and not (folder / "config.json").exists()


def labels_are_copied(dataset: Dataset) -> bool:
    """Return whether nnU-Net has copied all labels for validation, which it does last."""
    ending = dataset_json(dataset)["file_ending"]
    return all((dataset.preprocessed / "gt_segmentations" / f"{case}{ending}").exists() for case in raw_cases(dataset))


def _planned(dataset: Dataset, plans: str) -> bool:
    return all((dataset.preprocessed / name).exists() for name in (f"{plans}.json", "dataset.json"))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; put it back, or take its case out of the dataset.") from None
    return stat.st_size, stat.st_mtime_ns
