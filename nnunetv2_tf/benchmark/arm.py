"""An arm of a benchmark: one of the ways to train that are compared."""

import re
from dataclasses import dataclass
from typing import Any

from nnunetv2_tf.io.json_dataclass import to_json


@dataclass(frozen=True)
class Arm:
    """One of the ways to train that are compared, with or without synthetic cases."""

    name: str
    method: str | None = None  # None: real cases only
    preset: str = "default"
    healthy: int | str | None = None  # id or name of the dataset of healthy scans; None: hosts are real cases
    num_cases: int | None = None  # synthetic cases that train
    percent: int | None = None  # of the drawn training cases; None: all cases alike
    filter: bool = False  # keep what the fold's baseline recognises
    volume_ml: tuple[float, float] | None = None  # of tumours in healthy hosts; None: as the cohort's are
    set: str | None = None  # name of its sets, before the seed; None: the method's name
    online: bool = False  # it makes its cases while it trains, and has no sets
    mixup: bool = False  # real cases only, whose patches are blended

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.+\-]{1,40}", self.name):
            raise ValueError(f"an arm cannot be called {self.name!r}; use up to 40 letters, digits, _ . + and -")
        if self.method is None:
            extras = [key for key in self.given if key not in ("name", "mixup")]
            if extras:
                raise ValueError(f"arm {self.name} has no method, so it cannot have {extras[0]}")
            return
        if self.mixup:
            raise ValueError(
                f"arm {self.name} blends real cases, so it cannot have a method; leave out mixup, or method"
            )
        if self.online:
            self._check_online()
        elif self.num_cases is None or self.num_cases < 1:
            raise ValueError(f"arm {self.name} needs num_cases, a number of at least 1")
        if self.volume_ml is not None and not 0 < self.volume_ml[0] < self.volume_ml[1]:
            raise ValueError(f"arm {self.name}: volume_ml takes two volumes, the smaller first")
        if self.percent is not None and not 1 <= self.percent <= 100:
            raise ValueError(f"arm {self.name}: percent goes from 1 to 100, not {self.percent}")

    def _check_online(self) -> None:
        """Raise where it asks for what only sets can have, or what no trainer's name can say."""
        extras = [key for key in self.given if key in ("num_cases", "filter", "volume_ml", "set")]
        if extras:
            raise ValueError(f"arm {self.name} is online: it has no set, so it cannot have {extras[0]}")
        if not str(self.method).isidentifier():
            raise ValueError(f"arm {self.name} is online, which methods of this package can be, and not {self.method}")

    @property
    def is_plain(self) -> bool:
        """Whether it is nnU-Net alone."""
        return self.method is None and not self.mixup

    @property
    def has_sets(self) -> bool:
        """Whether it trains with sets of synthetic cases."""
        return self.method is not None and not self.online

    @property
    def given(self) -> dict[str, Any]:
        """The settings that differ from the defaults."""
        return {key: value for key, value in to_json(self).items() if key == "name" or value != getattr(Arm, key)}

    @property
    def made_by(self) -> tuple[Any, ...]:
        """The settings that its synthetic cases are made by; arms with the same ones share a set."""
        return (self.method, self.preset, self.healthy, self.filter, self.volume_ml, self.set)

    @property
    def sets_called(self) -> str:
        """What its sets are called, without the seed: the method, and what else tells it from others."""
        preset = "" if self.preset == "default" else self.preset
        filtered = "filtered" if self.filter else ""
        volumes = [f"{size:g}".replace(".", "p") for size in self.volume_ml or ()]
        large = f"ml{'to'.join(volumes)}" if volumes else ""
        called = self.set or str(self.method).rpartition(":")[2] + preset + filtered + large
        return re.sub(r"[^a-z0-9]", "", called.lower())

    def set_name(self, seed: int) -> str:
        """Return the name of the set that a training seed of this arm uses."""
        return f"{self.sets_called}seed{seed}"
