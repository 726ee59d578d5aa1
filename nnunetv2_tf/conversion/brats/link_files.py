"""A source's file in a dataset: by reference, as a link, or as a copy. In: files. Out: entries for dataset.json."""

import shutil
from pathlib import Path
from typing import Literal

from nnunetv2_tf.io.files import gzip_file

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
        compress_file(source, target)
    elif how == "symlink":
        target.symlink_to(source.absolute())
    else:
        shutil.copyfile(source, target)
    return name


def compress_file(source: Path, target: Path) -> None:
    """Compress a .nii file; the bytes are the same every time."""
    with open(source, "rb") as file, gzip_file(target, 6) as packed:
        shutil.copyfileobj(file, packed)
