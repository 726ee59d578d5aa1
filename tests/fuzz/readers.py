"""Everything of ours that reads what others may have written, each under one name, for fuzzing.

A reader gets any bytes. It may return, or refuse them by a UserError; everything else that it raises is a finding.
"""

import argparse
import gzip
import os
import resource
import signal
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np
import SimpleITK as sitk
import torch

from nnunetv2_tf.baseline.checkpoint import read_checkpoint
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.score_table import read_rows
from nnunetv2_tf.conversion.brats.patients import read_groups_file
from nnunetv2_tf.conversion.healthy.dicom import read_series
from nnunetv2_tf.conversion.healthy.prepare_scans import Preparation
from nnunetv2_tf.dataset.cases import channel_names, raw_cases
from nnunetv2_tf.dataset.code_version import CodeVersion
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.dataset.label_roles import class_values, read_regions
from nnunetv2_tf.dataset.provenance import Manifest, Sidecar
from nnunetv2_tf.dataset.volumes import read_image
from nnunetv2_tf.io.arguments import parse_fold
from nnunetv2_tf.io.array_files import read_arrays
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import read_record
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_gan.networks import read_generator
from nnunetv2_tf.online.draws import keep_draws_before
from nnunetv2_tf.sets.foreign import read_ancestry
from nnunetv2_tf.sets.names import check_set_name, parse_trainer_name
from nnunetv2_tf.synthesis.native_volume import read_volume
from nnunetv2_tf.synthesis.set_config import SetConfig
from nnunetv2_tf.training.loop import read_state
from nnunetv2_tf.tumours.recipe import read_recipe
from nnunetv2_tf.working_space.preprocess import StampedFolder
from tests.conversion.series import write_series

Reader = Callable[[bytes, Path], object]
DATASET = "Dataset501_Fuzzed"
SECONDS = 60  # that DICOM may take
REFUSED, WRONG = 3, 4  # exit codes of a process that reads DICOM
WHOLE = b'{"channel_names": {"0": "t1n"}, "labels": {"background": 0, "a": 1}, "file_ending": ".nii.gz"'  # left open


def limit_memory(room: int) -> None:
    """Let this process have so many bytes of addresses more than it has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def of_nifti(content: bytes, folder: Path) -> None:
    """Read a scan as converters and methods do; by the first byte it is compressed here, or taken for compressed."""
    mark, rest = content[:1], content[1:]
    path = folder / ("scan.nii.gz" if mark in (b"z", b"a") else "scan.nii")
    path.write_bytes(gzip.compress(rest, 1) if mark == b"z" else rest)
    try:
        read_image(path)
    finally:
        read_volume(path, "SimpleITKIO")


def of_dicom(content: bytes, folder: Path) -> None:
    """Read a slice between two others, in a process of its own, as `isolated` does: it may die there, and not hang."""
    for number, other in enumerate(_slices()):
        (folder / f"{number}.dcm").write_bytes(content if number == 1 else other)
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        status = WRONG
        try:
            read_series(folder)
            status = 0
        except (UserError, MemoryError):
            status = REFUSED
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    assert ended != -signal.SIGALRM, "DICOM is read for too long"
    assert ended != WRONG, "DICOM raises what is no UserError"
    if ended:  # by a signal, too: `isolated` says a sentence then
        raise UserError("refused")


@cache
def _slices() -> list[bytes]:
    with TemporaryDirectory() as folder:
        volume = sitk.Cast(sitk.GaussianSource(size=[16, 16, 3]), sitk.sitkInt16)
        return [file.read_bytes() for file in write_series(volume, Path(folder))]


def of_arrays(content: bytes, folder: Path) -> None:
    """Read a file of named arrays, with the source that its head names."""
    path = folder / "arrays"
    path.write_bytes(content)
    read_arrays(path, "source")


def of_records(content: bytes, folder: Path) -> None:
    """Read JSON as each of our records; the first byte says as which."""
    kinds = [SetConfig, Matrix, Preparation, CodeVersion]
    readers: list[Callable[[Path], object]] = [
        Manifest.read,
        Sidecar.read,
        read_recipe,
        read_ancestry,
        lambda path: StampedFolder(path.with_name("x")).stamps(),
        *(lambda path, kind=kind: read_record(kind, path, "mend it.") for kind in kinds),
    ]
    path = folder / "x.stamps.json"
    path.write_bytes(content[1:])
    readers[content[0] % len(readers) if content else 0](path)


def of_datasets(content: bytes, folder: Path) -> None:
    """Read a dataset's own files, one after the other, by the first byte: dataset.json, groups.json, splits_final."""
    for variable in VARIABLES:
        os.environ[variable] = str(folder)
    dataset = Dataset(DATASET)
    dataset.raw.mkdir(exist_ok=True)
    files = {
        "dataset.json": WHOLE + b', "dataset": {"a": {"images": ["a"], "label": "b"}}}',
        "groups.json": b'{"a": "p"}',
        "splits_final.json": b'[{"train": ["a"], "val": []}]',
    }
    chosen = list(files)[content[0] % len(files)] if content else "dataset.json"
    for name, good in files.items():
        (dataset.raw / name).write_bytes(content[1:] if name == chosen else good)
    fold_split(dataset, 0, raw_cases(dataset))
    for read in (channel_names, class_values, read_regions):
        read(dataset)


