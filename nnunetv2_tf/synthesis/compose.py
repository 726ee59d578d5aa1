"""An edited site becomes a native case: native = host + sd_host * w * resample(z_edited - z_host).

`host` is the file's own voxels, displaced as the site's host is. Together with `host_files` and `native_volume`, the
only place that knows native images of hosts. w says where the edit counts: 1 in a method's region and 0 elsewhere;
else, with d = distance in mm to the placed tumour map, (1 + cos(pi * min(d / reach_mm, 1))) / 2; and without a reach 1
in the organ. Where w is 0 images keep the file's (displaced) values bit for bit, but for harmonised hosts, which are
written in all of the organ; labels of healthy hosts are renumbered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from nnunetv2_tf.dataset.cases import channel_files
from nnunetv2_tf.geometry.boxes import Box, bounds, box_from, shape_of, starting_at, union, within
from nnunetv2_tf.geometry.displacement import Displacement, displaced
from nnunetv2_tf.geometry.feather import feather_around
from nnunetv2_tf.geometry.resampling import resample, resample_label
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.written import WrittenFiles, record_of
from nnunetv2_tf.methods.base import Edited, Site
from nnunetv2_tf.synthesis.host_files import (
    TINY,
    Channel,
    check_not_replaced,
    content_of,
    crop_of,
    read_file,
    turned,
)
from nnunetv2_tf.synthesis.native_volume import Volume
from nnunetv2_tf.synthesis.site_builder import UnusableLineError
from nnunetv2_tf.working_space.stored import OpenCase

MARGIN = 3  # voxels that a resampled edit spreads


@dataclass(frozen=True)
class Composed:
    """A finished case, in memory."""

    images: tuple[Volume, ...]
    label: Volume

    def write(self, folder: Path, identifier: str, file_ending: str) -> WrittenFiles:
        """Write imagesTr and labelsTr of a folder, each file whole or not at all; return what they are like."""
        targets = channel_files(folder / "imagesTr", identifier, file_ending, len(self.images))
        for volume, target in zip(self.images, targets, strict=True):
            volume.write(target)
        label = folder / "labelsTr" / f"{identifier}{file_ending}"
        self.label.write(label)
        return record_of(folder, [*targets, label])

    def tumour(self, host: OpenCase) -> np.ndarray:
        """Return the tumour map (Z, Y, X) int16 on the host's native grid, axes as in working space."""
        label = self.label.to_native(turned(self.label, host))
        return np.where(np.isin(label, host.roles.tumour), label, 0).astype(np.int16)

    def put_in(self, host: OpenCase) -> np.ndarray:
        """Return the same without the tumour that the host, if it is a patient, had before."""
        tumour = self.tumour(host)
        if host.numbering:  # a healthy scan's label means something else
            return tumour
        own = read_file(host.files.label, host)
        return np.where(tumour == own.to_native(turned(own, host)), 0, tumour).astype(np.int16)


@dataclass(frozen=True)
class _Edit:
    """The edit on a box of the native grid, axes as in working space."""

    delta: np.ndarray  # (C, Z, Y, X) z_edited - z_host
    weight: np.ndarray  # (Z, Y, X) w
    before: np.ndarray  # (Z, Y, X) the host's label, resampled as the edited one is
    after: np.ndarray  # (Z, Y, X) the edited label
    whole: bool  # the edit replaces what was there
    spared: np.ndarray | None = None  # (Z, Y, X) bool: where 0 stays 0 in each channel, beyond the reach
    absolute: bool = False  # delta is z_edited itself, where the weight is 1

    def within(self, content: np.ndarray, box: Box, host: OpenCase) -> "_Edit":
        """Return the edit where a mask of the crop is True, and nothing elsewhere."""
        return replace(self, weight=self.weight * content[within(box, crop_of(host))])


