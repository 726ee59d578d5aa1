"""Build of nnunetv2_tf. Metadata and tool settings are in pyproject.toml.

Two things here are out of the ordinary, both so that nnU-Net finds the trainers without a user's doing:
the top-level folder `trainers/` is shipped as `nnunetv2_tf.trainers`, and the wheel carries `nnunetv2_tf.pth`,
which makes Python register our discovery folder at start-up (docs/decisions/trainers.md).
"""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
PTH = "nnunetv2_tf.pth"


class BuildWithPth(build_py):
    """Puts the .pth file at the top of site-packages: in a wheel, and in an editable wheel too."""

    def run(self) -> None:
        built_before = Path(self.build_lib) / "nnunetv2_tf"  # a module deleted from the source must not reach the wheel
        shutil.rmtree(built_before, ignore_errors=True)
        super().run()
        self.copy_file(str(HERE / PTH), self._pth_target())

    def get_outputs(self, include_bytecode: bool = True) -> list:
        return [*super().get_outputs(include_bytecode), self._pth_target()]

    def get_output_mapping(self) -> dict:
        return {**super().get_output_mapping(), self._pth_target(): str(HERE / PTH)}

    def _pth_target(self) -> str:
        if self.editable_mode:
            folder = self.get_finalized_command("install").install_purelib
        else:
            folder = self.build_lib
        Path(folder).mkdir(parents=True, exist_ok=True)
        return str(Path(folder) / PTH)


setup(
    packages=[*find_packages(include=["nnunetv2_tf", "nnunetv2_tf.*"]), "nnunetv2_tf.trainers"],
    package_dir={"nnunetv2_tf.trainers": "trainers"},
    package_data={"nnunetv2_tf": ["_ext/*.py", "schemas/*.json", "report/page/assets/*", "py.typed"]},
    cmdclass={"build_py": BuildWithPth},
)
