"""A synthetic case as nnU-Net's dataloader sees it. In: an edited site. Out: arrays as its preprocessor would store.

Nothing is written to files and read again: the edit stays in working space. Where nnU-Net resamples, a set's cases
differ from these by the interpolation to the scan's grid and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

from nnunetv2_tf.methods.base import Edited
from nnunetv2_tf.synthesis.finished import Finished
from nnunetv2_tf.synthesis.host_files import Channel
from nnunetv2_tf.synthesis.site_builder import BuiltSite, UnusableLineError
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import OpenCase


@dataclass(frozen=True)
class MadeCase:
    """A synthetic case in memory."""

    line: int  # of the recipe
    host: str
    donors: tuple[str, ...]
    image: np.ndarray  # (C, Z, Y, X) float32, normalised
    seg: np.ndarray  # (1, Z, Y, X) int16, -1 where the host has its background

    def for_dataloader(self, plan: Plan) -> tuple[np.ndarray, np.ndarray, None, dict[str, Any]]:
        """Return what nnU-Net's datasets return of a case."""
        return self.image, self.seg, None, {"class_locations": locations(self.seg, plan)}


def made_case(line: int, donors: tuple[str, ...], host: OpenCase, built: BuiltSite, edited: Edited) -> MadeCase:
    """Return the case that an edited site comes to. Raises UnusableLineError when no tumour is left of it."""
    plan = host.plan
    finished = Finished.of(built.site, edited, host.roles.tumour, plan.z_scored)
    if not finished.tumour.any():
        raise UnusableLineError(f"nothing of the tumour is left on {host.identifier}")
    image = finished.image
    for channel in (Channel.of(host, index) for index in range(len(image))):
        if channel.limits is not None:
            low, high = ((limit - channel.mean) / channel.sd for limit in channel.limits)
            image[channel.index] = image[channel.index].clip(low, high)
    seg = np.where(host.stored_label < 0, -1, finished.label).astype(np.int16)
    return MadeCase(line, host.identifier, donors, image, seg[None])


def locations(seg: np.ndarray, plan: Plan) -> Mapping[Any, np.ndarray]:
    """Return voxels (n, 4) of each label or region, by which nnU-Net oversamples them."""
    labels = plan.label_manager
    wanted: list[Any] = list(labels.foreground_regions if labels.has_regions else labels.foreground_labels)
    if labels.has_ignore_label:
        wanted.append([-1, *labels.all_labels])
    return DefaultPreprocessor._sample_foreground_locations(seg, wanted)
