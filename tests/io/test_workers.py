"""Worker processes, as commands start them: what they see of the environment, and of the folder they are started in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """import os
import nnunetv2_tf.geometry.separable
from nnunetv2_tf.io.parallel import in_parallel
if __name__ == "__main__":
    for value in ("first", "second"):
        os.environ["NNUNETV2_TF_TEST"] = value
        print(*in_parallel(os.getenv, ["NNUNETV2_TF_TEST"] * 2, 2, "Asking"))
"""


def said(folder: Path, **environment: str) -> str:
    """What the program prints when it is started in a folder, as a console script is: from elsewhere."""
    program = folder / "bin" / "program.py"
    program.parent.mkdir()
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_workers_see_the_environment_of_now_and_no_modules_of_the_current_folder(tmp_path):
    (tmp_path / "numpy.py").write_text("raise RuntimeError('this is no numpy')", encoding="utf-8")
    assert said(tmp_path) == "first first\nsecond second\n"


@pytest.mark.skipif(os.name != "posix", reason="sockets in a folder")
def test_a_long_name_of_the_folder_for_temporary_files_is_no_hindrance(tmp_path):
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    assert said(tmp_path, TMPDIR=str(folder)) == "first first\nsecond second\n"
