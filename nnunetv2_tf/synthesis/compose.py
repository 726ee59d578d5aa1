"""An edited site becomes a native case: native = host + sd_host * w * resample(z_edited - z_host).

Together with `native`, the only place that knows native images. w says where the edit counts: 1 in a method's region
and 0 elsewhere; else, with d = distance in mm to the placed tumour map, (1 + cos(pi * min(d / reach_mm, 1))) / 2; and
without a reach 1 in the organ. Where w is 0 the host's files keep their values bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from nnunetv2_tf.cases import channel_files
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.methods.base import Edited, Site
from nnunetv2_tf.preparation.resampling import resample, resample_label
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.synthesis.native import Volume, read_volume
from nnunetv2_tf.synthesis.sites import Unusable

Box = tuple[slice, slice, slice]

MARGIN = 3  # voxels that a resampled edit spreads
TINY = 1e-3  # of the sd: a value of type float that is certainly not 0


@dataclass(frozen=True)
class Composed:
    """A finished case, in memory."""

    images: tuple[Volume, ...]
    label: Volume

    def write(self, folder: Path, identifier: str, file_ending: str) -> None:
        """Writes imagesTr and labelsTr of a folder, each file whole or not at all."""
        targets = channel_files(folder / "imagesTr", identifier, file_ending, len(self.images))
        for volume, target in zip(self.images, targets, strict=True):
            volume.write(target)
        self.label.write(folder / "labelsTr" / f"{identifier}{file_ending}")

    def tumour(self, host: Case) -> np.ndarray:
        """(Z, Y, X) int16 on the host's native grid, axes as in working space."""
        label = self.label.native(_turned(self.label, host))
        return np.where(np.isin(label, host.meaning.tumour), label, 0).astype(np.int16)


@dataclass(frozen=True)
class _Edit:
    """The edit on a box of the native grid, axes as in working space."""

    delta: np.ndarray  # (C, Z, Y, X) z_edited - z_host
    weight: np.ndarray  # (Z, Y, X) w
    before: np.ndarray  # (Z, Y, X) the host's label, resampled as the edited one is
    after: np.ndarray  # (Z, Y, X) the edited label
    whole: bool  # the edit replaces what was there
    spared: np.ndarray | None = None  # (Z, Y, X) bool: where 0 stays 0 in each channel, beyond the reach

    def within(self, content: np.ndarray, box: Box, host: Case) -> "_Edit":
        """Only where a mask of the crop is True."""
        return replace(self, weight=self.weight * content[_within_crop(box, host)])


@dataclass(frozen=True)
class _Channel:
    """How one channel of the host is normalised."""

    index: int
    sd: float
    limits: tuple[float, float] | None  # CT: nnU-Net limits values before it normalises them
    background: bool  # whether 0 is background

    @classmethod
    def of(cls, host: Case, index: int) -> "_Channel":
        properties = host.plan.plans["foreground_intensity_properties_per_channel"].get(str(index), {})
        clipped = host.plan.manager.normalization_schemes[index] == "CTNormalization"
        limits = (properties["percentile_00_5"], properties["percentile_99_5"]) if clipped else None
        return cls(index, host.intensity.sd[index], limits, host.has_background)


def compose(host: Case, site: Site, edited: Edited, stored: Tensor | None = None) -> Composed:
    """Puts the edit of a whole case into the host's files. Raises Unusable when no tumour is left of it.

    Where the site shows its host harmonised, `stored` (C, Z, Y, X) is the host as it was: all of its organ is written
    then, and the edit counts from the harmonised host on.
    """
    images = tuple(_read(path, host) for path in host.files.images)
    label = _read(host.files.label, host)
    _refuse_replaced(host, site.image if stored is None else stored, images, label)
    _renumber(label, host)
    box = _native_box(host, site, edited)
    written = np.zeros(0)
    if box is not None:
        edit = _on_native_grid(host, site, edited, box)
        painted, where = (edit, box) if stored is None else _harmonised(host, site, stored, edit, box)
        if host.has_background:
            content = _content(host, images)
            edit, painted = edit.within(content, box, host), painted.within(content, where, host)
        for channel, image in enumerate(images):
            _write_image(image, _turned(image, host)[where], painted, _Channel.of(host, channel))
        written = _write_label(label, _turned(label, host)[box], edit)
    if not np.isin(written, host.meaning.tumour).any():
        raise Unusable(f"nothing of the tumour is left on {host.identifier}")
    return Composed(images, label)