def compose(
    host: OpenCase,
    site: Site,
    edited: Edited,
    unharmonised: Tensor | None = None,
    displacement: Displacement | None = None,
) -> Composed:
    """Put the edit of a whole case into the host's files. Raises UnusableLineError when no tumour is left of it.

    Where the site shows its host displaced, the files are displaced, too, and the edit counts from there on. Where it
    shows it harmonised, `unharmonised` (C, Z, Y, X) is the host as it is stored: all of its organ is written then, and
    the edit counts from the harmonised host on.
    """
    images = tuple(read_file(path, host) for path in host.files.images)
    label = read_file(host.files.label, host)
    stored = host.image() if unharmonised is None else unharmonised.numpy()
    check_not_replaced(host, stored, images, label)
    _renumber(label, host)
    content = content_of(host, images) if host.has_background else None
    absolute = unharmonised is not None and displacement is not None and not host.grid.resampled
    if displacement is not None:
        _displace(host, () if absolute else images, label, displacement)
    box = _native_box(host, site, edited)
    written = np.zeros(0)
    if box is not None:
        edit = _on_native_grid(host, site, edited, box)
        painted, where = edit, box
        if unharmonised is not None:
            before = None if absolute else _displaced(unharmonised, displacement)
            painted, where = _harmonised(host, site, before, edit, box)
        if content is not None:
            edit, painted = edit.within(content, box, host), painted.within(content, where, host)
        for channel, image in enumerate(images):
            _write_image(image, turned(image, host)[where], painted, Channel.of(host, channel))
        written = _write_label(label, turned(label, host)[box], edit)
    if not np.isin(written, host.roles.tumour).any():
        raise UnusableLineError(f"nothing of the tumour is left on {host.identifier}")
    return Composed(images, label)


def _renumber(label: Volume, host: OpenCase) -> None:
    """Translate the host's label into the target's numbering (a healthy host's organ is 0 there)."""
    values = label.to_native(label.file_voxels).copy() if host.numbering else label.file_voxels
    for value, target in host.numbering.items():
        label.file_voxels[values == value] = label.to_file_values(np.array(float(target)))


def _native_box(host: OpenCase, site: Site, edited: Edited) -> Box | None:
    """Return the part of the scan that the edit may touch; None when there is no edit."""
    changed = (edited.image != site.image).any(dim=0) | (edited.label != site.label)
    if edited.region is not None:
        changed &= edited.region
    if not changed.any():
        return None
    if edited.region is None:
        changed |= site.tumour > 0  # what the distance counts from
    return _box_of(changed.numpy(), host)


def _box_of(mask: np.ndarray, host: OpenCase) -> Box:
    """Return the part of the scan that a mask of working space lies on."""
    grid = host.grid
    around = MARGIN if grid.resampled else 0
    corners = bounds(mask) + np.array([[-0.5 - around], [around - 0.5]])  # outer edges of the voxels
    places = corners * np.diag(grid.to_native)[:3] + grid.to_native[:3, 3]
    low = np.maximum(np.round(places[0] + 0.5), grid.start).astype(int)
    high = np.minimum(np.round(places[1] + 0.5), np.array(grid.start) + grid.cropped).astype(int)
    return box_from(low, high)


def _to_working_space(host: OpenCase, box: Box) -> np.ndarray:
    """Return (4, 4): voxel of a box of the scan to voxel in working space."""
    return starting_at(np.linalg.inv(host.grid.to_native), [part.start for part in box])


def _displaced(image: Tensor, displacement: Displacement | None) -> np.ndarray:
    return image.numpy() if displacement is None else displacement.moved(image.numpy(), 3)


def _harmonised(host: OpenCase, site: Site, before: np.ndarray | None, edit: _Edit, box: Box) -> tuple[_Edit, Box]:
    """Return the edit, and the change of appearance before it, on all of the organ.

    Where the image `before` that change is None, the edit says what the organ is to be, not by how much it changes:
    displaced files are not needed then, where they are as fine as the site.
    """
    organ = site.organ.numpy()
    wide = union([_box_of(organ, host), box])
    affine, shape = _to_working_space(host, wide), shape_of(wide)
    change = site.image.numpy() if before is None else site.image.numpy() - before
    delta = np.stack([resample(channel, affine, shape, 3, 0.0) for channel in change])
    inside = resample(organ.astype(np.float32), affine, shape, 1, 0.0) >= 0.5
    here = within(box, wide)
    delta[(slice(None), *here)] += edit.weight * edit.delta
    spared = np.ones(inside.shape, bool)
    spared[here] = edit.weight == 0
    weight = inside.astype(np.float32)
    return replace(edit, delta=delta, weight=weight, spared=spared, absolute=before is None), wide


