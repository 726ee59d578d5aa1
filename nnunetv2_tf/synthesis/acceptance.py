"""Whether a finished case joins its set. In: the case, limits of its cohort, a filter. Out: figures, and an objection.

Checks always run: they look for faults, and what they reject is replaced by the next line. The filter is FreeTumor's
and runs when asked for: it keeps what the fold's own nnU-Net recognises as tumour.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.provenance import BaselineUse
from nnunetv2_tf.io.arguments import KEEP, is_kept
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.methods.base import CHECKS, CheckConfig, Edited
from nnunetv2_tf.quality.copies import likeness
from nnunetv2_tf.quality.limits import Limits
from nnunetv2_tf.quality.measures import TumourMeasures, measure
from nnunetv2_tf.quality.recognition import recognised, segmented_around
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.finished import Finished
from nnunetv2_tf.synthesis.site_builder import BuiltSite, UnusableLineError
from nnunetv2_tf.working_space.site import Site
from nnunetv2_tf.working_space.stored import OpenCase

LEAST_PLACED = 0.5  # of the placed map must be tumour in the end
COPY = 0.97  # correlation with the donor
NO_NUMBERS = "the method made values that are no numbers"
SHOWN = 3  # kinds of reasons in one message


class RejectedLineError(UnusableLineError):
    """A case was made of this line and is not good enough."""

    def __init__(self, reason: str, figures: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.figures = figures


@dataclass(frozen=True)
class Filter:
    """Which share of a tumour a trained nnU-Net has to recognise: more than `low`, and at most `high`."""

    low: float
    high: float
    baseline: BaselineUse


@dataclass(frozen=True)
class FilterRule:
    """A filter, and whose segmentor it asks."""

    baseline: Baseline
    keep: tuple[float, float] = KEEP

    def check(self) -> None:
        """Raise when the baseline's training has not ended, or knew other cases."""
        self.baseline.checkpoint()

    def keeps(self, share: float) -> bool:
        """Tell whether so large a share recognised is enough, and not too much."""
        return is_kept(share, self.keep)

    @cached_property
    def record(self) -> Filter:
        """What config.json says of it."""
        return Filter(*self.keep, self.baseline.use)


@dataclass(frozen=True)
class Acceptance:
    """What finished cases of a fold are held against."""

    limits: Limits
    exempt: tuple[str, ...] = ()  # checks that the method declares meaningless for its cases
    rejects: bool = True  # else checks are reported, and reject nothing
    class_names: Mapping[int, str] = field(default_factory=dict)
    rule: FilterRule | None = None
    # real cases that the filter knows, and so whatever it lets pass descends from
    ancestors: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cohort: Cohort, checked: CheckConfig, rule: FilterRule | None, num_processes: int) -> "Acceptance":
        """Measure a fold's training cases, and take over what a method says of its checks."""
        cases = [case for case in cohort.training.values() if case.has_tumour()]
        measured = in_parallel(TumourMeasures.of, cases, num_processes, "Measuring real tumours")
        names = {value: name for name, value in cohort.class_values.items()}
        known = frozenset(cohort.training) if rule is not None else frozenset()
        return cls(Limits.of(list(measured)), checked.exempt, checked.rejects, names, rule, known)

    def figures(self, host: OpenCase, built: BuiltSite, edited: Edited, device: str) -> dict[str, Any]:
        """Measure a case; raise RejectedLineError when it is not good enough.

        Args:
            host: its host
            built: the site it was made of
            edited: what the method made of it
            device: where the filter's segmentor works
        """
        if not bool(torch.isfinite(edited.image).all()):  # nothing can be measured of it, and no file could hold it
            raise RejectedLineError(f"check region: {NO_NUMBERS}", {"objections": [f"region: {NO_NUMBERS}"]})
        finished = Finished.of(built.site, edited, host.roles.tumour, host.plan.z_scored)
        found = self._recognised(finished, host.roles.tumour, device)
        figures, objections = _Checks(self, host, built.site, edited, finished).run()
        figures |= found
        counting = [(name, text) for name, text in objections if name not in self.exempt]
        figures["objections"] = [f"{name}: {text}" for name, text in counting]
        if counting and self.rejects:
            name, text = counting[0]
            raise RejectedLineError(f"check {name}: {text}", figures)
        if self.rule is not None and not self.rule.keeps(figures["recognised"]):
            raise RejectedLineError(
                f"filter: the baseline recognises {figures['recognised']:.2f} of the tumour, and what is kept lies "
                f"above {self.rule.keep[0]:g} and up to {self.rule.keep[1]:g}",
                figures,
            )
        return figures

    def _recognised(self, finished: Finished, tumour_values: Sequence[int], device: str) -> dict[str, Any]:
        if self.rule is None:
            return {}
        if not finished.tumour.any():
            return {"recognised": 0.0}
        segmentor = ready_segmentor(self.rule.baseline, device)
        segmentation = segmented_around(segmentor, finished.image, finished.tumour)
        found = recognised(segmentation, finished.tumour, tumour_values)
        by_class = {f"recognised_{self._name(value)}": round(share, 4) for value, share in found.classes.items()}
        return {"recognised": round(found.tumour, 4), **by_class}

    def _name(self, value: str) -> str:
        return self.class_names.get(int(value), value)


