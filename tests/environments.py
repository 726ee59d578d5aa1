"""Throw-away virtual environments: real pip, real packages, without downloading torch anew.

An environment sees every package of the one that runs the tests, by links, except nnunetv2 and this plugin; those are
installed into it by pip as the test demands.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.dataset.folders import VARIABLES

REPOSITORY = Path(__file__).parent.parent
HIDDEN = ("nnunetv2", "__editable__", "pip", "_distutils_hack")
OURS = ("nnUNet", "NNUNETV2_TF", "PYTHONPATH")


@dataclass(frozen=True)
class Environment:
    root: Path

    @classmethod
    def make(cls, root: Path) -> "Environment":
        environment = cls(root / "venv")
        venv.create(environment.root, with_pip=True)
        links = root / "links"
        links.mkdir()
        for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
            if not entry.name.startswith(HIDDEN) and entry.suffix != ".pth":
                (links / entry.name).symlink_to(entry)
        (environment.site_packages / "links.pth").write_text(f"{links}\n", encoding="utf-8")
        environment.pip("uninstall", "--yes", "setuptools")  # an old one, before Python 3.12; torch's is linked
        for folder in environment.places().values():
            Path(folder).mkdir()
        return environment

    @property
    def site_packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.root / "lib" / version / "site-packages"

    def run(self, *command: object, expect: int | None = 0, **extra: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of this environment, without any variable of ours or of nnU-Net's."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        executable, *arguments = map(str, command)
        done = subprocess.run(
            [str(self.root / "bin" / executable), *arguments],
            env={**clean, **extra},
            cwd=self.root,
            capture_output=True,
            encoding="utf-8",
        )
        assert expect is None or done.returncode == expect, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def pip(self, *arguments: object) -> None:
        self.run("python", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)

    def install_nnunet(self) -> None:
        """The release the tests run with, from the package index."""
        self.pip("install", "--no-deps", "--force-reinstall", requirement("nnunetv2"))

    def finds_trainers(self, **extra: str) -> bool:
        """What `python -m nnunetv2_tf` says; it lets nnU-Net itself search."""
        done = self.run("python", "-m", "nnunetv2_tf", expect=None, **self.places(), **extra)
        found = "nnU-Net finds TFBaselineTrainer, TFEnrichedTrainer, TFOnlineTrainer and TFMixupTrainer."
        return done.returncode == 0 and found in done.stdout

    def places(self) -> dict[str, str]:
        return {name: str(self.root / name) for name in VARIABLES}


def requirement(package: str) -> str:
    """package==version, as installed where the tests run."""
    from importlib.metadata import version

    return f"{package}=={version(package)}"
