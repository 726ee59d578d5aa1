"""From `-m` to a method: `carvemix` is nnunetv2_tf.methods.carvemix; `their.module:Class` is anybody's."""

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

from nnunetv2_tf import methods
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.methods.base import Method

HELPERS = ("base", "lookup")


@dataclass(frozen=True)
class FoundMethod:
    """A method with the settings of one of its presets."""

    name: str
    kind: type[Method]
    preset: str
    config: Any


def method_names() -> list[str]:
    """The methods of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(methods.__path__) if module.name not in HELPERS)


def find_method(name: str, preset: str = "default") -> FoundMethod:
    """Looks a method up by what users type after -m and -preset."""
    path, _, class_name = name.partition(":")
    if not class_name and name not in method_names():
        raise UserError(
            f"There is no method {name}; choose from {', '.join(method_names())}, or give your own as module:Class."
        )
    try:
        module = importlib.import_module(path if class_name else f"{methods.__name__}.{name}")
        kind = getattr(module, class_name or "METHOD")
        presets = module.PRESETS
    except (ImportError, AttributeError) as error:
        raise UserError(f"-m {name}: {error}; the module must be importable and hold the class and PRESETS.") from None
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        raise UserError(f"-m {name} is no method; derive it from nnunetv2_tf.methods.base.Method.")
    if preset not in presets:
        raise UserError(f"{name} has no preset {preset}, only {', '.join(presets)}.")
    return FoundMethod(name, kind, preset, presets[preset])