def of_tables(content: bytes, folder: Path) -> None:
    """Read tables that people or kills may have changed, by the first byte."""
    readers: list[Callable[[Path], object]] = [
        lambda path: read_groups_file(path, ["a", "b"]),
        read_rows,
        lambda path: keep_draws_before(path.parent, 1),
    ]
    path = folder / "tf_online_draws.csv"
    path.write_bytes(content[1:])
    readers[content[0] % len(readers) if content else 0](path)


def of_checkpoints(content: bytes, folder: Path) -> None:
    """Read a checkpoint as nnU-Net's and as one of our own; the first byte says whether it is the pickle in one only.

    Nothing in it may be executed, which `weights_only` sees to: it knows no way to call what is not allowed.
    """
    path = folder / "checkpoint.pth"
    if content[:1] == b"p":
        with zipfile.ZipFile(path, "w") as archive:
            parts = {"data.pkl": content[1:], "byteorder": b"little", "version": b"3\n", "data/0": bytes(8)}
            for name, part in parts.items():
                archive.writestr(f"archive/{name}", part)
    else:
        path.write_bytes(content[1:])
    try:
        read_checkpoint(path, "train it anew.")
    except UserError:
        read_state(path)


def _pickle_in(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{path.stem}/data.pkl")


def of_networks(content: bytes, folder: Path) -> None:
    """Read a network's weights and design."""
    path = folder / "generator.safetensors"
    path.write_bytes(content)
    read_generator(path, "fit it anew.")


def of_names(content: bytes, folder: Path) -> None:
    """Read names: whatever is accepted must be one part of a path."""
    name = content.decode("utf-8", "replace")
    for read in (parse_trainer_name, check_set_name, lambda text: Dataset.of(1, text)):
        try:
            read(name)
        except UserError:
            continue
        assert Path(name).name == name
        assert name not in ("", ".", "..")
    try:
        parse_fold(name)
        find_method(name, "default")
    except (argparse.ArgumentTypeError, UserError):
        pass


READERS: dict[str, Reader] = {
    "nifti": of_nifti,
    "dicom": of_dicom,
    "arrays": of_arrays,
    "records": of_records,
    "datasets": of_datasets,
    "tables": of_tables,
    "checkpoints": of_checkpoints,
    "networks": of_networks,
    "names": of_names,
}


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Return good input for each reader, for fuzzing to begin with."""
    from nnunetv2_tf.io.array_files import write_arrays

    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))  # type: ignore[attr-defined]
    nibabel.save(image, folder / "scan.nii")  # type: ignore[attr-defined]
    scan = (folder / "scan.nii").read_bytes()
    write_arrays(folder / "arrays", {"a": np.arange(24), "b": np.ones((2, 3), bool)}, "source")
    torch.save(
        {"current_epoch": 1, "init_args": {}, "network_weights": {"w": torch.ones(2)}, "logging": [np.float64(1)]},
        folder / "whole.pth",
    )
    torch.save({"learner": {}, "curves": {}, "epoch": 1}, folder / "ours.pth")
    kept = Path(__file__).parents[1] / "kept"
    stored = kept / "nnUNet_raw" / "Dataset501_StandIns" / "tf" / "tfgandefault" / "fold_0"
    records = [stored / "manifest.json", next((stored / "sidecars").glob("*.json")), stored / "recipe.jsonl"]
    generator = next((kept / "nnUNet_results").rglob("*.safetensors"))
    return {
        "nifti": [b"n" + scan, b"z" + scan, b"a" + gzip.compress(scan)],
        "dicom": [_slices()[1]],
        "arrays": [(folder / "arrays").read_bytes()],
        "records": [bytes([number]) + path.read_bytes() for number, path in enumerate(records)]
        + [b"\x05" + (stored / "config.json").read_bytes(), b'\x03{"a": ["b"]}', b'\x04{"a": "b"}'],
        "datasets": [
            b"\x00" + WHOLE + b', "dataset": {"a": {"images": ["a"], "label": "b"}}}',
            b'\x01{"a": "b"}',
            b'\x02[{"train": ["a"], "val": []}]',
        ],
        "tables": [
            b"\x00case,group\na,b\n",
            b"\x01matrix,dataset\n",
            b"\x02epoch,case,host,donors,tumour\n0,a,b,c,1\n",
        ],
        "checkpoints": [
            mark + content
            for path in (folder / "whole.pth", folder / "ours.pth")
            for mark, content in ((b"w", path.read_bytes()), (b"p", _pickle_in(path)))
        ],
        "networks": [generator.read_bytes()],
        "names": [
            b"TFEnrichedTrainer_tf100_n50_100epochs_seed1_p50",
            b"TFOnlineTrainer_tf_gan_h601_brief",
            b"TFMixupTrainer_seed1_bf16",
            b"tf100",
            b"all",
        ],
    }
