"""What methods edit. In: tensors of a host and of donors. Out: a site, a box of one case in working space."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nnunetv2_tf.geometry.boxes import Box
from nnunetv2_tf.geometry.feather import feather_around


@dataclass(frozen=True)
class Donor:
    """The case a tumour comes from, on the site's grid and under the tumour's transform.

    For a transformed tumour only the box around it is known, not all of the case.
    """

    image: Tensor  # (C, Z, Y, X) float32, normalised as the donor's own
    label: Tensor  # (Z, Y, X) int16, all classes
    tumour: Tensor  # (Z, Y, X) int16, the label where it is tumour, also where the host has no organ
    organ: Tensor  # (Z, Y, X) bool; outside it the image means nothing

    def paste(self, image: Tensor, label: Tensor, box: Box, inside: Tensor) -> None:
        """Write image and label over a host's.

        Args:
            image: (C, Z, Y, X) the host's, changed in place
            label: (Z, Y, X) likewise
            box: of both
            inside: bool, where in the box
        """
        whole = (slice(None), *box)
        image[whole] = torch.where(inside, self.image[whole], image[whole])
        label[box] = torch.where(inside, self.label[box], label[box])


@dataclass(frozen=True)
class Site:
    """A box of one case: a whole case, a region, or a training patch."""

    image: Tensor  # (C, Z, Y, X) float32, the host
    label: Tensor  # (Z, Y, X) int16, the host's own, in the target's numbering
    organ: Tensor  # (Z, Y, X) bool: where tumour may be
    tumour: Tensor  # (Z, Y, X) int16: the placed tumour map, inside the organ
    donors: tuple[Donor, ...]  # one per tumour, for methods that paste
    spacing: tuple[float, float, float]
    body: Tensor  # (Z, Y, X) bool: where nnU-Net normalises the host
    n_norm: int  # voxels of the whole case's body

    def weight(self, reach_mm: float | None) -> Tensor:
        """Return (Z, Y, X) float32: how much an edit of such a reach counts; None: it counts in all the organ."""
        organ = self.organ.to(torch.float32)
        if reach_mm is None:
            return organ
        return organ * torch.from_numpy(feather_around(self.tumour.numpy() > 0, reach_mm, self.spacing))
