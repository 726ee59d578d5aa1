"""F sees what nnU-Net was trained on, and nothing reaches it."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

from nnunetv2_tf.baseline.encoder import Encoder, renormalised
from nnunetv2_tf.io.errors import UserError
from tests.baseline.models import baseline
from tests.workspace import Workspace

SETTINGS = {
    "input_channels": 2, "n_stages": 4, "features_per_stage": (4, 8, 16, 16), "conv_op": nn.Conv3d,
    "kernel_sizes": 3, "strides": (1, 2, 2, 2), "num_classes": 3, "n_conv_per_stage_decoder": 1, "conv_bias": True,
    "norm_op": nn.InstanceNorm3d, "norm_op_kwargs": {"affine": True}, "nonlin": nn.LeakyReLU,
}  # fmt: skip


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "plain": PlainConvUNet(n_conv_per_stage=2, **SETTINGS),
        "residual": ResidualEncoderUNet(n_blocks_per_stage=1, **SETTINGS),
    }


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_the_first_three_stages_of_nnunets_encoders(kind):
    network = networks()[kind].eval()
    image = torch.randn(2, 2, 8, 16, 24)
    features = Encoder.within(network, "here")(image)
    expected = network.encoder(image)[:3]  # type: ignore[operator]
    assert [feature.shape[1] for feature in features] == [4, 8, 16]
    for one, other in zip(features, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_gradients_reach_the_image_and_not_the_encoder(kind):
    encoder = Encoder.within(networks()[kind], "here").double()
    before = deepcopy(encoder.state_dict())
    image = torch.randn(1, 2, 8, 8, 12, dtype=torch.float64, requires_grad=True)

    def energy(x: torch.Tensor) -> torch.Tensor:
        return sum((feature**2).mean() for feature in encoder(x))  # type: ignore[return-value]

    energy(image).backward()
    assert image.grad is not None
    step = torch.randn_like(image) * 1e-5
    with torch.no_grad():
        slope = (energy(image + step) - energy(image - step)) / 2
        assert float((image.grad * step).sum()) == pytest.approx(float(slope), rel=1e-4)
    assert all(weight.grad is None and not weight.requires_grad for weight in encoder.parameters())
    assert not encoder.train().training
    assert not any(module.training for module in encoder.modules())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_networks_without_such_an_encoder_are_refused():
    with pytest.raises(UserError, match="here: Linear has no encoder of 3 stages or more"):
        Encoder.within(nn.Linear(2, 2), "here")
    flat = {**SETTINGS, "conv_op": nn.Conv2d, "norm_op": nn.InstanceNorm2d}
    with pytest.raises(UserError, match="here segments slices; take a 3D configuration"):
        Encoder.within(PlainConvUNet(n_conv_per_stage=1, **flat), "here")
    short = {**SETTINGS, "n_stages": 2, "features_per_stage": (4, 8), "strides": (1, 2)}
    with pytest.raises(UserError, match="has no encoder of 3 stages or more"):
        Encoder.within(PlainConvUNet(n_conv_per_stage=1, **short), "here")


def test_a_trained_models(trained: Workspace):
    model = baseline(trained)
    image = torch.randn(1, 1, 24, 24, 24)
    network = model.network().eval()
    for one, other in zip(Encoder.of(model)(image), network.encoder(image), strict=False):  # type: ignore[operator]
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_an_edited_crop_is_normalised_as_its_whole_case_will_be():
    """Against z-scoring the whole edited case anew, as nnU-Net does: masked, and not."""
    rng = np.random.default_rng(0)
    for masked in (True, False):
        body = np.zeros((12, 14, 16), bool)
        body[2:10, 3:12, 4:14] = True
        where = body if masked else np.ones_like(body)
        case = rng.normal(5, 3, (2, *body.shape)) * (body if masked else 1)
        host = np.stack([np.where(where, (one - one[where].mean()) / one[where].std(), 0) for one in case])
        edited = host.copy()
        crop = (slice(None), slice(3, 9), slice(4, 10), slice(2, 11))
        tumour = np.zeros_like(body)
        tumour[4:8, 5:9, 5:10] = True
        edited[:, tumour & where] = edited[:, tumour & where] * 0.3 + 2
        expected = np.stack([np.where(where, (one - one[where].mean()) / one[where].std(), 0) for one in edited])
        found = renormalised(
            torch.from_numpy(edited[crop])[None],
            torch.from_numpy(host[crop])[None],
            [int(where.sum())],
            torch.from_numpy(where[crop[1:]])[None],
            [True, False],
        )[0].numpy()
        np.testing.assert_allclose(found[0], expected[crop][0], atol=1e-10)
        np.testing.assert_array_equal(found[1], edited[crop][1])


def test_renormalising_is_differentiable():
    torch.manual_seed(0)
    host = torch.randn(2, 1, 4, 4, 4, dtype=torch.float64)
    edited = (host + torch.randn_like(host)).requires_grad_()
    inside = torch.rand(2, 4, 4, 4) > 0.3
    assert torch.autograd.gradcheck(lambda x: renormalised(x, host, [200, 300], inside, [True]), (edited,))


def test_a_part_and_the_sums_of_the_rest_are_as_good_as_the_whole():
    rng = np.random.default_rng(3)
    host, edited = (torch.from_numpy(rng.normal(size=(2, 2, 4, 6, 6))) for _ in range(2))
    inside = torch.from_numpy(rng.random((2, 4, 6, 6)) < 0.8)
    n_norm = [500, 700]
    whole = renormalised(edited, host, n_norm, inside, (True, False))
    part, rest = (Ellipsis, slice(0, 3), slice(None)), (Ellipsis, slice(3, None), slice(None))
    change = torch.where(inside[:, None], edited - host, 0)[rest]
    squares = torch.where(inside[:, None], edited**2 - host**2, 0)[rest]
    beyond = torch.stack([change.sum(dim=(2, 3, 4)), squares.sum(dim=(2, 3, 4))], dim=1)
    found = renormalised(edited[part], host[part], torch.tensor(n_norm), inside[part], (True, False), beyond)
    torch.testing.assert_close(found, whole[part])
