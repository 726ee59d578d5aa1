"""TF-GAN fitted by several processes, by the commands that users type."""

import os
import subprocess

import pytest

from nnunetv2_tf.commands import fit
from nnunetv2_tf.methods.tf_gan import PRESETS
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS
from tests.workspace import BIN, QUIET, TINY, TRAINER, Workspace

pytestmark = pytest.mark.slow

FIT = ["501", "3d_fullres", "0", "-healthy", "601", "-p", TINY, "-tr", TRAINER, "-device", "cpu"]
GAN = [*FIT, "-m", "tf_gan", "-preset", "brief"]


def typed(workspace: Workspace, *command: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, **QUIET, **workspace.variables, "OMP_NUM_THREADS": "1"}
    return subprocess.run([str(BIN / command[0]), *command[1:]], env=environment, capture_output=True, text=True)


@pytest.mark.exhaustive
def test_two_processes_fit_and_one_speaks(trained: Workspace, monkeypatch):
    refused = typed(trained, "nnUNetv2_tf_fit", *GAN, "-num_gpus", "2")
    assert refused.returncode == 2
    assert refused.stderr.count("Error: ") == 1  # tf_aug is missing, and only the leader says so
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_fit", *FIT, "-m", "tf_aug"])
    assert fit.main() == 0
    fitted = typed(trained, "nnUNetv2_tf_fit", *GAN, "-num_gpus", "2")
    assert fitted.returncode == 0, fitted.stderr
    assert fitted.stdout.count(f"Epoch {PRESETS['brief'].epochs - 1}:") == 1
    assert "2 patches each, shared by 2 processes" in fitted.stdout
    (folder,) = trained.root.glob("nnUNet_results/*/tf_gan_brief_*/fold_0")
    assert (folder / WEIGHTS).exists()
    again = typed(trained, "torchrun", "--standalone", "--nproc_per_node", "2", "-m", "nnunetv2_tf.commands.fit", *GAN)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("is fitted already") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(
            ["-m", "tf_aug", "-num_gpus", "2"],
            "tf_aug is fitted by one process; leave -num_gpus, or torchrun, out.",
            marks=pytest.mark.exhaustive,  # in process in test_fitting.py
        ),
        (["-m", "tf_gan", "-num_gpus", "0"], "a whole number of at least 1, not '0'"),
    ],
)
def test_what_cannot_be_shared(trained: Workspace, arguments, sentence):
    found = typed(trained, "nnUNetv2_tf_fit", *FIT, *arguments)
    assert found.returncode == 2
    assert found.stderr.count(sentence) == 1
