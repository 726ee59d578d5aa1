"""CarveMix as its authors published it: the reference that ours is measured against. Do not improve this file.

Zhang et al., CarveMix (MICCAI 2021, NeuroImage 2023), the variant for heterogeneous data, written anew from the
procedure: both cases are read whole in double precision, every modality is z-scored over its whole volume including
background, the signed distance to the lesion is computed over the whole volume (outside it from `1 - label`, which is
right for one class only), and image and label are written as float32. Each file is read once here, where the authors'
script reads some of them several times; arrays are (X, Y, Z), as nibabel gives them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
from scipy import ndimage


def signed_distance(label: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Minus the depth inside the lesion, the distance to it outside."""
    depth = np.asarray(ndimage.distance_transform_edt(label, sampling=spacing))
    outside = np.asarray(ndimage.distance_transform_edt(1 - label, sampling=spacing))
    return np.where(label, -depth, outside)


def carve_mix(
    host: np.ndarray,
    donor: np.ndarray,
    host_label: np.ndarray,
    donor_label: np.ndarray,
    spacing: Sequence[float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Carves the donor's lesion and pastes it; returns image (C, X, Y, Z), label, mask and lambda."""
    distance = signed_distance(donor_label, spacing)
    drawn = (rng.beta(1, 1) - 0.5) * 2
    threshold = drawn * np.min(distance) / 2 if drawn > 0 else drawn * np.min(distance)
    mask = (distance < threshold).astype("float32")
    image = host * (mask == 0) + donor * mask
    label = host_label * (mask == 0) + donor_label * mask
    return image, label, mask, float(threshold)


def mix_files(
    host_images: Sequence[Path],
    donor_images: Sequence[Path],
    host_label: Path,
    donor_label: Path,
    image_targets: Sequence[Path],
    label_target: Path,
    rng: np.random.Generator,
) -> float:
    """Makes one case out of two; returns lambda."""
    header = sitk.ReadImage(str(host_images[0]))
    hosts, means, deviations = zip(*(_normalised(_volume(path)) for path in host_images), strict=True)
    donors = [_normalised(_volume(path))[0] for path in donor_images]
    image, label, _, threshold = carve_mix(
        np.array(hosts), np.array(donors), _volume(host_label), _volume(donor_label), header.GetSpacing(), rng
    )
    for channel, target in enumerate(image_targets):
        _write(image[channel] * deviations[channel] + means[channel], header, target)
    _write(label, header, label_target)
    return threshold


def _volume(path: Path) -> np.ndarray:
    image: Any = nibabel.load(path)  # type: ignore[attr-defined]
    return image.get_fdata()


def _normalised(volume: np.ndarray) -> tuple[np.ndarray, float, float]:
    mean, deviation = np.mean(volume), np.std(volume)
    return (volume - mean) / (deviation + 1e-8), float(mean), float(deviation)


def _write(volume: np.ndarray, header: Any, target: Path) -> None:
    image = sitk.GetImageFromArray(volume.astype("float32").transpose(2, 1, 0))
    image.SetSpacing(header.GetSpacing())
    image.SetOrigin(header.GetOrigin())
    image.SetDirection(header.GetDirection())
    sitk.WriteImage(image, str(target))