def frequent(reasons: Sequence[str]) -> str:
    """Return the most frequent kinds of reasons, an example of each, in one line."""
    examples: dict[str, str] = {}
    for reason in reasons:
        examples.setdefault(reason.partition(":")[0], reason)
    counted = Counter(reason.partition(":")[0] for reason in reasons).most_common(SHOWN)
    return "; ".join(f"{examples[kind]} ({number} so)" if number > 1 else examples[kind] for kind, number in counted)


@lru_cache(maxsize=2)
def ready_segmentor(baseline: Baseline, device: str) -> Segmentor:
    """Return a baseline's segmentor; the last ones are kept, since reading weights for every case takes long."""
    return Segmentor(baseline, torch.device(device))


@dataclass(frozen=True)
class _Checks:
    """The checks of one case. Each yields figures, and an objection or none."""

    acceptance: Acceptance
    host: OpenCase
    site: Site
    edited: Edited
    finished: Finished

    def run(self) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Return figures by name, and objections: the check's name and half a sentence."""
        figures: dict[str, Any] = {}
        objections = []
        checks = (self._region, self._tumour, self._labels, self._background, self._likeness, self._cohort)
        for check in checks:
            for name, value, objection in check():
                figures |= value
                if objection is not None:
                    objections.append((name, objection))
        assert {name for name, _ in objections} <= set(CHECKS)
        return figures, objections

    def _region(self) -> Iterator[tuple[str, dict[str, Any], str | None]]:
        """Look for change outside the organ."""
        outside = int(((self.edited.image != self.site.image).any(dim=0) & ~self.site.organ).sum())
        yield "region", {}, f"{outside} voxels outside the organ are changed" if outside else None

    def _tumour(self) -> Iterator[tuple[str, dict[str, Any], str | None]]:
        """Look for the placed map in the label."""
        placed = self.site.tumour > 0
        if self.edited.region is not None:
            placed &= self.edited.region
        there = float((self.finished.tumour > 0).sum() / max(int(placed.sum()), 1))
        objection = f"only {there:.0%} of the placed tumour is in the label" if there < LEAST_PLACED else None
        yield "tumour", {"labelled": round(there, 4)}, objection

    def _labels(self) -> Iterator[tuple[str, dict[str, Any], str | None]]:
        """Look for labels that neither the host had nor a tumour has."""
        known = {0, *self.host.roles.tumour, *np.unique(self.site.label.numpy()).tolist()}
        unknown = sorted(set(np.unique(self.finished.label).tolist()) - known)
        yield "labels", {}, f"the label has {unknown[0]}, which is no class of tumours here" if unknown else None

    def _background(self) -> Iterator[tuple[str, dict[str, Any], str | None]]:
        """Look for tumour outside the body."""
        outside = int(((self.finished.tumour > 0) & ~self.site.body.numpy()).sum())
        yield "background", {}, f"{outside} voxels of the tumour lie in the background" if outside else None

    def _likeness(self) -> Iterator[tuple[str, dict[str, Any], str | None]]:
        """Compare with the donors, where the method is given their images."""
        highest = None
        for donor in self.site.donors:
            both = np.where(donor.tumour.numpy() == self.finished.tumour, self.finished.tumour, 0)
            like = likeness(self.finished.image, donor.image.numpy(), both)
            if like is not None and (highest is None or like > highest):
                highest = like
        if highest is not None:
            objection = f"inside the tumour it is its donor over again, correlation {highest:.2f}"
            yield "copy", {"likeness": round(highest, 4)}, objection if highest > COPY else None

    def _cohort(self) -> Iterator[tuple[str, dict[str, Any], str | None]]:
        """Compare brightness and surface with the training cases'."""
        finished, acceptance = self.finished, self.acceptance
        measured = measure(finished.image, finished.tumour, self.site.organ.numpy(), self.site.spacing)
        channels: Sequence[str] = channel_names(self.host.dataset)
        names = {str(value): name for value, name in acceptance.class_names.items()}
        means = {
            f"mean_{names.get(value, value)}_{channel}": round(mean, 4)
            for value, row in measured.means.items()
            for channel, mean in zip(channels, row, strict=True)
        }
        edges = {f"edge_{channel}": round(edge, 4) for channel, edge in zip(channels, measured.edges, strict=False)}
        yield "brightness", means, acceptance.limits.brightness_beyond(measured, names, channels)
        yield "edge", edges, acceptance.limits.edge_beyond(measured, channels)
