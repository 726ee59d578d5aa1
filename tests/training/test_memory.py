"""What is counted, against what autograd keeps of a step with values; lines for the log."""

import re
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from nnunetv2_tf.networks.autoencoder import Autoencoder
from nnunetv2_tf.networks.denoiser import Denoiser
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.training.memory import COPIES, LIBRARIES, bytes_to_train, memory_lines, peak_bytes

LEVELS = Levels.of((16, 16, 16), (1.0, 1.0, 1.0), 2)
CPU = torch.device("cpu")


def test_the_peak_stays_when_memory_is_given_back():
    """In a process of its own: this one may have taken more before, which is not the other's."""
    program = (
        "import torch; from nnunetv2_tf.training.memory import peak_line\n"
        "print(peak_line()); taken = torch.ones(1_500_000_000, dtype=torch.uint8); del taken; print(peak_line())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    before, after = map(float, re.findall(r"^memory, at most so far: (\d+\.\d) GB$", said, re.M))
    assert before + 1.2 < after < before + 1.8


def test_the_peak_where_linux_does_not_tell(tmp_path):
    held = peak_bytes()
    for status in (tmp_path / "missing", tmp_path / "other"):
        (tmp_path / "other").write_text("VmRSS:\t    1 kB\n")
        assert 0.95 * held < peak_bytes(status)


def test_a_convolution_keeps_its_input():
    """3 x 3 x 3 x 2 x 5 weights and 5 biases four times, and 2 x 6 x 6 x 6 numbers for each of three images."""
    found = bytes_to_train(nn.Conv3d(2, 5, 3), torch.zeros(3, 2, 6, 6, 6))
    assert found == 4 * (COPIES * (27 * 2 * 5 + 5) + 3 * 2 * 6**3)


@pytest.mark.parametrize("codebook", [0, 6])
def test_as_much_as_a_step_with_values_keeps_of_an_autoencoder(codebook):
    check(Autoencoder(1, (4, 8), 3, LEVELS, codebook), torch.zeros(2, 1, 16, 16, 16))


def test_as_much_as_a_step_with_values_keeps_of_a_denoiser():
    check(Denoiser(5, 3, (8, 16), LEVELS), torch.zeros(2, 5, 16, 16, 16), torch.tensor([1, 2]))


def check(network: nn.Module, *inputs: Tensor) -> None:
    kept = {}

    def remember(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(remember, lambda tensor: tensor):
        result = network(*inputs)
    for weight in network.parameters():
        kept.pop(weight.untyped_storage().data_ptr(), None)
    steps = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    weights = 4 * sum(weight.numel() for weight in network.parameters())
    assert bytes_to_train(network, *inputs) == pytest.approx(steps + COPIES * weights, rel=0.01)
    del result


def test_it_is_said_and_too_small_gpus_are_warned_of(monkeypatch):
    assert memory_lines(2_000_000_000, CPU) == [
        f"memory: about {2 + LIBRARIES:.1f} GB, or less where half precision is fast"
    ]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (3_000_000_000, 8_000_000_000))
    gpu = torch.device("cuda")
    assert memory_lines(2_000_000_000, gpu) == [
        "memory of the GPU: about 2.0 GB, or less in half precision; 3.0 GB are free"
    ]
    assert "-preset brief" in memory_lines(4_000_000_000, gpu)[1]
