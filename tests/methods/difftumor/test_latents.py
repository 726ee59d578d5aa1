"""What a diffusion model is told, and how latents are normalised."""

import pytest
import torch

from nnunetv2_tf.methods.autoencoder.saved import ScanAutoencoder
from nnunetv2_tf.methods.difftumor.latents import LatentRange, known_beside, latent_levels, shares_on_latents
from tests.methods.autoencoder.examples import batch, design
from tests.methods.difftumor.examples import diffusion_design
from tests.methods.pix2pix.examples import CLASSES, SIZE


def test_ranges_there_and_back():
    found = LatentRange((1.0, -2.0, 0.5), (2.0, 0.5, 3.0))
    z = torch.randn(2, 3, 2, 2, 2)
    normal = found.normalise(z)
    for channel, (middle, scale) in enumerate(zip(found.middle, found.scale, strict=True)):
        torch.testing.assert_close(normal[:, channel], (z[:, channel] - middle) / scale)
    torch.testing.assert_close(found.denormalise(normal), z)


def test_shares_are_of_what_a_latent_stands_for():
    scan, tumour = ScanAutoencoder(design()), batch()["tumour"]
    shares = shares_on_latents(scan, tumour, CLASSES)
    assert shares.shape == (2, 2, *(size // 2 for size in SIZE))
    for place in [(0, 0, 4, 4, 4), (1, 1, 3, 4, 5), (0, 1, 2, 3, 4)]:
        index, of_class, *latent = place
        block = tumour[(index, *(slice(2 * start, 2 * start + 2) for start in latent))]
        assert float(shares[place]) == pytest.approx(float((block == CLASSES[of_class]).float().mean()))


def test_nothing_of_the_tumour_is_told_but_its_map():
    scan, given = ScanAutoencoder(design()).eval(), batch()
    inside = (given["tumour"] > 0)[:, None]
    other = torch.where(inside, torch.randn_like(given["image"]), given["image"])
    with torch.no_grad():
        one, same = (
            known_beside(scan, diffusion_design(), image, given["body"], given["tumour"])
            for image in (given["image"], other)
        )
        elsewhere = known_beside(scan, diffusion_design(), given["image"] + 1, given["body"], given["tumour"])
        classes = known_beside(scan, diffusion_design(), given["image"], given["body"], 4 - given["tumour"])
    assert torch.equal(one, same)
    assert not torch.equal(one, elsewhere)
    assert not torch.equal(one, classes)
    assert one[:, -len(CLASSES) :].min() == -1


def test_levels_are_of_latents():
    scan = ScanAutoencoder(design())
    assert latent_levels(scan, (16, 16, 16), (1.0, 1.0, 1.0), 3).patch == (8, 8, 8)
    assert latent_levels(scan, (17, 16, 16), (1.0, 1.0, 1.0), 2).patch == (10, 8, 8)
