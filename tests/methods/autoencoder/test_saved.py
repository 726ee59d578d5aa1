"""Autoencoders in files."""

import pytest
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.autoencoder.saved import ScanAutoencoder, read_autoencoder
from nnunetv2_tf.networks.saved import weights_of, write_network
from tests.methods.autoencoder.examples import batch, design


@pytest.mark.parametrize("codebook", [0, 16])
def test_what_is_written_is_read(tmp_path, codebook):
    written = ScanAutoencoder(design(codebook=codebook)).eval()
    write_network(tmp_path / "one", written.design, weights_of(written))
    read = read_autoencoder(tmp_path / "one", "mend it.")
    given = batch()
    with torch.no_grad():
        z = written.latents(given["image"], given["body"])
        assert torch.equal(read.latents(given["image"], given["body"]), z)
        assert torch.equal(read.image(z), written.image(z))


def test_images_come_back_in_their_own_units():
    """An autoencoder that does nothing returns z as it was."""
    scan = ScanAutoencoder(design())
    scan.network.encode = lambda x: x  # type: ignore[method-assign]
    scan.network.decode = lambda z: z  # type: ignore[method-assign]
    given = batch()
    back = scan.image(scan.latents(given["image"], torch.ones_like(given["body"])))
    torch.testing.assert_close(back, given["image"])


def test_what_is_something_else_gets_a_sentence(tmp_path):
    (tmp_path / "damaged").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="damaged is no autoencoder .*; mend it."):
        read_autoencoder(tmp_path / "damaged", "mend it.")
