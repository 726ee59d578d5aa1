"""What the filter would keep. In: a measured set and its fold's baseline. Out: how much of each tumour it recognises.

On real cases that validate in the fold the baseline is asked about tumours it has not seen: what a perfect synthetic
case could hope for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.benchmark.metrics import dice
from nnunetv2_tf.io.arguments import KEEP, is_kept
from nnunetv2_tf.quality.recognition import recognised, segmented_around
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.synthesis.acceptance import ready_segmentor
from nnunetv2_tf.working_space.stored import OpenCase


@dataclass(frozen=True)
class Recognition:
    """A segmentor on cases of one kind."""

    names: tuple[str, ...]
    shares: tuple[float, ...]  # of each tumour's voxels that it calls tumour
    dices: tuple[float, ...]  # of the whole tumour, in the box that the segmentor is shown

    @property
    def kept(self) -> list[bool]:
        """Which cases the filter keeps."""
        return [is_kept(share, KEEP) for share in self.shares]

    def dice_of(self, kept: bool) -> float:
        """Return the mean Dice of kept or of rejected cases; nan without any."""
        values = [value for value, is_kept in zip(self.dices, self.kept, strict=True) if is_kept is kept]
        return float(np.mean(values)) if values else np.nan


def recognition(measured: MeasuredSet, baseline: Baseline, device: str) -> dict[str, Recognition]:
    """Segment the set's cases, and the fold's real ones, with a baseline."""
    made = ((one.case, one.tumour) for one in measured.made())
    validating = (measured.real[name].open() for name in measured.validating)
    training = (case.open() for case in measured.cohort.training.values())
    return {
        "synthetic": _recognition(made, baseline, device),
        "real, not seen in training": _recognition(((case, case.tumour()) for case in validating), baseline, device),
        "real, seen in training": _recognition(((case, case.tumour()) for case in training), baseline, device),
    }


def _recognition(cases: Iterable[tuple[OpenCase, np.ndarray]], baseline: Baseline, device: str) -> Recognition:
    segmentor = ready_segmentor(baseline, device)
    names, shares, dices = [], [], []
    for case, tumour in cases:
        if not tumour.any():
            continue
        segmentation = segmented_around(segmentor, case.image(), tumour)
        values = case.roles.tumour
        names.append(case.identifier)
        shares.append(recognised(segmentation, tumour, values).tumour)
        dices.append(dice(np.isin(segmentation, values), tumour > 0))
    return Recognition(tuple(names), tuple(shares), tuple(dices))