def _read(path: Path, host: Case) -> Volume:
    volume = read_volume(path, host.plan.plans["image_reader_writer"])
    if _turned(volume, host).shape != host.grid.native_shape:
        raise _replaced(path, f"its size is {volume.stored.shape}")
    return volume


def _turned(volume: Volume, host: Case) -> np.ndarray:
    """The stored voxels with the plans' axes; a view."""
    return volume.stored.transpose(host.plan.plans_manager.transpose_forward)


def _renumber(label: Volume, host: Case) -> None:
    """The host's own label in the target's numbering (a healthy host's organ is nothing there)."""
    values = label.native(label.stored).copy() if host.numbering else label.stored
    for value, target in host.numbering.items():
        label.stored[values == value] = label.fitting(np.array(float(target)))


def _native_box(host: Case, site: Site, edited: Edited) -> Box | None:
    """The part of the scan that the edit may touch; None when there is no edit."""
    changed = (edited.image != site.image).any(dim=0) | (edited.label != site.label)
    if edited.region is not None:
        changed &= edited.region
    if not changed.any():
        return None
    if edited.region is None:
        changed |= site.tumour > 0  # what the distance counts from
    return _box_of(changed.numpy(), host)


def _box_of(mask: np.ndarray, host: Case) -> Box:
    """The part of the scan that a mask of working space lies on."""
    grid = host.grid
    found = _bounds(mask)
    around = MARGIN if grid.resampled else 0
    corners = found + np.array([[-0.5 - around], [around - 0.5]])  # outer edges of the voxels
    places = corners * np.diag(grid.to_native)[:3] + grid.to_native[:3, 3]
    low = np.maximum(np.round(places[0] + 0.5), grid.start).astype(int)
    high = np.minimum(np.round(places[1] + 0.5), np.array(grid.start) + grid.cropped).astype(int)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def _bounds(mask: np.ndarray) -> np.ndarray:
    """The first index of what is True, and one past the last, (2, 3)."""
    places = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return np.array([[axis[0] for axis in places], [axis[-1] + 1 for axis in places]])


def _to_working_space(host: Case, box: Box) -> tuple[np.ndarray, list[int]]:
    """Voxel of a box of the scan to voxel in working space, 4x4; and the box's shape."""
    affine = np.linalg.inv(host.grid.to_native)
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    return affine, [part.stop - part.start for part in box]


def _harmonised(host: Case, site: Site, stored: Tensor, edit: _Edit, box: Box) -> tuple[_Edit, Box]:
    """The edit, and the change of looks before it, on all of the organ."""
    organ = site.organ.numpy()
    around = _box_of(organ, host)
    z, y, x = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(around, box, strict=True))
    wide = (z, y, x)
    affine, shape = _to_working_space(host, wide)
    delta = np.stack([resample(channel, affine, shape, 3, 0.0) for channel in (site.image - stored).numpy()])
    inside = resample(organ.astype(np.float32), affine, shape, 1, 0.0) >= 0.5
    here = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, wide, strict=True))
    delta[(slice(None), *here)] += edit.weight * edit.delta
    spared = np.ones(inside.shape, bool)
    spared[here] = edit.weight == 0
    return replace(edit, delta=delta, weight=inside.astype(np.float32), spared=spared), wide


def _on_native_grid(host: Case, site: Site, edited: Edited, box: Box) -> _Edit:
    affine, shape = _to_working_space(host, box)
    delta = [resample(channel, affine, shape, 3, 0.0) for channel in (edited.image - site.image).numpy()]
    organ = resample(site.organ.numpy().astype(np.float32), affine, shape, 1, 0.0) >= 0.5
    after = resample_label(edited.label.numpy(), affine, shape)
    return _Edit(
        delta=np.stack(delta),
        weight=_weight(host, site, edited, affine, after) * organ,
        before=resample_label(site.label.numpy(), affine, shape),
        after=after,
        whole=edited.region is not None,
    )


def _weight(host: Case, site: Site, edited: Edited, affine: np.ndarray, after: np.ndarray) -> np.ndarray:
    spacing = host.grid.native_spacing
    if edited.region is not None:
        region = resample(edited.region.numpy().astype(np.float32), affine, after.shape, 1, 0.0) >= 0.5
        tumour = region & np.isin(after, host.meaning.tumour)
        if host.grid.resampled and edited.reach_mm is not None and tumour.any():  # interpolation may overstep the reach
            region &= np.asarray(distance_transform_edt(~tumour, sampling=spacing)) <= edited.reach_mm
        return region.astype(np.float32)
    if edited.reach_mm is None:
        return np.ones(after.shape, np.float32)
    return feather(resample_label(site.tumour.numpy(), affine, after.shape) > 0, edited.reach_mm, spacing)


