"""The cases of BraTS releases in the folders that users get. In: folders. Out: files per case, by our names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.conversion.brats.labels import MODALITIES, SOURCES
from nnunetv2_tf.conversion.folders import files_below, listing, passed_over
from nnunetv2_tf.io.errors import UserError

ENDINGS = (".nii.gz", ".nii")
LABEL_SUFFIXES = ("seg", "Segm")  # case 355 of 2020 has the second


@dataclass(frozen=True)
class BratsCase:
    """A case as it lies in a source's folder."""

    identifier: str
    source: str
    patient: str
    images: tuple[Path, ...]  # in the order of the modalities asked for; of msd the one 4D file
    label: Path | None  # None: unlabelled


def find_cases(
    folders: Sequence[Path], sources: Sequence[str] | None, modalities: Sequence[str], unlabelled: bool = False
) -> list[BratsCase]:
    """Return all cases in all folders, by name.

    Args:
        folders: which hold the cases
        sources: keys of SOURCES, one for all folders or one for each; None tells them by the cases' names
        modalities: by our names, in the order in which images are wanted
        unlabelled: whether labels are neither needed nor read
    """
    if sources is not None and len(sources) not in (1, len(folders)):
        raise UserError(f"-source names {len(sources)} sources for {len(folders)} folders; give one for each or all.")
    given = list(sources) * len(folders) if sources is not None and len(sources) == 1 else sources
    cases: dict[str, BratsCase] = {}
    for index, folder in enumerate(folders):
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist or is no folder; give the folder that holds the cases.")
        source = given[index] if given else None
        found = _unlabelled_in if unlabelled else _cases_in
        folder_cases = list(found(folder, source, modalities))
        if not folder_cases:
            what, ending, msd = (
                ("an image", modalities[0], "imagesTs")
                if unlabelled
                else ("a label file", "seg", "imagesTr and labelsTr")
            )
            raise UserError(
                f"{folder} holds no case of {source or 'any BraTS release'}; a case is a folder with {what} named "
                f"after it (BraTS-GLI-00000-000/BraTS-GLI-00000-000-{ending}.nii.gz), of MSD {msd}."
                f"{_passed_over_here(folder)}"
            )
        for case in folder_cases:
            if case.identifier in cases:
                one, other = (each.label or each.images[0] for each in (case, cases[case.identifier]))
                raise UserError(f"{one} and {other} are both called {case.identifier}; leave one of them out.")
            cases[case.identifier] = case
    return [cases[name] for name in sorted(cases)]


def infer_source(name: str, where: Path) -> str:
    """Return the source whose cases are named so. Raises when two releases share such names, or none has them."""
    candidates = [key for key, source in SOURCES.items() if re.fullmatch(source.case, name)]
    if len(candidates) > 1:
        raise UserError(
            f"{where} could be of {' or '.join(candidates)}, whose labels mean different things; say which with "
            "-source."
        )
    if not candidates:
        raise UserError(f"{where} is not named like a case of any known source; say which it is with -source.")
    return candidates[0]


def _cases_in(folder: Path, source: str | None, modalities: Sequence[str]) -> Iterator[BratsCase]:
    if (folder / "imagesTr").is_dir() and source in (None, "msd"):
        yield from _msd_cases(folder)
        return
    for label in files_below(folder):
        if label.name.endswith(ENDINGS) and _label_of(label) is not None:
            yield _case_at(label, source, modalities)


def _unlabelled_in(folder: Path, source: str | None, modalities: Sequence[str]) -> Iterator[BratsCase]:
    if (folder / "imagesTs").is_dir() and source in (None, "msd"):
        for image in sorted((folder / "imagesTs").glob("*.nii.gz")):
            if not image.name.startswith("."):
                yield BratsCase(_stem(image), "msd", _stem(image), (image,), None)
        return
    sources = {source: SOURCES[source]} if source else {key: one for key, one in SOURCES.items() if key != "msd"}
    found: dict[tuple[Path, str], Path] = {}
    for image in files_below(folder):
        for known in sources.values() if image.name.endswith(ENDINGS) else ():
            for ending in (f"{known.separator}{known.modalities[modality]}" for modality in modalities):
                name = _stem(image).removesuffix(ending)
                if name != _stem(image) and re.fullmatch(known.case, name):
                    found.setdefault((image.parent, name), image)
    for (_, name), image in found.items():
        yield _case_named(name, source or infer_source(name, image), image, modalities, None)


def _passed_over_here(folder: Path) -> str:
    folders = passed_over(folder, ())
    return f" Scans under other names lie in:\n{listing(folders)}" if folders else ""


def _label_of(path: Path) -> str | None:
    """Return the separator and suffix by which a file is a label file; None when it is none."""
    stem = _stem(path)
    return next((mark + word for word in LABEL_SUFFIXES for mark in "-_" if stem.endswith(mark + word)), None)


def _case_at(label: Path, source: str | None, modalities: Sequence[str]) -> BratsCase:
    name = label.parent.name if _stem(label).endswith("_Segm") else _stem(label).removesuffix(str(_label_of(label)))
    key = source or infer_source(name, label)
    return _case_named(name, key, label, modalities, label)


def _case_named(name: str, key: str, at: Path, modalities: Sequence[str], label: Path | None) -> BratsCase:
    """Return the case of a name and source beside a file of it, with all its images."""
    folder = at.parent
    known = SOURCES[key]
    match = re.fullmatch(known.case, name)
    if match is None:
        raise UserError(f"{at} is not named like a case of {key}; check -source.")
    images = []
    for modality in modalities:
        stem = f"{name}{known.separator}{known.modalities[modality]}"
        files = [folder / f"{stem}{ending}" for ending in ENDINGS if (folder / f"{stem}{ending}").is_file()]
        if not files:
            raise UserError(
                f"{folder / stem}.nii.gz does not exist, so {name} has no {modality}; add it, leave the case out, or "
                f"choose other -modalities (of {' '.join(MODALITIES)})."
            )
        images.append(files[0])
    return BratsCase(name, key, match["patient"], tuple(images), label)


def _msd_cases(folder: Path) -> Iterator[BratsCase]:
    for label in sorted((folder / "labelsTr").glob("*.nii.gz")):
        if label.name.startswith("."):  # the archive carries a Mac's ._ files
            continue
        image = folder / "imagesTr" / label.name
        if not image.is_file():
            raise UserError(f"{image} does not exist, but its label does; add it or take the label away.")
        yield BratsCase(_stem(label), "msd", _stem(label), (image,), label)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")
