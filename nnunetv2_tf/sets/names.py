"""Names of trainers, which hold all options: TFEnrichedTrainer_tf100_n50_100epochs_seed1_p50_bf16, for one.

nnU-Net names result folders after trainers, so every experiment gets a folder of its own. The parts have a fixed order;
with another order the error says the right name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nnunetv2_tf.dataset.folders import INTENSITY, KEPT, LOOKS, ONLINE_POOLS, QUALITY, RECIPES, REFERENCE
from nnunetv2_tf.io.errors import UserError

BASELINE = "TFBaselineTrainer"
ENRICHED = "TFEnrichedTrainer"
ONLINE = "TFOnlineTrainer"
MIXUP = "TFMixupTrainer"
DEFAULT_EPOCHS = 1000  # nnU-Net's
DEFAULT_PRESET = "default"  # of methods; never written


@dataclass(frozen=True)
class TrainerOptions:
    """The options in a trainer's name."""

    set_name: str | None = None  # None: the fold's only set
    count: int | None = None  # the first so many accepted cases; None: all
    epochs: int | None = None
    seed: int | None = None
    percent: int | None = None  # of the drawn training cases; None: all cases alike
    precision: Literal["bf16"] | None = None  # of convolutions; None: nnU-Net's own
    method: str | None = None  # that makes new cases while it trains
    healthy: int | None = None  # number of the dataset of its hosts; None: training cases are
    preset: str | None = None  # of the method; None: the default

    def name(self, base: str) -> str:
        """Return the trainer's name with these options, in their fixed order."""
        return base + "".join(
            f"_{write(getattr(self, field))}" for field, write in _WRITTEN.items() if getattr(self, field) is not None
        )


_WRITTEN = {
    "method": str,
    "healthy": "h{}".format,
    "preset": str,
    "set_name": str,
    "count": "n{}".format,
    "epochs": "{}epochs".format,
    "seed": "seed{}".format,
    "percent": "p{}".format,
    "precision": str,
}
_READ = {
    "healthy": re.compile(r"h(\d+)"),
    "count": re.compile(r"n(\d+)"),
    "epochs": re.compile(r"(\d+)epochs?"),
    "seed": re.compile(r"seed(\d+)"),
    "percent": re.compile(r"p(\d+)"),
    "precision": re.compile(r"(bf16)"),
}
_SET_NAME = re.compile(r"[a-z][a-z0-9]*")
_TRAINING = ("epochs", "seed", "precision")
_ALLOWED = {
    BASELINE: _TRAINING,
    MIXUP: _TRAINING,
    ENRICHED: (*_TRAINING, "set_name", "count", "percent"),
    ONLINE: (*_TRAINING, "method", "healthy", "preset", "percent"),
}
_HOW = {
    BASELINE: "[_<N>epochs][_seed<K>][_bf16]",
    MIXUP: "[_<N>epochs][_seed<K>][_bf16]",
    ENRICHED: "[_<set>][_n<count>][_<N>epochs][_seed<K>][_p<percent>][_bf16]",
    ONLINE: "_<method>[_h<healthy>][_<preset>][_<N>epochs][_seed<K>][_p<percent>][_bf16]",
}


def is_ours(name: str) -> bool:
    """Return whether a trainer's name belongs to this package, whether or not it is written correctly."""
    return any(name == base or name.startswith(f"{base}_") for base in _ALLOWED)


def check_set_name(name: str) -> None:
    """Raise when a set may not have this name, such as one that looks like an option of a trainer's name."""
    if name in (INTENSITY, KEPT, LOOKS, ONLINE_POOLS, QUALITY, RECIPES, REFERENCE):
        raise UserError(f"A set cannot be called {name!r}, a folder of that name is ours already; choose another.")
    if not _SET_NAME.fullmatch(name) or _option(name, ENRICHED) is not None:
        raise UserError(
            f"A set cannot be called {name!r}: use lower-case letters and digits, a letter first, and nothing that "
            "looks like an option of a trainer's name (n50, p50, seed1); tf100 is a good name."
        )


def parse_trainer_name(name: str) -> tuple[str, TrainerOptions]:
    """Read a trainer's name of ours; return the trainer it is one of, and the options."""
    base, *parts = name.split("_")
    if base not in _ALLOWED:
        raise UserError(f"{name!r} is no trainer of this package; these are {', '.join(_ALLOWED)}, with options.")
    given: dict[str, int | str] = {}
    word = "set_name"  # what a part is that is no option
    if base == ONLINE:
        given["method"], parts = _method_in(name, parts)
        word = "preset"
    for part in parts:
        option = _option(part, base)
        field, value = option if option is not None else (word, part)
        if field == word and not _SET_NAME.fullmatch(part):
            raise UserError(f"{part!r} in {name} is neither a {_said(word)}'s name nor an option; {_grammar(base)}")
        if field in given:
            raise UserError(f"{name} says {_said(field)} twice; {_grammar(base)}")
        if field not in _ALLOWED[base]:
            raise UserError(f"{base} knows no {part!r} (in {name}); {_grammar(base)}")
        given[field] = value
    options = TrainerOptions(**given)  # type: ignore[arg-type]
    _check_ranges(name, options)
    if options.preset == DEFAULT_PRESET:
        options = replace(options, preset=None)
    if options.name(base) != name:
        raise UserError(f"{name} is not how this trainer is written; use -tr {options.name(base)}")
    return base, options


def remark_on_length(set_name: str) -> str:
    """Return what to say below the trainer of a set where its name does not say how long it trains."""
    like = TrainerOptions(set_name=set_name, epochs=100, seed=0).name(ENRICHED)
    return f"It trains {DEFAULT_EPOCHS} epochs; to compare it with a training, name it like that one, such as {like}."


def enriched_like(baseline: str, set_name: str) -> str:
    """Return the trainer that trains with a set as a baseline was trained: as long, with its seed, in its precision."""
    if is_ours(baseline):
        options = parse_trainer_name(baseline)[1]
    else:
        epochs = _READ["epochs"].fullmatch(baseline.rpartition("_")[2])  # as nnU-Net calls its own
        options = TrainerOptions(epochs=int(epochs[1]) if epochs else None)
    return replace(options, set_name=set_name).name(ENRICHED)


def _method_in(name: str, parts: Sequence[str]) -> tuple[str, list[str]]:
    """Return the method that the parts of a name begin with, and the other parts."""
    from nnunetv2_tf.methods.lookup import method_names  # which brings torch along

    known = method_names()
    for number in range(len(parts), 0, -1):
        method = "_".join(parts[:number])
        if method in known:
            return method, list(parts[number:])
    raise UserError(f"{name} names no method of this package; {_grammar(ONLINE)}")


def _said(field: str) -> str:
    return field.replace("set_name", "set")


def _option(part: str, base: str) -> tuple[str, int | str] | None:
    for field, pattern in _READ.items():
        sets_name = field == "healthy" and base != ONLINE  # where h601 is a set like any other
        match = None if sets_name else pattern.fullmatch(part)
        if match:
            return field, match[1] if field == "precision" else int(match[1])
    return None


def _check_ranges(name: str, options: TrainerOptions) -> None:
    if options.count == 0 or options.epochs == 0:
        raise UserError(f"{name} asks for none at all; counts and epochs start at 1.")
    if options.percent is not None and not 1 <= options.percent <= 100:
        raise UserError(f"{name}: the percentage of synthetic cases goes from 1 to 100, not {options.percent}.")


def _grammar(base: str) -> str:
    return f"names are written {base}{_HOW[base]}."