def feather(tumour: np.ndarray, reach_mm: float, spacing: Sequence[float]) -> np.ndarray:
    """1 in the tumour map, 0 from `reach_mm` on, half a cosine between; (Z, Y, X) float32."""
    if not tumour.any():
        return np.zeros(tumour.shape, np.float32)
    if reach_mm <= 0:
        return tumour.astype(np.float32)
    distance = np.asarray(distance_transform_edt(~tumour, sampling=spacing))
    weight = (1 + np.cos(np.pi * np.minimum(distance / reach_mm, 1))) / 2
    return np.where(distance < reach_mm, weight, 0).astype(np.float32)


def _content(host: Case, images: Sequence[Volume]) -> np.ndarray:
    """The crop's voxels that nnU-Net takes for the body: not 0 in some channel, or enclosed by such.

    Raises when the crop is not the one that was preprocessed.
    """
    filled = np.any([image.native(_turned(image, host)) != 0 for image in images], axis=0)
    expected = np.cumsum([host.grid.start, host.grid.cropped], axis=0)
    if not filled.any() or not np.array_equal(_bounds(filled), expected):
        raise _replaced(host.files.images[0], "its background is another")
    return np.asarray(create_nonzero_mask(filled[_crop(host)][None]))


def _refuse_replaced(host: Case, stored: Tensor, images: Sequence[Volume], label: Volume) -> None:
    """Raises when a file is not what was preprocessed. Voxel by voxel, so only where nothing was resampled."""
    if host.grid.resampled:
        return
    own, crop = host.stored_label, _crop(host)
    if not np.array_equal(np.maximum(own, 0), label.native(_turned(label, host)[crop])):
        raise _replaced(host.files.label, "its labels are others")
    some = (slice(None, None, 4),) * 3
    for index, image in enumerate(images):
        if _Channel.of(host, index).limits is None:
            mean, sd = host.intensity.mean[index], host.intensity.sd[index]
            difference = image.native(_turned(image, host)[crop][some]) - (stored[index].numpy()[some] * sd + mean)
            if np.abs(difference[own[some] >= 0]).max(initial=0) > TINY * sd + 1e-5 * abs(mean):
                raise _replaced(host.files.images[index], "its values are others")


def _crop(host: Case) -> Box:
    z, y, x = (slice(a, a + size) for a, size in zip(host.grid.start, host.grid.cropped, strict=True))
    return z, y, x


def _replaced(path: Path, how: str) -> UserError:
    return UserError(
        f"{path} is not the scan that was preprocessed ({how}); put that back, or run nnUNetv2_preprocess again."
    )


def _within_crop(box: Box, host: Case) -> Box:
    z, y, x = (slice(part.start - a, part.stop - a) for part, a in zip(box, host.grid.start, strict=True))
    return z, y, x


def _write_image(volume: Volume, part: np.ndarray, edit: _Edit, channel: _Channel) -> None:
    """Adds the edit to a part of a volume. With a background of 0 no voxel becomes 0, or darker than all others."""
    change = channel.sd * edit.weight * edit.delta[channel.index]
    where = change != 0
    if channel.background and edit.spared is not None:
        where &= ~(edit.spared & (volume.native(part) == 0))
    native = volume.native(part[where]).astype(np.float64)
    if channel.limits is not None:
        native += edit.weight[where] * (np.clip(native, *channel.limits) - native)
    native += change[where]
    if channel.background:
        smallest, darkest = volume.step or TINY * channel.sd, float(volume.native(volume.stored.min()))
        fitting = volume.fitting(np.maximum(native, darkest if darkest < 0 else smallest))
        fitting[volume.native(fitting) == 0] = volume.fitting(np.array(smallest))
    else:
        fitting = volume.fitting(native)
    part[where] = fitting


def _write_label(volume: Volume, part: np.ndarray, edit: _Edit) -> np.ndarray:
    """Writes the label where the edit changed it, or all of a region; returns the label where the edit counts."""
    counts = edit.weight > 0
    where = counts if edit.whole else counts & (edit.after != edit.before)
    fitting = volume.fitting(edit.after[where].astype(np.float64))
    if not np.array_equal(volume.native(fitting), edit.after[where]):
        raise UserError(
            f"{volume.path} is stored as {volume.dtype}, which cannot hold the tumour's classes; store it as int16."
        )
    part[where] = fitting
    return edit.after[counts]
