"""A run that is killed while nnU-Net trains, and the next one."""

import os
import signal
import subprocess
import time

import pytest

from nnunetv2_tf.benchmark.matrix import Training, read_matrix
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import to_json
from tests.benchmark.examples import CARVEMIX, NNUNET, matrix
from tests.benchmark.test_commands import EXTRA, RUN
from tests.workspace import BIN, QUIET, Workspace

LEARNING = {"name": "learning", "method": "tests.benchmark.examples:Learns", "healthy": 601, "num_cases": 2}


@pytest.mark.exhaustive
def test_a_training_outlives_a_killed_run(with_healthy: Workspace, monkeypatch):
    """Then one with a set and a fit is trained, too."""
    workspace = with_healthy
    monkeypatch.chdir(workspace.root)
    content = to_json(matrix(NNUNET, CARVEMIX))
    write_json(workspace.root / "matrix.json", {**content, "arms": [content["arms"][0], LEARNING]})
    nnunet, learning = read_matrix(workspace.root / "matrix.json").trainings()
    training = killed_while_training(workspace, nnunet)
    run_beside(workspace, training, f"Waiting: another process works on {nnunet.key}.")
    assert len(list(nnunet.folder.glob("training_log_*.txt"))) == 1  # and was not begun again
    assert [nnunet.state, learning.state] == ["done", "done"]


def killed_while_training(workspace: Workspace, training: Training) -> int:
    """Kill a run; return the process that trains on without it, stopped, so that it cannot end before anybody looks."""
    variables = {**os.environ, **QUIET, **workspace.variables, **EXTRA}
    run = subprocess.Popen(
        [str(BIN / RUN[0]), *RUN[1:]], env=variables, cwd=workspace.root,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not any("Epoch 0" in log.read_text(encoding="utf-8") for log in training.folder.glob("training_log_*.txt")):
        assert run.poll() is None
        time.sleep(0.1)
    (trains,) = map(int, subprocess.check_output(["pgrep", "-P", str(run.pid)]).split())
    os.kill(trains, signal.SIGSTOP)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert training.state == "missing"
    return trains


def run_beside(workspace: Workspace, training: int, waiting: str) -> None:
    """Another run says that it waits for a training which outlives the killed one; then the training goes on."""
    run = workspace.start(*RUN, **EXTRA)
    assert run.stdout is not None
    said = []
    for line in run.stdout:
        said.append(line)
        if waiting in line:
            os.kill(training, signal.SIGCONT)
    run.communicate()
    assert run.returncode == 0
    assert waiting in "".join(said)
