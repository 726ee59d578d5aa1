"""The generator: what it puts out, where that counts, and how it is kept."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nnunetv2_tf.geometry.feather import feather
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS, blended, depth_weight_of, read_generator, write_generator
from tests.methods.tf_gan.examples import SIZE, ball, design, generator


def test_an_image_counts_as_in_finished_cases():
    distance = torch.tensor([0.0, 3.0, 6.0, 9.0])
    host, image = (torch.full((1, 1, 1, 1, 4), value) for value in (0.0, 1.5))
    found = blended(host, image, feather(distance, 6.0).reshape(1, 1, 1, 4))
    assert found.flatten().tolist() == pytest.approx([1.5, 0.75, 0, 0], abs=1e-6)


@pytest.mark.parametrize(("spacing", "rim"), [((1.0, 1.0, 1.0), 4.0), ((3.0, 1.5, 1.0), 4.0), ((1.0, 1.0, 1.0), 20.0)])
def test_depth_against_a_plain_loop(spacing, rim):
    organ = ball(7, (14, 18, 20))
    reach, inside = [round(rim / step) for step in spacing], np.zeros(organ.shape)
    for place in np.ndindex(organ.shape):
        box = tuple(slice(max(0, at - more), at + more + 1) for at, more in zip(place, reach, strict=True))
        inside[place] = max(0, 4 * organ[box].mean() - 3)
    found = depth_weight_of(torch.from_numpy(organ)[None], rim, spacing)[0]
    np.testing.assert_allclose(found.numpy(), inside, atol=1e-5)


def test_the_rim_of_the_organ_stays_as_it_was():
    """At a flat surface: nothing in the outer half of the rim, everything below it, a part between."""
    organ = torch.zeros(1, 24, 24, 24, dtype=torch.bool)
    organ[:, :, :, 4:] = True
    network, coarse = generator(rim_mm=8.0), torch.zeros(1, 1, 24, 24, 24)
    changed = network.refined(coarse, torch.full_like(coarse, 0.5), network.depth_weight(organ))[0, 0, 12, 12]
    assert not changed[: 4 + 4].any()
    torch.testing.assert_close(changed[4 + 8 :], torch.ones(12))  # half of the range, which is from -2 to 2
    assert ((changed[9:11] > 0) & (changed[9:11] < 1)).all()
    without = generator(rim_mm=0.0)
    assert torch.equal(without.refined(coarse, coarse + 0.5, without.depth_weight(organ)), coarse + 1)


def test_a_plain_generator_keeps_what_lies_beyond_the_range():
    """tanh cannot say 1.7; what it says of 1 is added to what was there."""
    network = generator(residual=False)
    x = torch.full((1, 1, *SIZE), 1.7)
    m = torch.zeros(1, 3, *SIZE)
    said = torch.tanh(network.network(torch.cat([x, m], dim=1)))
    torch.testing.assert_close(x + network(x, m), said + 0.7)
    assert design(residual=False).reach_mm is None


@pytest.fixture
def read() -> Callable:
    return lambda path: read_generator(path, "fit again.")


def test_a_generator_comes_back_from_its_file(tmp_path, read):
    own = generator(channels=2, classes=(1, 3))
    write_generator(tmp_path / WEIGHTS, own.design, own.weights())
    found = read(tmp_path / WEIGHTS)
    assert found.design == own.design == design(2, (1, 3))
    x, m = torch.rand(1, 2, 16, 16, 16), torch.rand(1, 2, 16, 16, 16)
    assert torch.equal(found(x, m), own(x, m))
    assert not any(weight.requires_grad for weight in found.parameters())


def test_what_is_no_generator_is_refused(tmp_path, read):
    path = tmp_path / WEIGHTS
    with pytest.raises(UserError, match=f"{WEIGHTS} is no generator of TF-GAN"):
        read(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="fit again"):
        read(path)
    own = generator()
    write_generator(path, own.design, {name: value for name, value in own.weights().items() if "head" not in name})
    with pytest.raises(UserError, match="2 weights are another network's, such as network.head.bias"):
        read(path)
