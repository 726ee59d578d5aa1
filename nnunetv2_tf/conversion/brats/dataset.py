"""BraTS folders as one nnU-Net raw dataset. In: a request. Out: the dataset, its groups of cases and its split.

All cases have one numbering of labels and one set of channel names, and cases of one patient stay together. Everything
is checked before the dataset appears, and it appears whole or not at all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.conversion.brats.labels import MODALITIES, SOURCES, dataset_labels, source_named, to_ours
from nnunetv2_tf.conversion.brats.layouts import BratsCase, find_cases
from nnunetv2_tf.conversion.brats.link_files import LinkMode, compress_file, place_file
from nnunetv2_tf.conversion.brats.patients import (
    check_enough_cases,
    duplicates,
    group_cases,
    one_fold,
    read_groups_file,
)
from nnunetv2_tf.conversion.folders import PASSED_OVER, listing, passed_over
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, ensure_splits, splits_file
from nnunetv2_tf.dataset.volumes import read_nifti, straightened, voxel_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import put_in_place, scratch_folder, write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.registration.bias_field import corrected

TOLERANCE = 1e-2  # mm, between the affines of a case's files
SHOWN = 5  # bad cases in one message
REORIENTING_READER = "NibabelIOWithReorient"
UNLABELLED = {"labels": {"background": 0, "brain": 1}, "tf": {"unlabelled": True}}


@dataclass(frozen=True)
class ConvertBratsRequest:
    """What nnUNetv2_tf_convert_brats is asked for."""

    folders: tuple[Path, ...]
    number: int  # of the new dataset
    name: str  # of the new dataset, without its number
    sources: tuple[str, ...] | None = None  # as typed, one for all folders or one for each; None: by the cases' names
    modalities: tuple[str, ...] = MODALITIES
    regions: bool = False  # labels are the overlapping regions WT TC ET, not the classes NCR ED ET
    how: LinkMode = "reference"
    groups_file: Path | None = None
    one_fold: tuple[int, int, int] | None = None  # cases to train, cases to validate, seed
    only_drawn: bool = False  # leave the cases out that are in neither
    n4: bool = False
    unlabelled: bool = False  # images only: the label is the brain, and the dataset says that there may be tumour
    num_processes: int = 1


@dataclass(frozen=True)
class Converted:
    """One case of the new dataset, as in conversion_report.json."""

    case: str
    source: str
    group: str
    images: tuple[str, ...]  # as in dataset.json
    label: str
    orientation: str
    voxels_sha256: str  # of the first image, in one orientation
    relabelled: bool


def convert(dataset: Dataset, request: ConvertBratsRequest) -> tuple[list[Converted], list[Path]]:
    """Write the raw dataset, groups.json and splits_final.json; return its cases, and the folders passed over."""
    sources = None if request.sources is None else tuple(map(source_named, request.sources))
    cases = find_cases(request.folders, sources, request.modalities, request.unlabelled)
    if request.one_fold is not None:
        check_enough_cases(len(cases), *request.one_fold[:2])
    given = {}
    if request.groups_file is not None:
        given = read_groups_file(request.groups_file, [case.identifier for case in cases])
    with scratch_folder(dataset.raw.with_name(f".{dataset.name}.converting")) as raw:
        converted = _converted(cases, request, raw)
        hashes = {case.case: case.voxels_sha256 for case in converted}
        groups = group_cases({case.identifier: case.patient for case in cases}, given, hashes)
        converted = [replace(case, group=groups[case.case]) for case in converted]
        split = None if request.one_fold is None else one_fold(Groups(groups), list(groups), *request.one_fold)
        if split is not None and request.only_drawn:
            drawn = {*split["train"], *split["val"]}
            groups = {case: group for case, group in groups.items() if case in drawn}
            converted = _only(drawn, converted, raw)
        write_json(raw / "dataset.json", description(dataset, request, converted))
        write_json(raw / "groups.json", groups)
        write_json(raw / "conversion_report.json", [to_json(case) for case in converted])
        used = [path for case in cases for path in (case.label, *case.images) if path is not None]
        passed = [path for folder in request.folders for path in passed_over(folder, used)]
        write_json(raw / PASSED_OVER, [str(folder) for folder in passed])
        if split is not None:
            write_json(splits_file(dataset), [split])
        elif len(set(groups.values())) >= 5 and not request.unlabelled:
            ensure_splits(dataset, sorted(groups), Groups(groups))
        put_in_place(raw, dataset.raw)  # last: no kill may leave a dataset without the split that was asked for
    return converted, passed


def _only(drawn: Collection[str], converted: Sequence[Converted], raw: Path) -> list[Converted]:
    """Return the cases that were drawn; delete what was written of others."""
    for case in converted:
        if case.case not in drawn:
            for name in (case.label, *case.images):
                if not Path(name).is_absolute():
                    (raw / name).unlink(missing_ok=True)
    return [case for case in converted if case.case in drawn]


def description(dataset: Dataset, request: ConvertBratsRequest, converted: Sequence[Converted]) -> dict[str, Any]:
    """Return what dataset.json says."""
    sources = sorted({case.source for case in converted})
    value: dict[str, Any] = {
        "name": dataset.name,
        "channel_names": {str(channel): name for channel, name in enumerate(request.modalities)},
        **(UNLABELLED if request.unlabelled else dataset_labels(sources, request.regions)),
        "numTraining": len(converted),
        "file_ending": ".nii.gz",
    }
    if len({case.orientation for case in converted}) > 1:
        value["overwrite_image_reader_writer"] = REORIENTING_READER
    if request.n4:
        value["tf"] = {**value.get("tf", {}), "n4": True}
    if request.how == "reference":
        value["dataset"] = {case.case: {"images": list(case.images), "label": case.label} for case in converted}
    return value


def summary(converted: Sequence[Converted], passed: Sequence[Path], unlabelled: bool = False) -> str:
    """Return what a user should know: cases, renumbered labels, patients, scans that repeat, folders passed over."""
    lines = [f"{len(converted)} cases of {', '.join(sorted({case.source for case in converted}))}."]
    renumbered = sum(case.relabelled for case in converted)
    if not unlabelled:
        lines.append(
            f"{renumbered} label files were renumbered." if renumbered else "All labels have the right numbers already."
        )
    orientations = sorted({case.orientation for case in converted})
    if len(orientations) > 1:
        lines.append(f"Scans lie in {' and '.join(orientations)}, so nnU-Net reads them with {REORIENTING_READER}.")
    lines.append(f"{len({case.group for case in converted})} patients.")
    for same in duplicates({case.case: case.voxels_sha256 for case in converted}):
        lines.append(f"The same scan voxel by voxel, so one patient: {', '.join(same)}; you may want to leave one out.")
    if passed:
        what = "image" if unlabelled else "label file"
        lines.append(f"Passed over, since no {what} in them is named like a case:\n{listing(passed)}")
    return "\n".join(lines)


def _converted(cases: Sequence[BratsCase], request: ConvertBratsRequest, raw: Path) -> list[Converted]:
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir()
    work = partial(_convert_case, request, raw)
    results = list(in_parallel(work, cases, request.num_processes, "Converting"))
    bad = [sentence for sentence in results if isinstance(sentence, str)]
    if bad:
        raise UserError(f"{len(bad)} of {len(cases)} cases cannot be used:\n" + "\n".join(bad[:SHOWN]))
    return [case for case in results if isinstance(case, Converted)]


def _convert_case(request: ConvertBratsRequest, raw: Path, case: BratsCase) -> Converted | str:
    """Convert one case into the folder `raw`; return a sentence that says why where it cannot be used."""
    try:
        volumes = [_read(path) for path in case.images]
        label = _first(volumes[0]) if case.label is None else _read(case.label)
        for path, volume in zip(case.images, volumes, strict=True):
            _check_same_grid(path, volume, case.label or case.images[0], label)
        label_entry, relabelled = f"labelsTr/{case.identifier}.nii.gz", False
        if case.label is not None:
            label_entry, relabelled = _place_label(case, case.label, label, request.how, raw)
        names = [f"imagesTr/{case.identifier}_{channel:04d}.nii.gz" for channel in range(len(request.modalities))]
        if case.source == "msd":
            volumes, entries = _split_msd(case, volumes[0], request.modalities, names, raw), names
        elif request.n4:
            entries = names
        else:
            scans = zip(case.images, volumes, names, strict=True)
            entries = [_place(path, volume, raw, name, request.how) for path, volume, name in scans]
        if request.n4:
            for volume, name in zip(volumes, names, strict=True):
                _write_corrected(volume, raw / name)
        if case.label is None:
            _write_brain(volumes, case.images[0], raw / label_entry)
    except UserError as error:
        return str(error)
    return Converted(
        case=case.identifier,
        source=case.source,
        group="",
        images=tuple(entries),
        label=label_entry,
        orientation="".join(nibabel.aff2axcodes(label.affine)),  # type: ignore[attr-defined]
        voxels_sha256=voxel_digest(volumes[0]),
        relabelled=relabelled,
    )


def _read(path: Path) -> Any:
    """Read a file as nnU-Net will be able to: of a slightly sheared one another image, which has no file."""
    return straightened(path, read_nifti(path))


def _place(path: Path, volume: Any, raw: Path, name: str, how: LinkMode) -> str:
    """Make a volume the file `name` of the dataset, by its own file if it has one; return its entry."""
    if volume.get_filename():
        return place_file(path, raw, name, how)
    nibabel.save(volume, raw / name)  # type: ignore[attr-defined]
    return name


def _check_same_grid(path: Path, volume: Any, label_path: Path, label: Any) -> None:
    if volume.shape[:3] != label.shape[:3] or label.ndim != 3:
        raise UserError(f"{path} has shape {volume.shape}, but {label_path.name} has {label.shape}; replace one.")
    if not np.allclose(volume.affine, label.affine, atol=TOLERANCE):
        raise UserError(f"{path} and {label_path.name} do not lie in the same place (affines differ); correct one.")


def _first(volume: Any) -> Any:
    """Return the first of the modalities in a file, or the only one."""
    return volume.slicer[..., 0] if volume.ndim == 4 else volume


def _write_brain(volumes: Sequence[Any], image: Path, path: Path) -> None:
    """Write where any modality is not 0, as label."""
    brain = np.any([np.asanyarray(volume.dataobj) != 0 for volume in volumes], axis=0)
    if not brain.any():
        raise UserError(f"{image} holds nothing but 0; replace it, or leave the case out.")
    nibabel.save(nibabel.Nifti1Image(brain.astype(np.uint8), volumes[0].affine), path)  # type: ignore[attr-defined]


def _place_label(case: BratsCase, path: Path, label: Any, how: LinkMode, raw: Path) -> tuple[str, bool]:
    """Place the source's label file, or write it anew where its values change.

    Returns its entry for dataset.json, and whether they do.
    """
    values = np.asanyarray(label.dataobj)
    try:
        ours = to_ours(values, SOURCES[case.source])
    except ValueError as error:
        known = ", ".join(f"{value} {name}" for value, name in SOURCES[case.source].values.items())
        raise UserError(
            f"{path} holds {error}, but labels of {case.source} are {known}; check -source, or mend the file."
        ) from None
    if not ours.any():
        raise UserError(f"{path} has no tumour voxel; leave the case out.")
    name = f"labelsTr/{case.identifier}.nii.gz"
    if np.array_equal(ours, values):
        uncompressed = how == "reference" and path.name.endswith(".nii")  # nnU-Net copies it under the name .nii.gz
        if uncompressed and label.get_filename():
            compress_file(path, raw / name)
            return name, False
        return _place(path, label, raw, name, how), False
    header = label.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    nibabel.save(nibabel.Nifti1Image(ours, label.affine, header), raw / name)  # type: ignore[attr-defined]
    return name, True


def _split_msd(case: BratsCase, image: Any, modalities: Sequence[str], names: Sequence[str], raw: Path) -> list[Any]:
    """Write one file per modality out of the 4D file; return the volumes."""
    if image.ndim != 4 or image.shape[3] != 4:
        raise UserError(f"{case.images[0]} has shape {image.shape}, so it does not end in four modalities; replace it.")
    volumes = []
    for modality, name in zip(modalities, names, strict=True):
        volume = image.slicer[..., int(SOURCES["msd"].modalities[modality])]
        nibabel.save(volume, raw / name)  # type: ignore[attr-defined]
        volumes.append(volume)
    return volumes


def _write_corrected(volume: Any, path: Path) -> None:
    """Write the scan without its bias field, in its own type of values; 0 stays 0."""
    values = np.asanyarray(volume.dataobj)
    image = sitk.GetImageFromArray(values.astype(np.float32).T)
    image.SetSpacing([float(size) for size in volume.header.get_zooms()[:3]])
    fixed = sitk.GetArrayFromImage(corrected(image, sitk.Cast(image != 0, sitk.sitkUInt8))).T
    if np.issubdtype(values.dtype, np.integer):
        limits = np.iinfo(values.dtype)
        fixed = np.clip(np.rint(fixed), limits.min, limits.max)
    header = volume.header.copy()
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    fixed = np.where(values != 0, fixed, 0).astype(values.dtype)
    nibabel.save(nibabel.Nifti1Image(fixed, volume.affine, header), path)  # type: ignore[attr-defined]
