"""From `-m` to a method: `carvemix` is nnunetv2_tf.methods.carvemix; `their.module:Class` is anybody's."""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from typing import Any

from nnunetv2_tf import methods
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.methods.base import Method
from nnunetv2_tf.records import to_json
from nnunetv2_tf.stamps import digest

HELPERS = ("base", "lookup")


@dataclass(frozen=True)
class FoundMethod:
    """A method with the settings of one of its presets."""

    name: str
    kind: type[Method]
    preset: str
    config: Any
    presets: tuple[str, ...]  # the names of all that it has


def needed_by(found: FoundMethod) -> list[FoundMethod]:
    """The methods that are fitted before one: by the same preset, or the default where they have none of its name."""
    usual = map(find_method, found.kind.needs)
    return [find_method(one.name, found.preset) if found.preset in one.presets else one for one in usual]


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
    except Exception as error:  # somebody else's module raises what it likes
        raise UserError(
            f"-m {name}: {type(error).__name__}: {error}; the module must be importable (PYTHONPATH) and hold the "
            "class and PRESETS."
        ) from None
    if not (isinstance(kind, type) and issubclass(kind, Method)) or inspect.isabstract(kind):
        raise UserError(f"-m {name} is no method; derive it from nnunetv2_tf.methods.base.Method and write its edit.")
    if not isinstance(presets, dict) or preset not in presets:
        raise UserError(f"{name} has no preset {preset}; its module has PRESETS = {presets}.")
    try:
        digest(to_json(presets[preset]))
    except TypeError as error:
        raise UserError(f"-m {name}: preset {preset} cannot be written as JSON ({error}); use plain values.") from None
    return FoundMethod(name, kind, preset, presets[preset], tuple(presets))
