"""From `-m` to a method: `carvemix` is nnunetv2_tf.methods.carvemix; `their.module:Class` is anybody's."""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

from nnunetv2_tf import methods
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.methods.base import CheckConfig, Growth, HostKind, Learner, Method
from nnunetv2_tf.tumours.sampling_config import USUAL, SamplingConfig
from nnunetv2_tf.tumours.shapes import ShapeConfig

HELPERS = ("base", "lookup", "mixed_sites", "optimised")
LEARNERS = ("autoencoder",)  # what only learns, for methods that need it
Config = TypeVar("Config", SamplingConfig, CheckConfig, ShapeConfig)


@dataclass(frozen=True)
class SelectedMethod:
    """A method with the settings of one of its presets."""

    name: str
    method_class: type[Learner]  # a Method, but for LEARNERS
    preset: str
    config: Any
    sampling: SamplingConfig  # of tumours for healthy hosts
    checked: CheckConfig  # how finished cases are checked
    presets: tuple[str, ...]  # the names of all that it has
    shapes: ShapeConfig | None = None  # what stands in for donors' tumours; None: nothing


def in_steps(selected: SelectedMethod, steps: int) -> SelectedMethod:
    """Return a method that draws its tumours in so many steps; raise where it takes none."""
    config = selected.config
    if not (hasattr(config, "steps") and hasattr(config, "times")):
        raise UserError(f"{selected.name} draws nothing in steps; leave -T out.")
    if steps > config.times:
        raise UserError(f"-T {steps}: {selected.name} is trained with {config.times} times; ask for no more steps.")
    return replace(selected, config=replace(config, steps=steps))


def needed_by(selected: SelectedMethod) -> list[SelectedMethod]:
    """Return the methods that are fitted before one: by the same preset, or the default where they have none of it."""
    return [by_preset_or_default(name, selected.preset) for name in selected.method_class.needs]


def by_preset_or_default(name: str, preset: str) -> SelectedMethod:
    """Look a method up by a preset, or by the default where it has none of that name."""
    usual = find_method(name)
    return find_method(name, preset) if preset in usual.presets else usual


def method_names() -> list[str]:
    """List the methods of this package."""
    modules = (module.name for module in pkgutil.iter_modules(methods.__path__))
    return sorted(name for name in modules if name not in (*HELPERS, *LEARNERS))


def find_method(name: str, preset: str = "default") -> SelectedMethod:
    """Look a method up by what users type after -m and -preset."""
    path, _, class_name = name.partition(":")
    if not class_name and name not in (*method_names(), *LEARNERS):
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
    wanted = Learner if name in LEARNERS else Method
    if not (isinstance(kind, type) and issubclass(kind, wanted)) or inspect.isabstract(kind):
        raise UserError(f"-m {name} is no method; derive it from nnunetv2_tf.methods.base.Method and write its edit.")
    _check_declared(name, kind)
    if not isinstance(presets, dict):
        raise UserError(f"-m {name}: PRESETS of its module must be a dictionary, not {presets!r}.")
    if preset not in presets:
        raise UserError(f"{name} has no preset {preset}; it has {', '.join(presets)}.")
    try:
        digest(to_json(presets[preset]))
    except TypeError as error:
        raise UserError(f"-m {name}: preset {preset} cannot be written as JSON ({error}); use plain values.") from None
    sampling = _declared(name, module, preset, "SAMPLING", USUAL)
    checked = _declared(name, module, preset, "CHECKED", CheckConfig())
    has_shapes = preset in getattr(module, "SHAPES", {})
    shapes = _declared(name, module, preset, "SHAPES", ShapeConfig()) if has_shapes else None
    return SelectedMethod(
        name, kind, preset, presets[preset], _bearable(sampling, kind), checked, tuple(presets), shapes
    )  # fmt: skip


def _check_declared(name: str, kind: type[Learner]) -> None:
    known = get_args(HostKind)
    if not isinstance(kind.hosts, tuple) or not kind.hosts or not set(kind.hosts) <= set(known):
        raise UserError(
            f'-m {name}: hosts must be a tuple of {" and ".join(map(repr, known))}, such as ("healthy",), not '
            f"{kind.hosts!r}."
        )
    if kind.growth not in get_args(Growth):
        raise UserError(f"-m {name}: growth must be one of {', '.join(get_args(Growth))}, not {kind.growth!r}.")


def _bearable(sampling: SamplingConfig, kind: type[Learner]) -> SamplingConfig:
    """Return the sampling with no more growth than a method can bear."""
    if kind.growth == "all":
        return sampling
    return replace(sampling, rounded=False, front=False, mass_effect=sampling.mass_effect and kind.growth == "mass")


def _declared(name: str, module: Any, preset: str, what: str, default: Config) -> Config:
    """Return what a module says of a preset under a name, or the default."""
    config = getattr(module, what, {}).get(preset, default)
    if not isinstance(config, type(default)):
        kind = type(default).__name__
        raise UserError(f"-m {name}: {what} of preset {preset} must be a {kind}, not {config!r}.")
    return config
