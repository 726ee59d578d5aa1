"""Brightness on another scan's scale. In: two cases. Out: values of the one as they would be in the other.

nnU-Net normalises a patient with the tumour in it, which takes its part in mean and standard deviation. A bright tumour
of 1.5 among tissue of mean -0.2 would be paler in a healthy host, whose tissue has mean 0, if it stayed 1.5; and paler
again once the host is normalised with it. What has to stay is how it stands out from the tissue beside it.
"""

import numpy as np

from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.working_space.stored import OpenCase

SCALING = 1  # counts up when values come to be scaled in another way
LEAST = 1000  # voxels of tissue; scans with less are left on their own scale


def tissue(case: OpenCase) -> np.ndarray | None:
    """Return (2, C): mean and standard deviation of a case's organ beside its tumour; None where it is too small."""

    def compute() -> Arrays:
        beside = case.organ() & (case.tumour() == 0)
        values = case.image()[:, beside]
        return {} if values.shape[1] < LEAST else {"moments": np.stack([values.mean(axis=1), values.std(axis=1)])}

    # a patient is a donor as it is, and a host by its free side: each is kept, and does not replace the other
    return case.kept(f"tissue_{type(case).__name__}", SCALING, compute).get("moments")


def as_in(image: np.ndarray, donor: OpenCase, host: OpenCase) -> np.ndarray:
    """Return an image (C, ...) of a donor on the scale of a host, channel by channel where nnU-Net z-scores them."""
    own, others = tissue(donor), tissue(host)
    if own is None or others is None:
        return image
    scaled = image.copy()
    for channel, z_scored in enumerate(host.plan.z_scored):
        (mean, sd), (hosts_mean, hosts_sd) = own[:, channel], others[:, channel]
        if z_scored and sd > 0:
            scaled[channel] = (image[channel] - mean) / sd * hosts_sd + hosts_mean
    return scaled
