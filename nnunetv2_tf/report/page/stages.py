"""What cases went through. In: a part of a set. Out: for each case volumes, from host to finished case."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from nnunetv2_tf.dataset.provenance import CaseEntry, Sidecar
from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.base import Method
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.case_maker import ready_method
from nnunetv2_tf.synthesis.fitting import fit_for
from nnunetv2_tf.synthesis.site_builder import UnusableLineError
from nnunetv2_tf.tumours.recipe import RecipeLine, read_recipe
from nnunetv2_tf.working_space.stored import OpenCase

SLICES = 15  # shown of a case
MARGIN = 0.25  # of the tumour's height, shown above and below it
STAGE1 = "tf_aug"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Stage:
    """One volume, ready to be shown: slices upright, cut to what there is to see."""

    title: str
    slices: np.ndarray  # (N, rows, columns) float, black at 0 and white at 1
    labels: np.ndarray  # (N, rows, columns) int16: the tumour's classes
    shape_mm: tuple[float, float]  # height and width


@dataclass(frozen=True)
class ShownCase:
    """A case with the stages that it went through."""

    name: str
    facts: dict[str, str]
    stages: list[Stage]


@dataclass(frozen=True)
class Gallery:
    """Makes what is shown of a part's cases."""

    measured: MeasuredSet
    with_real: bool  # a real case of similar volume beside each
    others: Sequence[MeasuredSet] = field(default_factory=tuple)  # sets on the same recipe
    channel: int = 0  # that is shown

    def cases(self, number: int) -> Iterator[ShownCase]:
        """Yield the first so many accepted cases."""
        measured = self.measured
        part, plan = measured.part, measured.cohort.plan
        for each in (measured, *self.others):
            each.part.preprocess(plan, each.num_processes)
        lines = {line.index: line for line in read_recipe(part.folder / "recipe.jsonl")}
        for entry in part.manifest().accepted[:number]:
            sidecar = part.sidecar(entry.case)
            yield self._case(entry, sidecar, None if entry.line is None else lines.get(entry.line))

    def _case(self, entry: CaseEntry, sidecar: Sidecar, line: RecipeLine | None) -> ShownCase:
        made = self.measured.finished(entry)
        tumour, spacing = made.tumour(), made.grid.spacing
        volume = float((tumour > 0).sum() * np.prod(spacing) / 1000)
        planes = planes_of(tumour)
        view = _View.of(made, made.organ() | (tumour > 0), planes, self.channel)
        stages, lacking = self._before(line, view)
        name = f"made by {self.measured.config.method}"
        stages.append(view.stage(name, made.image(), tumour))
        for other in self.others:
            stages += self._of_another(other, sidecar, view)
        if self.with_real and self._volumes:
            stages.append(self._alike(volume))
        facts = _facts(sidecar, volume, self.with_real)
        return ShownCase(entry.case, {**facts, **({"not shown": lacking} if lacking else {})}, stages)

    def _before(self, line: RecipeLine | None, view: "_View") -> tuple[list[Stage], str]:
        """Return the host, the host as it was prepared, and what stage 1 made of it; or why some are not there."""
        hosts = self.measured.hosts
        if line is None or line.host not in hosts.cases:
            return [], "its host, which is not among the scans any more"
        host = hosts.cases[line.host].open()
        if host.image().shape[1:] != view.organ.shape:
            return [], "its host, which nnU-Net crops in another way"
        stages = [view.stage("host", host.image(), host.tumour())]
        method = self._method
        if isinstance(method, str):
            return stages, method
        try:
            site = hosts.site_builder(line).build(host, method.pastes).site
        except (UnusableLineError, KeyError):  # of donors that the cohort does not have, any more or by itself
            return stages, "how the host was prepared: its donor is not among the training cases"
        placed = site.tumour.numpy()
        stages.append(view.stage("prepared host, and the map", site.image.numpy(), placed))
        coarse = method.fitted.get(STAGE1)
        if coarse is not None:
            (edited,) = coarse.edit([site], [np.random.default_rng(line.seed)])
            stages.append(view.stage(f"coarse, by {STAGE1}", edited.image.numpy(), placed))
        return stages, ""

    @cached_property
    def _method(self) -> Method | str:
        """The method as the set was made with, or why it is not there."""
        config = self.measured.config
        selected = find_method(config.method, config.preset)
        try:
            fit = fit_for(self.measured.hosts, selected)
        except UserError:
            return "stages before: the fit is not there any more"
        if fit is not None and fit.digest != config.fit:
            return "stages before: there is another fit now"
        return ready_method(selected, fit, CPU)

    def _of_another(self, other: MeasuredSet, sidecar: Sidecar, view: "_View") -> list[Stage]:
        """Return what another set made of the same line; nothing where it was left out there."""
        for entry in other.part.manifest().accepted:
            if entry.line == sidecar.line:
                _check_same_line(other.part, other.part.sidecar(entry.case), sidecar)
                made = other.finished(entry)
                if made.tumour().shape != view.organ.shape:
                    raise UserError(
                        f"Set {other.part.set_name} was made for other plans than this one, so that slices do not lie "
                        "upon one another; compare sets of one configuration."
                    )
                return [view.stage(f"{other.part.set_name}, {other.config.method}", made.image(), made.tumour())]
        return []

    def _alike(self, volume: float) -> Stage:
        """Return the training case whose tumour's volume is nearest."""
        name = min(self._volumes, key=lambda name: abs(np.log(self._volumes[name] / volume)))
        case = self.measured.cohort.training[name].open()
        tumour = case.tumour()
        view = _View.of(case, case.organ() | (tumour > 0), planes_of(tumour), self.channel)
        return view.stage(f"real: {name}", case.image(), tumour)

    @cached_property
    def _volumes(self) -> dict[str, float]:
        found = {}
        for name, case in self.measured.cohort.training.items():
            if case.has_tumour():
                opened = case.open()
                found[name] = float((opened.tumour() > 0).sum() * np.prod(opened.grid.spacing) / 1000)
        return found


