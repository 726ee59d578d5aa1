"""Annotations hold, by pyright."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import REPOSITORY


@pytest.mark.exhaustive
def test_pyright_has_nothing_to_say():
    pyright = Path(sys.executable).parent / "pyright"
    if not pyright.exists():
        pytest.skip("pyright is not installed; it comes with the extra dev")
    done = subprocess.run([str(pyright)], cwd=REPOSITORY, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-5000:]
