"""Probabilities of classes against plain loops, for classes and for regions."""

import numpy as np
import pytest
import torch
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunetv2_tf.baseline.class_probabilities import ClassProbabilities
from nnunetv2_tf.io.errors import UserError

CLASSES = {"background": 0, "brain": 1, "NCR": 2, "ED": 3}
REGIONS = {"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": [3]}


def logits(heads: int) -> torch.Tensor:
    return 3 * torch.randn(2, heads, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def test_classes_are_nnunets_softmax():
    found = ClassProbabilities.of(LabelManager(CLASSES, None), (2, 3))
    given = logits(4)
    expected = torch.softmax(given, dim=1)[:, 2:]
    torch.testing.assert_close(found(given).exp(), expected)


def test_regions_are_written_over_one_another():
    found = ClassProbabilities.of(LabelManager(REGIONS, [2, 1, 3]), (1, 2, 3))
    given = logits(3)
    probabilities = found(given).exp().numpy()
    for place in np.ndindex(2, 3, 4, 5):
        batch, *voxel = place
        wt, tc, et = torch.sigmoid(given[(batch, slice(None), *voxel)].double()).tolist()
        expected = {3: et, 1: tc * (1 - et), 2: wt * (1 - tc) * (1 - et)}
        for index, value in enumerate((1, 2, 3)):
            assert probabilities[(batch, index, *voxel)] == pytest.approx(expected[value], rel=1e-4)


def test_sure_regions_become_the_labels_that_nnunet_writes():
    manager = LabelManager(REGIONS, [2, 1, 3])
    given = logits(3)[0].sign() * 30
    written = torch.as_tensor(manager.convert_logits_to_segmentation(given))
    likeliest = ClassProbabilities.of(manager, (1, 2, 3))(given[None])[0].exp()
    for index, value in enumerate((1, 2, 3)):
        assert torch.equal(likeliest[index] > 0.5, written == value)


def test_logits_may_be_extreme_and_have_gradients():
    for manager, heads in ((LabelManager(CLASSES, None), 4), (LabelManager(REGIONS, [2, 1, 3]), 3)):
        given = (200 * logits(heads)).requires_grad_()
        found = ClassProbabilities.of(manager, (2, 3))(given)
        assert torch.isfinite(found).all()
        found.sum().backward()
        assert given.grad is not None
        assert given.grad.abs().sum(dim=(1, 2, 3, 4)).gt(0).all()


def test_a_class_that_no_region_writes_is_refused():
    manager = LabelManager({"background": 0, "WT": [1, 2], "TC": [1]}, [2, 1])
    with pytest.raises(UserError, match="regions_class_order writes no label 4"):
        ClassProbabilities.of(manager, (1, 4))


def test_how_probable_any_class_is():
    for manager, heads in ((LabelManager(CLASSES, None), 4), (LabelManager(REGIONS, [2, 1, 3]), 3)):
        values = (2, 3) if heads == 4 else (1, 2, 3)
        classes, given = ClassProbabilities.of(manager, values), logits(heads)
        for one in given:
            expected = classes(one[None]).exp().sum(dim=1)[0] if heads == 4 else one.sigmoid().max(dim=0).values
            heads_of = torch.as_tensor(manager.apply_inference_nonlin(one))
            torch.testing.assert_close(classes.of_any(heads_of), expected)
