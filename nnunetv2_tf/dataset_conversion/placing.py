"""Puts a source's file into a dataset: by reference, as a link, or as a copy."""

import gzip
import shutil
from pathlib import Path
from typing import Literal

How = Literal["reference", "symlink", "copy"]


def place_file(source: Path, raw: Path, name: str, how: How) -> str:
    """Makes `source` the file `name` of the dataset in `raw`; returns its entry for dataset.json.

    A reference leaves the file where it is. Uncompressed NIfTI cannot be linked under the name .nii.gz and is
    compressed instead.
    """
    if how == "reference":
        return str(source.absolute())
    target = raw / name
    if source.name.endswith(".nii"):
        gzip_file(source, target)
    elif how == "symlink":
        target.symlink_to(source.absolute())
    else:
        shutil.copyfile(source, target)
    return name


def gzip_file(source: Path, target: Path) -> None:
    """Compresses a .nii file; the same bytes every time."""
    with (
        open(source, "rb") as file,
        open(target, "wb") as packed,
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=6, mtime=0) as zipped,
    ):
        shutil.copyfileobj(file, zipped)
