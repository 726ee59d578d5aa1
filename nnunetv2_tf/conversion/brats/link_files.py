"""A source's file in a dataset: by reference, as a link, or as a copy. In: files. Out: entries for dataset.json."""

import gzip
import shutil
from pathlib import Path
from typing import Literal

LinkMode = Literal["reference", "symlink", "copy"]


def place_file(source: Path, raw: Path, name: str, how: LinkMode) -> str:
    """Make `source` the file `name` of the dataset in `raw`; return its entry for dataset.json.

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
    """Compress a .nii file; the bytes are the same every time."""
    with (
        open(source, "rb") as file,
        open(target, "wb") as packed,
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=6, mtime=0) as zipped,
    ):
        shutil.copyfileobj(file, zipped)