@dataclass(frozen=True)
class _View:
    """How a case's volumes are cut and windowed, all alike."""

    case: OpenCase
    organ: np.ndarray  # (Z, Y, X) bool
    box: tuple[slice, ...]
    planes: np.ndarray
    channel: int
    span: tuple[float, float]

    @classmethod
    def of(cls, case: OpenCase, organ: np.ndarray, planes: np.ndarray, channel: int) -> "_View":
        values = case.image()[channel][organ]
        low, high = np.quantile(values, (0.002, 0.998))
        return cls(case, organ, box_around(organ, (0, 2, 2)), planes, channel, (float(low) - 0.1, float(high)))

    def stage(self, title: str, image: np.ndarray, tumour: np.ndarray) -> Stage:
        """Return a stage; the image (C, Z, Y, X) and the map have the case's shape."""
        _, rows, columns = self.box
        low, high = self.span
        seen = np.where(self.organ, (image[self.channel] - low) / (high - low), 0).clip(0, 1)
        upright = self.case.grid.upright
        slices, labels = (
            np.stack([upright(volume[plane][rows, columns]) for plane in self.planes]) for volume in (seen, tumour)
        )
        _, tall, wide = self.case.grid.spacing
        return Stage(title, slices, labels.astype(np.int16), (slices.shape[1] * tall, slices.shape[2] * wide))


def whole_stage(title: str, case: OpenCase, tumour: np.ndarray, channel: int) -> Stage:
    """Return a case's brain, without labels."""
    view = _View.of(case, case.organ() | (tumour > 0), planes_of(tumour), channel)
    return view.stage(title, case.image(), np.zeros_like(tumour))


def planes_of(tumour: np.ndarray) -> np.ndarray:
    """Return which slices are shown: of the tumour, and a little more."""
    inside = np.flatnonzero((tumour > 0).any(axis=(1, 2)))
    if not len(inside):
        inside = np.arange(len(tumour))
    more = MARGIN * (inside[-1] - inside[0] + 1)
    low, high = max(inside[0] - more, 0), min(inside[-1] + more, len(tumour) - 1)
    return np.rint(np.linspace(low, high, SLICES)).astype(int)


def _facts(sidecar: Sidecar, volume: float, with_real: bool) -> dict[str, str]:
    controls: dict[str, Any] = dict(sidecar.controls)
    facts = {"volume": f"{volume:.1f} ml", "host": str(sidecar.host)}
    donors = (*sidecar.donors, *sidecar.pseudo_donors)
    if with_real and donors:
        facts["tumour of"] = ", ".join(donors)
    if isinstance(controls.get("mass_effect"), (int, float)):
        facts["mass effect"] = f"{controls['mass_effect']:.2f}"
    return {**facts, "seed": str(sidecar.seed)}


def _check_same_line(part: SetPart, other: Sidecar, sidecar: Sidecar) -> None:
    if (other.host, other.donors) != (sidecar.host, sidecar.donors):
        raise UserError(
            f"Line {sidecar.line} of set {part.set_name} is another tumour in another host, so that nothing can be "
            "compared; --compare sets that follow one recipe (nnUNetv2_tf_synthesize -recipe)."
        )
