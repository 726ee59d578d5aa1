"""What the generator is told, and files of it."""

import pytest
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.pix2pix.networks import WEIGHTS, MapToImage, condition_of, read_generator
from nnunetv2_tf.networks.saved import weights_of, write_network
from nnunetv2_tf.training.intensity_range import DARKEST
from tests.methods.pix2pix.examples import CLASSES, SIZE, design


def test_outside_the_organ_an_image_is_darkest():
    torch.manual_seed(0)
    organ = torch.zeros(1, *SIZE, dtype=torch.bool)
    organ[:, 4:12, 4:12, 4:12] = True
    tumour = torch.zeros(1, *SIZE, dtype=torch.int16)
    tumour[:, 2:6, 6, 6] = 3
    image = MapToImage(design()).eval()(condition_of(tumour, organ, CLASSES))[:, 0]
    inside = organ | (tumour > 0)
    assert image[~inside].eq(DARKEST).all()
    assert image[inside].ne(DARKEST).all()


def test_the_condition_is_outside_organ_and_classes_voxel_by_voxel():
    tumour = torch.tensor([0, 0, 1, 3, 3]).reshape(1, 1, 1, 5)
    organ = torch.tensor([False, True, True, True, False]).reshape(1, 1, 1, 5)
    found = condition_of(tumour, organ, CLASSES)
    expected = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert found[0, :, 0, 0].T.tolist() == expected
    assert found.sum(dim=1).eq(1).all()


def test_a_generator_is_read_as_it_was_written(tmp_path):
    torch.manual_seed(0)
    generator = MapToImage(design(2)).eval()
    write_network(tmp_path / WEIGHTS, design(2), weights_of(generator))
    read = read_generator(tmp_path / WEIGHTS, "")
    condition = torch.rand(1, 4, *SIZE)
    assert read.design == design(2)
    assert torch.equal(read(condition), generator(condition))
    assert read(condition).abs().max() <= 1
    (tmp_path / "bad").write_bytes(b"not it")
    with pytest.raises(UserError, match="bad is no generator of Pix2Pix .*; fit again"):
        read_generator(tmp_path / "bad", "fit again")
