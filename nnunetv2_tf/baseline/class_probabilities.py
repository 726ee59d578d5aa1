"""How sure a baseline is of each class. In: logits of its network. Out: log-probabilities of the tumour's classes.

For labels that exclude one another they are nnU-Net's softmax. Overlapping regions have a sigmoid each, and nnU-Net
writes a region's class over that of the regions before it; so a voxel is of a class as far as it is in the class's
region and in none of those behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from nnunetv2_tf.io.errors import UserError


@dataclass(frozen=True)
class ClassProbabilities:
    """Turns the logits of nnU-Net's heads into log-probabilities of classes."""

    heads: int  # how many there are
    of_classes: tuple[int, ...]  # the head that stands for each class
    regions: bool

    @classmethod
    def of(cls, labels: LabelManager, classes: Sequence[int]) -> "ClassProbabilities":
        """Find the heads of classes, which are values of the label."""
        written = list(labels.regions_class_order or ()) if labels.has_regions else list(labels.all_labels)
        missing = [value for value in classes if value not in written]
        if missing:
            raise UserError(
                f"dataset.json's regions_class_order writes no label {missing[0]}, which is a class of the tumour; add "
                "its region there, plan and train again."
            )
        found = tuple(written.index(value) for value in classes)
        return cls(labels.num_segmentation_heads, found, bool(labels.has_regions))

    def of_any(self, probabilities: Tensor) -> Tensor:
        """Return (Z, Y, X), how probable any of the classes is, of the probabilities of all heads (heads, Z, Y, X).

        Regions lie in one another, as BraTS': any class is there where the widest region is.
        """
        found = probabilities[list(self.of_classes)]
        return found.max(dim=0).values if self.regions else found.sum(dim=0)

    def __call__(self, logits: Tensor) -> Tensor:
        """Return (B, K, Z, Y, X) of logits (B, heads, Z, Y, X)."""
        if not self.regions:
            return log_softmax(logits, dim=1)[:, list(self.of_classes)]
        absent = logsigmoid(-logits)
        behind = absent.flip(1).cumsum(1).flip(1) - absent
        return (logsigmoid(logits) + behind)[:, list(self.of_classes)]
