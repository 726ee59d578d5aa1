"""What the first bytes of a NIfTI file claim. In: a path. Out: the header, or a sentence about what is wrong with it.

Libraries believe a header: one of 400 bytes may ask for terabytes, for voxels before the file's beginning, or for a
place that is no number. So it is looked at before any of them reads on.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.io.errors import UserError

MOST_BYTES = 4 << 30  # of voxels as they are worked on, as float64 at least; whole-body CT has 3 GB
FARTHEST = 16 << 20  # bytes before the first voxel
DEFLATED = 1032  # bytes that gzip makes at most of one
FLAT = 1e-3  # volume that three axes of length 1 have at least
SMALLEST, LARGEST = 1e-3, 1e3  # mm, of a voxel's sides
FLAG = 4  # bytes behind a header, of which the first tells whether extensions follow
HEADER = 540  # bytes of NIfTI-2's, the longer one


def check_header(path: Path) -> Any:
    """Return the header of a NIfTI file as nibabel's; raise when it is none, or claims what cannot be."""
    header, stored = _read(path)
    if header is None:
        raise UserError(f"{path} cannot be read, it is damaged or cut short; replace it.")
    shape = [int(size) for size in header["dim"][1 : int(header["dim"][0]) + 1]]
    if math.prod(shape) * max(8, header.get_data_dtype().itemsize) > MOST_BYTES:
        raise UserError(
            f"{path} says that it has {' x '.join(map(str, shape))} voxels, more than any scan; replace it."
        )
    claimed = voxels_end(header)
    possible = stored * DEFLATED if path.name.endswith(".gz") else stored
    if claimed > possible:
        raise UserError(
            f"{path} cannot be read, it is cut short: its {stored} bytes cannot hold the {claimed} that its header "
            "tells of; replace it."
        )
    _check_place(path, header)
    return header


def voxels_end(header: Any) -> int:
    """Return how many bytes a file has up to its last voxel."""
    shape = header["dim"][1 : int(header["dim"][0]) + 1]
    return int(header["vox_offset"]) + math.prod(map(int, shape)) * int(header["bitpix"]) // 8


def header_in(block: bytes, check: bool) -> Any:
    """Return the header that bytes begin with, NIfTI-1's or NIfTI-2's; raise ValueError where they hold none.

    Args:
        block: at least the first HEADER bytes, if there are so many
        check: let nibabel check it, too, which raises HeaderDataError
    """
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    kind = next((kind for kind in (Nifti1Header, Nifti2Header) if kind.may_contain_header(block[:HEADER])), None)
    if kind is None:
        raise ValueError("no NIfTI")
    return kind(block[: kind.template_dtype.itemsize], check=check)


def _read(path: Path) -> tuple[Any, int]:
    """Return the header where it is one, else None; and how many bytes the file has."""
    try:
        with gzip.open(path) if path.name.endswith(".gz") else open(path, "rb") as file:
            block = file.read(HEADER)
            header = header_in(block, check=False)
            sound = _is_sound(header)
            block += file.read(max(0, int(header["vox_offset"]) - len(block))) if sound else b""
        return header if sound and _are_extensions(header, block) else None, path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; put it back.") from None
    except OSError as error:
        if error.errno is not None:  # of the system, such as no permission; gzip's have no number
            raise
        return None, 0
    except (EOFError, zlib.error, ValueError, TypeError, KeyError):
        return None, 0


def _is_sound(header: Any) -> bool:
    """Return whether sizes, type and offset are some that a file can have."""
    count = int(header["dim"][0])
    if not 1 <= count <= 7 or min(map(int, header["dim"][1 : count + 1])) < 1:
        return False
    offset, size = float(header["vox_offset"]), header.get_data_dtype().itemsize
    first = header.template_dtype.itemsize + FLAG
    if not first <= offset <= FARTHEST or int(header["bitpix"]) != 8 * size:  # also where it is no number
        return False
    steps = np.asarray(header["pixdim"][1 : min(count, 3) + 1], float)
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    scaled = slope != 0 and not math.isnan(slope)  # else both count for nothing
    return bool(np.isfinite(steps).all()) and not (scaled and not math.isfinite(slope + intercept))


def _are_extensions(header: Any, block: bytes) -> bool:
    """Return whether what lies between header and voxels says truly how long it is: nibabel reads on its word."""
    place, end = header.template_dtype.itemsize, int(header["vox_offset"])
    if len(block) < end:
        return False
    if not block[place]:
        return True
    place += FLAG
    while place + 8 <= end:
        size = int.from_bytes(block[place : place + 4], "big" if header.endianness == ">" else "little", signed=True)
        if not 8 <= size <= end - place:
            return False
        place += size
    return True


def _check_place(path: Path, header: Any) -> None:
    """Raise when the header does not say where the voxels lie."""
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(all="ignore"):
            affine = np.asarray(header.get_best_affine(), float)
            sizes = np.linalg.norm(affine[:3, :3], axis=0)
            volume = abs(np.linalg.det(affine[:3, :3] / sizes))
            sound = bool(np.isfinite(affine).all() and volume >= FLAT)
            sound &= bool((sizes >= SMALLEST).all() and (sizes <= LARGEST).all())
    except (HeaderDataError, ValueError):
        sound = False
    if not sound:
        raise UserError(
            f"{path} does not say where its voxels lie: the affine of its header holds NaN, is flat, or has voxels "
            "that no scan has; convert the scan anew from its source."
        )
