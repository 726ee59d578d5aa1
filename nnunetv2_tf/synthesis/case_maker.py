"""One line of the recipe becomes one case on disk. In: a task. Out: images, label and sidecar, or why there are none.

The sidecar is written last: a case that has one is finished.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnunetv2_tf.dataset.cases import case_digest
from nnunetv2_tf.dataset.provenance import Sidecar, versions
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.methods.base import Edited, Method
from nnunetv2_tf.methods.lookup import SelectedMethod
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.acceptance import Acceptance, RejectedLineError
from nnunetv2_tf.synthesis.compose import Composed, compose
from nnunetv2_tf.synthesis.fit_result import FitResult, build_method
from nnunetv2_tf.synthesis.pseudo_donors import PseudoDonors
from nnunetv2_tf.synthesis.site_builder import BuiltSite, SiteBuilder, UnusableLineError
from nnunetv2_tf.tumours.recipe import RecipeLine
from nnunetv2_tf.working_space.stored import Case, OpenCase


@dataclass(frozen=True)
class CaseTask:
    """All that it takes to make one case."""

    host: Case
    site_builder: SiteBuilder
    method: SelectedMethod
    part: SetPart
    geometry_ancestors: tuple[str, ...]
    fit: FitResult | None = None  # None: a method that learns nothing
    acceptance: Acceptance | None = None  # None: the case is taken as it is
    device: str = "cpu"
    pseudo: PseudoDonors | None = None  # donors besides real cases
    config_hash: str | None = None  # of the set

    @property
    def line(self) -> RecipeLine:
        """What to make."""
        return self.site_builder.line

    @property
    def identifier(self) -> str:
        """The case's name."""
        return case_name(self.part, self.line.index)


def case_name(part: SetPart, index: int) -> str:
    """Return the name of the case that a line becomes."""
    return f"{part.set_name}_{index:05d}"


def make_case(task: CaseTask) -> None:
    """Make and write the case, or note that the line is unusable."""
    try:
        composed, sidecar = synthesize_case(task)
    except UnusableLineError as reason:
        note: dict[str, Any] = {"line": task.line.index, "reason": str(reason)}
        if isinstance(reason, RejectedLineError):
            note["quality"] = reason.figures
        write_json(task.part.skipped_path(task.identifier), note)
        return
    ending = task.host.plan.dataset_json["file_ending"]
    files = composed.write(task.part.folder, task.identifier, ending)
    replace(sidecar, files=files).write(task.part.sidecar_path(task.identifier))


def synthesize_case(task: CaseTask) -> tuple[Composed, Sidecar]:
    """Make the case in memory, and say what it descends from. Raises UnusableLineError."""
    line, host = task.line, task.host.open()
    built, edited = edited_site(task, host)
    ancestors, quality = built.ancestors, {}
    unlabelled, pseudo_donors = {} if task.fit is None else dict(task.fit.scans), ()
    if task.pseudo is not None:
        pseudo_donors = tuple(name for name in line.donors if name in task.pseudo.cases)
        ancestors = (ancestors - set(pseudo_donors)) | task.pseudo.ancestors
        unlabelled |= task.pseudo.patients
    if task.acceptance is not None:
        ancestors |= task.acceptance.ancestors
        quality = {"quality": task.acceptance.figures(host, built, edited, task.device)}
    composed = compose(host, built.site, edited, built.unharmonised, built.displacement)
    measured = task.site_builder.measure(composed.put_in(host), host.grid.native_affine)
    sidecar = Sidecar(
        case=task.identifier,
        line=line.index,
        host=line.host,
        donors=line.donors_among(ancestors),
        ancestors=tuple(sorted(ancestors)),
        geometry_ancestors=tuple(name for name in task.geometry_ancestors if name not in ancestors),
        reach_mm=edited.reach_mm,
        sources={host.identifier: case_digest(host.files)},
        controls={**edited.controls, **built.controls, **measured, **quality},
        seed=line.seed,
        versions=versions(),
        pseudo_donors=pseudo_donors,
        unlabelled=unlabelled,
        config_hash=task.config_hash,
    )
    return composed, sidecar


def edited_site(task: CaseTask, host: OpenCase) -> tuple[BuiltSite, Edited]:
    """Build the line's site and edit it. Raises UnusableLineError."""
    return edit(host, task.site_builder, ready_method(task.method, task.fit, torch.device(task.device)))


def edit(host: OpenCase, builder: SiteBuilder, method: Method) -> tuple[BuiltSite, Edited]:
    """Build the site of a builder's line on its host, and edit it. Raises UnusableLineError."""
    built = builder.build(host, method.pastes)
    (edited,) = method.edit([built.site], [np.random.default_rng(builder.line.seed)])
    return built, edited


def ready_method(selected: SelectedMethod, fit: FitResult | None, device: torch.device) -> Method:
    """Return the method with what it has learnt. The last one is kept: to read weights for every case takes long."""
    if fit is None:
        return build_method(selected, device)
    key = (fit.folder, f"{fit.digest} {fit.method.config}", device)
    if key not in _ready:
        _ready.clear()
        _ready[key] = fit.load(device)
    return _ready[key]


_ready: dict[tuple[Path, str, torch.device], Method] = {}
