"""A host's own files. In: a preprocessed case. Out: its volumes, checked to be those that were preprocessed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from nnunetv2_tf.geometry.boxes import Box, bounds, box_from
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.synthesis.native_volume import Volume, read_volume
from nnunetv2_tf.working_space.stored import OpenCase

TINY = 1e-3  # of the sd: a value of type float that is certainly not 0


@dataclass(frozen=True)
class Channel:
    """How one channel of the host is normalised."""

    index: int
    mean: float
    sd: float
    limits: tuple[float, float] | None  # CT: nnU-Net limits values before it normalises them
    background: bool  # whether 0 is background

    @classmethod
    def of(cls, host: OpenCase, index: int) -> "Channel":
        """Return how a channel of a host is normalised."""
        properties = host.plan.plans["foreground_intensity_properties_per_channel"].get(str(index), {})
        clipped = host.plan.manager.normalization_schemes[index] == "CTNormalization"
        limits = (properties["percentile_00_5"], properties["percentile_99_5"]) if clipped else None
        return cls(index, host.intensity.mean[index], host.intensity.sd[index], limits, host.has_background)


def read_file(path: Path, host: OpenCase) -> Volume:
    """Read an image or the label of a host."""
    volume = read_volume(path, host.plan.plans["image_reader_writer"])
    if turned(volume, host).shape != host.grid.native_shape:
        raise _replaced(path, f"its size is {volume.file_voxels.shape}")
    return volume


def turned(volume: Volume, host: OpenCase) -> np.ndarray:
    """Return the stored voxels with the plans' axes; a view."""
    return volume.file_voxels.transpose(host.plan.plans_manager.transpose_forward)


def crop_of(host: OpenCase) -> Box:
    """Return the part of the scan that nnU-Net preprocessed."""
    return box_from(host.grid.start, np.add(host.grid.start, host.grid.cropped))


def content_of(host: OpenCase, images: Sequence[Volume]) -> np.ndarray:
    """Return the crop's voxels that nnU-Net takes for the body: not 0 in some channel, or enclosed by such.

    Raises when the crop is not the one that was preprocessed.
    """

    def compute() -> Arrays:
        filled = np.any([image.to_native(turned(image, host)) != 0 for image in images], axis=0)
        expected = np.cumsum([host.grid.start, host.grid.cropped], axis=0)
        if not filled.any() or not np.array_equal(bounds(filled), expected):
            raise _replaced(host.files.images[0], "its background is another")
        return {"content": filled_up(filled[crop_of(host)])}

    files = [path.stat() for path in host.files.images]
    return host.kept("content", [[stat.st_size, stat.st_mtime_ns] for stat in files], compute)["content"]


def filled_up(mask: np.ndarray) -> np.ndarray:
    """Return a mask (Z, Y, X) of bool with its holes filled, as nnU-Net fills them, but faster."""
    pieces: np.ndarray = np.zeros(mask.shape, np.int32)
    ndimage.label(~mask, output=pieces)
    open_ = np.zeros(int(pieces.max()) + 1, bool)
    for axis in range(3):
        for face in (0, -1):
            open_[np.take(pieces, face, axis=axis)] = True
    open_[0] = False  # the mask itself
    return ~open_[pieces]


def check_not_replaced(host: OpenCase, stored: np.ndarray, images: Sequence[Volume], label: Volume) -> None:
    """Raise when a file is not what was preprocessed. Voxel by voxel, so only where nothing was resampled."""
    if host.grid.resampled:
        return
    expected, crop = host.stored_label, crop_of(host)
    if not np.array_equal(np.maximum(expected, 0), label.to_native(turned(label, host)[crop])):
        raise _replaced(host.files.label, "its labels are others")
    some = (slice(None, None, 4),) * 3
    for index, image in enumerate(images):
        channel = Channel.of(host, index)
        if channel.limits is None:
            mean, sd = channel.mean, channel.sd
            before = stored[index][some] * sd + mean
            difference = image.to_native(turned(image, host)[crop][some]) - before
            if np.abs(difference[expected[some] >= 0]).max(initial=0) > TINY * sd + 1e-5 * abs(mean):
                raise _replaced(host.files.images[index], "its values are others")


def _replaced(path: Path, how: str) -> UserError:
    return UserError(
        f"{path} is not the scan that was preprocessed ({how}); put that back, or run nnUNetv2_preprocess again."
    )
