"""Probabilities against the network itself, with and without mirroring, for classes and for regions."""

from itertools import product

import numpy as np
import pytest
import torch

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from tests.baseline.models import baseline
from tests.scenes import CPU
from tests.workspace import TINY, Workspace

CASES = [f"case_{index:03d}" for index in range(10)]
# nnU-Net adds tiles up in half precision, by weights that nearly vanish at their corners
MIDDLE, CLOSE = (slice(None), *(slice(4, 12),) * 3), 5e-3


def logits_of(model: Baseline, image: torch.Tensor) -> torch.Tensor:
    network = model.network().eval()
    with torch.no_grad():
        return network(image[None])[0][0]


def image_of(shape: tuple[int, ...] = (16, 16, 16)) -> torch.Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))


def test_one_patch_is_the_network_and_a_softmax(trained: Workspace):
    model, image = baseline(trained), image_of()
    segmentor = Segmentor(model, CPU)
    expected = torch.softmax(logits_of(model, image), dim=0)
    assert not segmentor.has_regions
    torch.testing.assert_close(segmentor.probabilities(image)[MIDDLE], expected[MIDDLE], atol=CLOSE, rtol=0)
    first, second = expected[MIDDLE].topk(2, dim=0).values
    sure = first - second > 2 * CLOSE
    assert sure.float().mean() > 0.5
    label = segmentor.segmentation(image)[MIDDLE[1:]]
    assert torch.equal(label[sure], expected[MIDDLE].argmax(dim=0).to(torch.int16)[sure])


def test_mirroring_averages_logits_over_all_flips(trained: Workspace):
    model, image = baseline(trained), image_of()
    flips = [[axis + 1 for axis in range(3) if chosen[axis]] for chosen in product((False, True), repeat=3)]
    logits = torch.stack([logits_of(model, image.flip(flip)).flip(flip) for flip in flips]).mean(dim=0)
    expected = torch.softmax(logits, dim=0)
    probabilities = Segmentor(model, CPU, mirroring=True).probabilities(image)
    torch.testing.assert_close(probabilities[MIDDLE], expected[MIDDLE], atol=CLOSE, rtol=0)
    assert float((probabilities - Segmentor(model, CPU).probabilities(image))[MIDDLE].abs().max()) > 2 * CLOSE


def test_larger_and_smaller_images_keep_their_shape_and_may_be_used_with_gradients(trained: Workspace):
    segmentor = Segmentor(baseline(trained), CPU)
    for shape in ((12, 16, 20), (24, 20, 30)):
        image = image_of(shape)
        probabilities = segmentor.probabilities(image)
        assert probabilities.shape == (4, *shape)
        np.testing.assert_allclose(probabilities.sum(dim=0), np.ones(shape), atol=1e-5)
        weight = torch.ones((), requires_grad=True)
        (probabilities * weight).sum().backward()  # no inference tensor
        assert segmentor.segmentation(image).dtype == torch.int16


def test_regions_have_a_sigmoid_each_and_become_labels(workspace: Workspace):
    for path in (workspace.dataset.raw / "dataset.json", workspace.dataset.preprocessed / "dataset.json"):
        labels = {"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": [3]}
        write_json(path, read_json(path, "") | {"labels": labels, "regions_class_order": [2, 1, 3]})
    trainer = workspace.trainer("nnUNetTrainer")
    trainer.initialize()
    model = Baseline(workspace.dataset, "nnUNetTrainer", TINY, "3d_fullres", 0)
    (model.folder / "validation").mkdir(parents=True)
    for case in fold_split(workspace.dataset, 0, CASES).val:
        (model.folder / "validation" / f"{case}.nii.gz").touch()
    trainer.save_checkpoint(str(model.path))
    segmentor, image = Segmentor(model, CPU), image_of()
    expected = torch.sigmoid(logits_of(model, image))
    assert segmentor.has_regions
    probabilities = segmentor.probabilities(image)
    torch.testing.assert_close(probabilities[MIDDLE], expected[MIDDLE], atol=CLOSE, rtol=0)
    label = torch.zeros(image.shape[1:], dtype=torch.int16)
    for region, value in zip(probabilities, (2, 1, 3), strict=True):
        label[region > 0.5] = value
    assert torch.equal(segmentor.segmentation(image), label)


def test_a_model_that_is_not_finished_is_no_segmentor(trained: Workspace):
    model = baseline(trained)
    model.path.rename(model.path.with_name("checkpoint_latest.pth"))
    with pytest.raises(UserError, match="the training has not ended"):
        Segmentor(model, CPU)
