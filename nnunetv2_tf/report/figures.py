"""nnUNetv2_tf_report --figures. In: a set. Out: figures of realism and usefulness, printed and in figures.json.

They read the fold's validation cases, so that nothing they chose may be reported on the same fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
from nnunetv2_tf.report.looks import made_examples, real_examples, tumour_free_balls
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.report.realism import Eyes, against_real, real_against_real
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


def report_figures(request: FiguresRequest) -> None:
    """Measure a set's parts, print tables, and write figures.json into each part's folder."""
    dataset, device = Dataset.find(request.dataset), usable_device(request.device)
    for part in parts_of(dataset, request.set_name, request.folds):
        measured = MeasuredSet.of(dataset, part.set_name, part.fold, request.num_processes, request.device)
        print(WARNING.format(part.fold))
        content = _Figures(measured, request, device).all()
        path = part.folder / "figures.json"
        write_json(path, content)
        print(f"All figures: {path}")


@dataclass(frozen=True)
class _Figures:
    """The figures of one part."""

    measured: MeasuredSet
    request: FiguresRequest
    device: torch.device

    def all(self) -> dict[str, Any]:
        """Measure, print, and return all figures with what they were made by."""
        start = perf_counter()
        seconds: dict[str, float] = {}
        realism, hosts = self._realism()
        seconds["realism"] = perf_counter() - start
        _print_realism(realism, hosts)
        start = perf_counter()
        useful = usefulness(self.measured, self.request.seed)
        seconds["usefulness"] = perf_counter() - start
        table = useful.table(self.request.seed)
        _print_usefulness(table, useful.cases)
        start = perf_counter()
        found = self._recognition()
        seconds["recognition"] = perf_counter() - start
        _print_recognition(found)
        part, config = self.measured.part, self.measured.config
        return {
            "set": part.set_name, "dataset": part.dataset.name, "fold": part.fold, "method": config.method,
            "preset": config.preset, "cases": len(part.manifest().accepted), "judge": self.request.judge,
            "hosts_with_free_sides": hosts, "realism": _plain(realism), "usefulness": _plain(table),
            "usefulness_by_case": to_json(useful), "recognition": to_json(found),
            "seconds": {name: round(value, 1) for name, value in seconds.items()}, "versions": dict(versions()),
        }  # fmt: skip

    def _realism(self) -> tuple[dict[str, dict[str, Estimate]], int]:
        """Return columns of figures, and how many patients had a free side."""
        measured, eyes = self.measured, self._eyes()
        real = real_examples(measured.real, whole=False)
        columns = {REAL: real_against_real(eyes, real)}
        free = list(measured.on_free_sides(self.request.num_free))
        hosts = len({one.host for one in free})
        if hosts >= FEWEST_HOSTS:
            columns[FREE] = against_real(eyes, real, made_examples(free, measured.real, whole=False))
        if measured.config.healthy is not None:
            made = list(measured.made())
            whole = real_examples(measured.real, whole=True)
            columns[HOSTS] = against_real(eyes, whole, made_examples(made, measured.real, whole=True))
            columns[GAP] = eyes.figures(tumour_free_balls(measured.real, made))
        return columns, hosts

    def _eyes(self) -> Eyes:
        measured, cohort, judge = self.measured, self.measured.cohort, self.request.judge
        encoder, used = None, measured.config.baseline
        if used is not None and used.trainer == judge:
            raise UserError(
                f"Set {measured.part.set_name} was made by a method that learnt through {judge}, which would find its "
                "tumours too real; name a baseline of another seed with -judge."
            )
        if judge is not None:
            encoder = Encoder.of(self._baseline(judge)).to(self.device)
        split = fold_split(cohort.dataset, cohort.fold, list(cohort.files))
        return Eyes(
            classes=cohort.roles.tumour,
            channels=channel_names(measured.part.dataset),
            encoder=encoder,
            trained=frozenset(split.train),
            device=self.device,
            seed=self.request.seed,
        )

    def _recognition(self) -> dict[str, Recognition]:
        trainer, used = self.request.trainer, self.measured.config.baseline
        if trainer is None:
            trainer = None if used is None else used.trainer
        if trainer is None:
            return {}
        return recognition(self.measured, self._baseline(trainer), self.request.device)

    def _baseline(self, trainer: str) -> Baseline:
        config, part = self.measured.config, self.measured.part
        return Baseline(part.dataset, trainer, config.plans, config.configuration, part.fold)


def _print_realism(columns: Mapping[str, Mapping[str, Estimate]], hosts: int) -> None:
    order = [name for name in (REAL, FREE, HOSTS, GAP) if name in columns]
    print("\nRealism. AUC 0.5: not told apart; distances: 0 is alike; intervals over patients, hosts and donors.")
    print(f"{'':24}" + "".join(f"{name:>24}" for name in order))
    for name in columns[REAL]:
        print(f"{name:24}" + "".join(f"{columns[which].get(name, NOT_MEASURED)!s:>24}" for which in order))
    few = "" if hosts >= FEWEST_HOSTS else f", and {FEWEST_HOSTS} are needed: {NOT_MEASURED}"
    print(f"Patients with a free side: {hosts}{few}. What lies on free sides is not filtered.")


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
