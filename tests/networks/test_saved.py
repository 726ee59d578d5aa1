"""Networks in files."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.networks.saved import load_weights, read_network, weights_of, write_network


@dataclass(frozen=True)
class Width:
    features: int


def build(design: Width) -> nn.Module:
    return nn.Linear(3, design.features)


def test_written_and_read(tmp_path):
    network = build(Width(4))
    write_network(tmp_path / "one", Width(4), weights_of(network))
    read = read_network(tmp_path / "one", Width, build, "example", "mend it.")
    assert all(torch.equal(value, weights_of(network)[name]) for name, value in weights_of(read).items())
    assert not read.training
    assert not any(weight.requires_grad for weight in read.parameters())


def test_what_is_something_else_gets_a_sentence(tmp_path):
    write_network(tmp_path / "other", Width(5), weights_of(build(Width(4))))
    (tmp_path / "damaged").write_bytes(b"nothing of the kind")
    for name in ("other", "damaged", "missing"):
        with pytest.raises(UserError, match=f"{name} is no example .*; mend it."):
            read_network(tmp_path / name, Width, build, "example", "mend it.")
    with pytest.raises(ValueError, match="1 weights are another network's, such as bias"):
        load_weights(build(Width(4)), {"weight": torch.zeros(4, 3)})
