"""Whether nnU-Net will find the trainers. In: this Python and its environment. Out: facts, and problems with cures."""

import contextlib
import io
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf import _autoreg
from nnunetv2_tf.dataset.folders import VARIABLES
from nnunetv2_tf.io.nnunet_version import installed_nnunet, installed_version, is_too_old, remark_on_nnunet

FOUND = "nnU-Net finds TFBaselineTrainer, TFEnrichedTrainer, TFOnlineTrainer and TFMixupTrainer."
PACKAGES = ("nnunetv2_tf", "nnunetv2", "torch", "batchgeneratorsv2", "SimpleITK", "numpy")


@dataclass(frozen=True)
class Diagnosis:
    """Versions, variables and problems, ready to print."""

    facts: tuple[str, ...]
    problems: tuple[str, ...]

    def __str__(self) -> str:
        verdict = [] if self.problems else [FOUND]
        return "\n".join([*self.facts, "", *verdict, *(f"PROBLEM: {problem}" for problem in self.problems)])


def diagnose() -> Diagnosis:
    """Look at everything that has to be right: versions, folders, and nnU-Net's search for trainers."""
    facts = [f"{'python':18} {platform.python_version()}"]
    facts += [f"{name:18} {installed_version(name) or 'not installed'}" for name in PACKAGES]
    facts += [f"{name:18} {os.environ.get(name, 'not set')}" for name in (*VARIABLES, _autoreg.VARIABLE)]
    remark = remark_on_nnunet()
    if remark:
        facts.append(f"Note: {remark}")
    return Diagnosis(tuple(facts), tuple(_problems()))


def _problems() -> Iterator[str]:
    installed = installed_nnunet()
    if installed is None:
        yield "nnunetv2 is not installed in this Python; pip install 'nnunetv2>=2.8'"
        return
    if is_too_old(installed):
        yield f"nnunetv2 {installed} is too old; pip install 'nnunetv2>=2.8'"
    yield from _folder_problems()
    registered = os.environ.get(_autoreg.VARIABLE, "").split(os.pathsep)
    if _autoreg.FOLDER not in registered:
        yield f"{_autoreg.VARIABLE} does not name our folder ({_why()}); export {_autoreg.VARIABLE}={_autoreg.FOLDER}"
        return
    yield from _search_problems()


def _folder_problems() -> Iterator[str]:
    for variable in VARIABLES:
        folder = os.environ.get(variable)
        if not folder:
            yield f"{variable} is not set; export {variable}=/path/to/{variable}"
        elif not Path(folder).is_dir():
            yield f"{variable} names {folder}, which does not exist; make it or correct the variable"
        elif not os.access(folder, os.W_OK):
            yield f"{variable} names {folder}, where you may not write; change its permissions"


def _search_problems() -> Iterator[str]:
    """Let nnU-Net search as `nnUNetv2_train -tr` does, and yield what goes wrong."""
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    said = io.StringIO()
    enriched = "TFEnrichedTrainer_tf100_n50_100epochs_seed1_p50"
    for name in ("TFBaselineTrainer", enriched, "TFOnlineTrainer_carvemix", "TFMixupTrainer_seed1"):
        try:
            with contextlib.redirect_stdout(said):
                trainer = recursive_find_trainer_class_by_name(name)
        except Exception as error:  # whatever goes wrong in nnU-Net's search is what the user needs to see
            yield f"nnU-Net's search for {name} failed: {type(error).__name__}: {error}"
            return
        if not trainer.__module__.startswith("nnunetv2_tf."):
            yield f"another package answers to {name}: {trainer.__module__}; uninstall or rename it"


def _why() -> str:
    if os.environ.get(_autoreg.OPT_OUT, "0") not in ("", "0"):
        return f"{_autoreg.OPT_OUT} is set"
    return "Python did not read nnunetv2_tf.pth, as with pip --target, PYTHONPATH or python -S"
