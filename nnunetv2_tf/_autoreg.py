"""Adds our folder of trainers to `nnUNet_extTrainer`. Imported by `nnunetv2_tf.pth` whenever Python starts.

Only `os` may be imported here. Set NNUNETV2_TF_NO_AUTOREG=1 to switch it off, and then
`export nnUNet_extTrainer=$(python -m nnunetv2_tf --ext)` by hand where you want the trainers found.
"""

import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_ext")
VARIABLE = "nnUNet_extTrainer"
OPT_OUT = "NNUNETV2_TF_NO_AUTOREG"


def register(environ: "os._Environ[str] | dict[str, str]") -> None:
    """Append FOLDER to VARIABLE in `environ`, once, behind what is already there."""
    if environ.get(OPT_OUT, "0") not in ("", "0"):
        return
    folders = [folder for folder in environ.get(VARIABLE, "").split(os.pathsep) if folder]
    if FOLDER not in folders:
        environ[VARIABLE] = os.pathsep.join([*folders, FOLDER])


register(os.environ)
