"""Trainer classes for `nnUNetv2_train -tr`, and the way from a name with options to a class.

Shipped as `nnunetv2_tf.trainers`. A name with options becomes a subclass when somebody asks for it; it is kept in
this module's globals, and made again in a spawned process, so it can be pickled.
"""

import importlib
import sys

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.sets.names import TrainerOptions, is_ours, parse_trainer_name


def trainer_class(name: str) -> type:
    """Return the class for a trainer name of ours; raise AttributeError for others, so that nnU-Net searches on.

    A name of ours that is written wrongly ends the program with a message, where nnU-Net would only say "not found".
    """
    if not is_ours(name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        base_name, options = parse_trainer_name(name)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    base = getattr(importlib.import_module(f"{__name__}.{base_name}"), base_name)
    if options == TrainerOptions():
        return base
    made = globals().get(name)
    if made is None:
        made = globals()[name] = type(
            name, (base,), {"options": options, "__module__": __name__, "__doc__": base.__doc__}
        )
    return made


def __getattr__(name: str) -> type:
    if "_" not in name:  # a plain name here is a submodule, which Python's import system sets by itself
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return trainer_class(name)
