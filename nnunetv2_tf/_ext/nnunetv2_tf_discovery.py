"""The only file nnU-Net finds in this folder. It answers for every trainer name of ours.

nnU-Net imports each module in a discovery folder and asks it `hasattr(module, name)`; then it forgets the module.
So the classes live in the installed package, and other names must be declined quickly and without an import.
"""

import importlib

OURS = ("TFBaselineTrainer", "TFEnrichedTrainer", "TFOnlineTrainer", "TFMixupTrainer")


def __getattr__(name: str) -> type:
    if not name.startswith(OURS):
        raise AttributeError(name)
    return importlib.import_module("nnunetv2_tf.trainers").trainer_class(name)
