"""nnUNetv2_tf_report --figures. In: a set. Out: figures of realism and usefulness, printed and in figures.json.

They read the fold's validation cases, so that nothing they chose may be reported on the same fold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any

import torch

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.dataset.provenance import versions
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.quality.two_samples import Estimate
from nnunetv2_tf.report.measured_examples import made_examples, person, real_examples, tumour_free_balls
from nnunetv2_tf.report.measured_set import MeasuredCase, MeasuredSet
from nnunetv2_tf.report.realism import MOST, Yardsticks, against_real, real_against_real
from nnunetv2_tf.report.recognition import Recognition, recognition
from nnunetv2_tf.report.usefulness import usefulness
from nnunetv2_tf.sets.store import parts_of
from nnunetv2_tf.synthesis.fitting import usable_device

FEWEST_HOSTS = 8  # patients with room for another tumour
NOT_MEASURED = "not measured"
WARNING = "These figures read the validation cases of fold {}: do not report results on this fold for what they chose."
HOSTS, FREE, REAL, GAP = "healthy hosts", "free sides", "real against real", "no tumour at all"


@dataclass(frozen=True)
class FiguresRequest:
    """What nnUNetv2_tf_report --figures is asked for."""

    dataset: str
    set_name: str
    folds: tuple[Fold, ...] | None
    judge: str | None  # trainer of the baseline whose encoder looks; None: no encoder looks
    trainer: str | None  # of the baseline whose segmentor is asked what it recognises; None: the fit's
    num_free: int
    seed: int
    num_processes: int
    device: str
    trust_checkpoint: bool = False  # of both baselines, even where they may run code


def report_figures(request: FiguresRequest) -> None:
    """Measure a set's parts, print tables, and write figures.json into each part's folder."""
    dataset, device = Dataset.find(request.dataset), usable_device(request.device)
    for part in parts_of(dataset, request.set_name, request.folds):
        measured = MeasuredSet.of(dataset, part.set_name, part.fold, request.num_processes, request.device)
        measured.check_holds_out()
        print(WARNING.format(part.fold))
        path = part.folder / "figures.json"
        for content in _Figures(measured, request, device).measure():
            write_json(path, content)
        print(f"All figures: {path}")


@dataclass(frozen=True)
class _Figures:
    """The figures of one part."""

    measured: MeasuredSet
    request: FiguresRequest
    device: torch.device

    def measure(self) -> Iterator[dict[str, Any]]:
        """Measure one kind of figure after the other, print it, and yield all so far with what they were made by."""
        part, config = self.measured.part, self.measured.config
        seconds: dict[str, float] = {}
        content: dict[str, Any] = {
            "set": part.set_name, "dataset": part.dataset.name, "fold": part.fold, "method": config.method,
            "preset": config.preset, "cases": len(part.manifest().accepted), "judge": self.request.judge,
            "seconds": seconds, "versions": dict(versions()),
        }  # fmt: skip
        yardsticks, asked = (
            self._yardsticks(),
            self._asked(),
        )  # what is wrong with a baseline is said before hours of work
        for name, stage in (
            ("realism", lambda: self._realism(yardsticks)),
            ("usefulness", self._usefulness),
            ("recognition", lambda: self._recognition(asked)),
        ):
            start = perf_counter()
            content |= stage()
            seconds[name] = round(perf_counter() - start, 1)
            yield content

    def _realism(self, yardsticks: Yardsticks) -> dict[str, Any]:
        """Return columns of figures, and how many patients had a free side."""
        measured, healthy = self.measured, self.measured.config.healthy is not None
        real = real_examples(measured.real, whole=healthy)
        columns = {REAL: real_against_real(yardsticks, real)}
        free, reason = self._free_sides()
        hosts = len({one.host for one in free})
        if hosts >= FEWEST_HOSTS:
            columns[FREE] = against_real(yardsticks, real, made_examples(free, measured.real, whole=False))
        if healthy:
            made = list(islice(measured.made(), MOST))
            columns[HOSTS] = against_real(yardsticks, real, made_examples(made, measured.real, whole=True))
            balls = tumour_free_balls(measured.real, made)
            columns[GAP] = {**yardsticks.figures(balls), **yardsticks.encoded(balls)}
        few = f"{hosts}, and {FEWEST_HOSTS} are needed: {NOT_MEASURED}" if hosts < FEWEST_HOSTS else str(hosts)
        _print_realism(columns, reason or few)
        return {"hosts_with_free_sides": hosts, "realism": _plain(columns)}

    def _free_sides(self) -> tuple[list[MeasuredCase], str]:
        """Return cases on free sides, or none and why."""
        if not self.request.num_free:
            return [], f"{NOT_MEASURED}, as asked"
        try:
            return list(self.measured.on_free_sides(self.request.num_free)), ""
        except UserError as error:
            return [], f"{NOT_MEASURED} ({error})"

    def _usefulness(self) -> dict[str, Any]:
        useful = usefulness(self.measured, self.request.seed)
        table = useful.table(self.request.seed)
        _print_usefulness(table, useful.cases)
        return {"usefulness": _plain(table), "usefulness_by_case": to_json(useful)}

    def _yardsticks(self) -> Yardsticks:
        measured, cohort, judge = self.measured, self.measured.cohort, self.request.judge
        if judge is not None and judge in self._known_trainers():
            raise UserError(
                f"Set {measured.part.set_name} was made or filtered through {judge}, which would find its tumours too "
                "real; name a baseline of another seed with -judge."
            )
        encoder = None if judge is None else Encoder.of(self._baseline(judge)).to(self.device)
        split = fold_split(cohort.dataset, cohort.fold, list(cohort.files))
        return Yardsticks(
            classes=cohort.roles.tumour,
            channels=channel_names(measured.part.dataset),
            encoder=encoder,
            trained=frozenset(person(measured.real[name]) for name in split.train if name in measured.real),
            device=self.device,
            seed=self.request.seed,
        )

    def _known_trainers(self) -> list[str]:
        """Return the trainers whose baselines decided what the set is like, the filter's first."""
        config = self.measured.config
        filters = None if config.filter is None else config.filter.baseline
        return [used.trainer for used in (filters, config.baseline) if used is not None]

    def _asked(self) -> Baseline | None:
        """Return the baseline that is asked what it recognises, where there is one."""
        trainer = self.request.trainer or next(iter(self._known_trainers()), None)
        if trainer is None:
            return None
        baseline = self._baseline(trainer)
        baseline.checkpoint()
        return baseline

    def _recognition(self, asked: Baseline | None) -> dict[str, Any]:
        found = {} if asked is None else recognition(self.measured, asked, self.request.device)
        _print_recognition(found)
        return {"recognition": to_json(found)}

    def _baseline(self, trainer: str) -> Baseline:
        config, part = self.measured.config, self.measured.part
        where = (config.plans, config.configuration, part.fold)
        return Baseline(part.dataset, trainer, *where, self.request.trust_checkpoint)


