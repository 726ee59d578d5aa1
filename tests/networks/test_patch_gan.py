"""The discriminator of pix2pix."""

import pytest
import torch

from nnunetv2_tf.networks.patch_gan import PatchGAN


def test_a_logit_sees_seventy_voxels_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.nn.InstanceNorm3d, "forward", lambda _, x: x)  # it looks at all of the patch
    network, x = PatchGAN(2, 2, (128, 128, 128)), torch.zeros(1, 1, 96, 96, 96, requires_grad=True)
    logits = network(torch.zeros(1, 1, 96, 96, 96), x)
    logits[0, 0, 5, 5, 5].backward()
    assert x.grad is not None
    seen = torch.nonzero(x.grad[0, 0])
    assert int((seen.amax(dim=0) - seen.amin(dim=0) + 1).max()) == 70


@pytest.mark.parametrize(("size", "expected"), [(64, 6), (32, 2), (16, 2)])
def test_small_patches_have_fewer_stages(size, expected):
    network = PatchGAN(3, 2, (size,) * 3)
    assert network(torch.rand(1, 2, *(size,) * 3), torch.rand(1, 1, *(size,) * 3)).shape == (1, 1, *(expected,) * 3)