def _on_native_grid(host: OpenCase, site: Site, edited: Edited, box: Box) -> _Edit:
    affine, shape = _to_working_space(host, box), shape_of(box)
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


def _weight(host: OpenCase, site: Site, edited: Edited, affine: np.ndarray, after: np.ndarray) -> np.ndarray:
    spacing = host.grid.native_spacing
    if edited.region is not None:
        region = resample(edited.region.numpy().astype(np.float32), affine, after.shape, 1, 0.0) >= 0.5
        tumour = region & np.isin(after, host.roles.tumour)
        if host.grid.resampled and edited.reach_mm is not None and tumour.any():  # interpolation may overstep the reach
            region &= np.asarray(distance_transform_edt(~tumour, sampling=spacing)) <= edited.reach_mm
        return region.astype(np.float32)
    if edited.reach_mm is None:
        return np.ones(after.shape, np.float32)
    return feather_around(resample_label(site.tumour.numpy(), affine, after.shape) > 0, edited.reach_mm, spacing)


def _displace(host: OpenCase, images: Sequence[Volume], label: Volume, displacement: Displacement) -> None:
    """Displace the files' voxels. What does not move keeps its value bit for bit, and background stays where it is."""
    labelled = label.file_voxels.min() != label.file_voxels.max()
    if not (images or labelled):
        return
    moving = displacement.on(np.linalg.inv(host.grid.to_native), host.grid.native_shape)
    if moving is None:
        return
    box, shift = moving
    for index, volume in enumerate(images):
        channel, part = Channel.of(host, index), turned(volume, host)[box]
        moved = displaced(volume.to_native(turned(volume, host)), box, shift, host.grid.native_spacing, 3)
        where = shift.any(axis=0)
        if channel.background:
            where &= volume.to_native(part) != 0
        part[where] = _in_file(volume, moved[where], channel)
    voxels = turned(label, host)
    voxels[box] = displaced(voxels, box, shift, host.grid.native_spacing, 0)


def _write_image(volume: Volume, part: np.ndarray, edit: _Edit, channel: Channel) -> None:
    """Add the edit to a part of a volume."""
    change = channel.sd * edit.weight * edit.delta[channel.index]
    where = edit.weight > 0 if edit.absolute else change != 0
    if channel.background and edit.spared is not None:
        where &= ~(edit.spared & (volume.to_native(part) == 0))
    if edit.absolute:
        native = channel.mean + change[where].astype(np.float64)
    else:
        native = volume.to_native(part[where]).astype(np.float64)
        if channel.limits is not None:
            native += edit.weight[where] * (np.clip(native, *channel.limits) - native)
        native += change[where]
    part[where] = _in_file(volume, native, channel)


def _in_file(volume: Volume, native: np.ndarray, channel: Channel) -> np.ndarray:
    """Return values as a file stores them. With a background of 0 none becomes 0, or darker than all that is there."""
    if not channel.background:
        return volume.to_file_values(native)
    smallest, darkest = volume.step or TINY * channel.sd, float(volume.to_native(volume.file_voxels.min()))
    fitting = volume.to_file_values(np.maximum(native, darkest if darkest < 0 else smallest))
    fitting[volume.to_native(fitting) == 0] = volume.to_file_values(np.array(smallest))
    return fitting


def _write_label(volume: Volume, part: np.ndarray, edit: _Edit) -> np.ndarray:
    """Write the label where the edit changed it, or all of a region; return the label where the edit counts."""
    counts = edit.weight > 0
    where = counts if edit.whole else counts & (edit.after != edit.before)
    fitting = volume.to_file_values(edit.after[where].astype(np.float64))
    if not np.array_equal(volume.to_native(fitting), edit.after[where]):
        raise UserError(
            f"{volume.path} is stored as {volume.dtype}, which cannot hold the tumour's classes; store it as int16."
        )
    part[where] = fitting
    return edit.after[counts]
