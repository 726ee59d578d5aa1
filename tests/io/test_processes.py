import os
import subprocess
import sys
import time

import pytest

from nnunetv2_tf.io.processes import runs, stat_of, variable_set


@pytest.mark.skipif(os.name != "posix", reason="numbers of processes")
def test_what_has_ended_does_not_run(tmp_path):
    """Whether or not anybody has asked how it ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert runs(child.pid)
    child.kill()
    while runs(child.pid):
        time.sleep(0.01)
    child.communicate()
    assert not runs(child.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_what_linux_says():
    assert stat_of(os.getpid())[1] == str(os.getppid())
    assert stat_of(2**30) == []


@pytest.mark.parametrize("before", [None, "", "kept"])
def test_a_variable_is_what_it_was_afterwards(monkeypatch, before):
    name = "NNUNETV2_TF_TEST"
    monkeypatch.delenv(name, raising=False) if before is None else monkeypatch.setenv(name, before)
    with variable_set(name, "other"):
        assert os.environ[name] == "other"
    assert os.environ.get(name) == before
