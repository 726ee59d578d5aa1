"""One line of the recipe becomes one case on disk. In: a task. Out: images, label and sidecar, or why there are none.

The sidecar is written last: a case that has one is finished.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from nnunetv2_tf.cases import case_digest
from nnunetv2_tf.methods.base import Method
from nnunetv2_tf.methods.lookup import FoundMethod
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.provenance import Sidecar, versions
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.compose import Composed, compose
from nnunetv2_tf.synthesis.sites import Sites, Unusable
from nnunetv2_tf.tumours.recipe import Line
from nnunetv2_tf.work import write_json

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Learnt:
    """Where what a method has learnt is, and the methods it needs, with what they have learnt."""

    folder: Path | None
    needed: Mapping[str, tuple[FoundMethod, "Learnt"]] = field(default_factory=dict)
    digest: str | None = None  # of all of it; None: it may change


@dataclass(frozen=True)
class Task:
    """All that it takes to make one case."""

    line: Line
    host: Case
    sites: Sites
    method: FoundMethod
    part: SetPart
    geometry_ancestors: tuple[str, ...]
    learnt: Learnt | None = None  # None: a method that learns nothing
    device: str = "cpu"

    @property
    def identifier(self) -> str:
        """The case's name."""
        return case_name(self.part, self.line.index)


def case_name(part: SetPart, index: int) -> str:
    """The name of the case that a line becomes."""
    return f"{part.set_name}_{index:05d}"


def skipped_path(part: SetPart, index: int) -> Path:
    """Says why a line became no case."""
    return part.folder / "skipped" / f"{case_name(part, index)}.json"


def make_case(task: Task) -> None:
    """Makes and writes the case, or notes that the line is unusable."""
    try:
        composed, sidecar = synthesize_case(task)
    except Unusable as reason:
        write_json(skipped_path(task.part, task.line.index), {"line": task.line.index, "reason": str(reason)})
        return
    ending = task.host.plan.dataset_json["file_ending"]
    composed.write(task.part.folder, task.identifier, ending)
    sidecar.write(task.part.sidecar_path(task.identifier))


def synthesize_case(task: Task) -> tuple[Composed, Sidecar]:
    """The case in memory, and what it descends from. Raises Unusable."""
    line, host = task.line, replace(task.host)  # a fresh one holds no arrays of earlier tasks
    method = ready(task.method, task.learnt, torch.device(task.device))
    made = task.sites.make(line, host, method.pastes)
    (edited,) = method.edit([made.site], [np.random.default_rng(line.seed)])
    composed = compose(host, made.site, edited, made.stored)
    measured = task.sites.measured(composed.tumour(host), host.grid.native_affine)
    sidecar = Sidecar(
        case=task.identifier,
        line=line.index,
        host=line.host,
        donors=line.donors,
        ancestors=tuple(sorted(made.ancestors)),
        geometry_ancestors=tuple(name for name in task.geometry_ancestors if name not in made.ancestors),
        reach_mm=edited.reach_mm,
        sources={host.identifier: case_digest(host.files)},
        controls={**edited.controls, **made.controls, **measured},
        seed=line.seed,
        versions=versions(),
    )
    return composed, sidecar


def ready(found: FoundMethod, learnt: Learnt | None, device: torch.device) -> Method:
    """As `build` has it; the last one is kept, since reading weights anew for every case takes long."""
    if learnt is None or learnt.digest is None:
        return build(found, learnt, device)
    key = (learnt.digest, device)
    if key not in _kept:
        _kept.clear()
        _kept[key] = build(found, learnt, device)
    return _kept[key]


_kept: dict[tuple[str, torch.device], Method] = {}


def build(found: FoundMethod, learnt: Learnt | None = None, device: torch.device = CPU) -> Method:
    """The method, ready to edit; or, without a folder of what it has learnt, ready to be fitted.

    Those that it needs work on the CPU: they serve it in processes that make its batches.
    """
    needed = {} if learnt is None else {name: build(*one) for name, one in learnt.needed.items()}
    method = found.kind(found.config, device, needed)
    if learnt is not None and learnt.folder is not None:
        method.load(learnt.folder)
    return method