def _print_realism(columns: Mapping[str, Mapping[str, Estimate]], free: str) -> None:
    order = [name for name in (REAL, FREE, HOSTS, GAP) if name in columns]
    print(
        "\nRealism. AUC 0.5: not told apart; distances: 0 is alike. Intervals: over patients, hosts and donors; of real"
    )
    print("against real: over splits into halves, which are samples half as large.")
    print(f"{'':24}" + "".join(f"{name:>24}" for name in order))
    for name in dict.fromkeys(name for column in order for name in columns[column]):
        print(f"{name:24}" + "".join(f"{columns[which].get(name, NOT_MEASURED)!s:>24}" for which in order))
    print(f"Patients with a free side: {free}. What lies on free sides is not filtered.")


def _print_usefulness(table: Mapping[str, Mapping[str, Estimate]], cases: tuple[str, ...]) -> None:
    regions = list(table["real"])
    print(f"\nTrained on it, tested on {len(cases)} real cases: Dice of a voxel classifier.")
    print(f"{'':24}" + "".join(f"{region:>24}" for region in regions))
    for name, row in table.items():
        print(f"{name:24}" + "".join(f"{row[region]!s:>24}" for region in regions))


def _print_recognition(found: Mapping[str, Recognition]) -> None:
    if not found:
        print(f"\nWhat a baseline recognises: {NOT_MEASURED}; name its trainer with -tr.")
        return
    print("\nWhat the baseline recognises (-filter keeps what is above 0.7):")
    for name, row in found.items():
        kept = sum(row.kept)
        dices = f"Dice {row.dice_of(True):.2f} where kept, {row.dice_of(False):.2f} where not"
        print(f"{name:28}{kept:4d} of {len(row.kept)} kept; {dices}")


def _plain(table: Mapping[str, Mapping[str, Estimate]]) -> dict[str, dict[str, Any]]:
    """Return a table for JSON, which knows no nan."""
    return {
        column: {name: [_number(v) for v in (e.value, e.low, e.high)] for name, e in rows.items()}
        for column, rows in table.items()
    }


def _number(value: float) -> float | None:
    return None if value != value else round(value, 5)
