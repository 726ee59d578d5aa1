"""What a page says of a part of a set. In: its files. Out: tables and sentences."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folds import Groups, fold_split
from nnunetv2_tf.dataset.provenance import Sidecar
from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.report.figures import FREE, GAP, HOSTS, REAL
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.sets.leakage import find_leaks
from nnunetv2_tf.working_space.stored import OpenCase

AXES = ("front to back", "right to left", "bottom to top")


@dataclass(frozen=True)
class Rows:
    """A table."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class Marginal:
    """How made and real tumours are spread along one quantity."""

    title: str
    unit: str
    logarithmic: bool
    made: list[float]
    real: list[float]


def what_made_it(measured: MeasuredSet) -> Rows:
    """Return the settings and digests of a part."""
    part, config = measured.part, measured.config
    manifest = part.manifest()
    accepted = manifest.accepted
    made: list[tuple[str, Any]] = [
        ("dataset, fold", f"{part.dataset.name}, {part.fold}"), ("method, preset", f"{config.method}, {config.preset}"),
        ("healthy scans", manifest.healthy), ("cases", f"{len(accepted)} accepted of {len(manifest.cases)}"),
        ("seed", config.seed), ("plans, configuration", f"{config.plans}, {config.configuration}"),
        ("baseline", manifest.baseline and f"{manifest.baseline.trainer} ({manifest.baseline.checkpoint_sha256[:12]})"),
        ("filter", config.filter and f"recognised: {config.filter}"), ("unlabelled scans", manifest.unlabelled),
        ("pseudo-labelled donors", manifest.pseudo_labels and manifest.pseudo_labels.dataset),
        ("settings (digest)", (manifest.config_hash or "")[:12]),
        ("recipe (digest)", (manifest.recipe_hash or "")[:12]),
    ]  # fmt: skip
    versions = [(f"version of {name}", version) for name, version in manifest.versions.items()]
    return Rows(("", ""), [(name, str(value)) for name, value in (*made, *versions) if value not in (None, "")])


def leak_statement(measured: MeasuredSet, sidecars: Sequence[Sidecar]) -> str:
    """Check the part anew, as trainers do, and say what came of it."""
    dataset, fold = measured.part.dataset, measured.part.fold
    known = list(raw_cases(dataset))
    split = fold_split(dataset, fold, known)
    leaks = find_leaks(sidecars, split, Groups.read(dataset), known, everything_trains=fold == "all")
    if leaks:
        return f"LEAK: {leaks[0].case}: {leaks[0].reason}; and {len(leaks) - 1} more. Trainers refuse this set."
    unknown = sum(sidecar.ancestors == "unknown" for sidecar in sidecars)
    trusted = f" {unknown} cases were added with --trust: nobody knows their ancestors." if unknown else ""
    return (
        f"No case has anything of the {len(split.val)} validation cases of fold {fold}, or of their patients, in it "
        f"(all {len(sidecars)} sidecars checked when this page was made).{trusted}"
    )


def rejected(measured: MeasuredSet, with_real: bool) -> tuple[list[tuple[str, int]], Rows]:
    """Return how often each reason kept a line out, and the lines."""
    path = measured.part.folder / "quality.csv"
    head = ("case", "reason", "host", *(("tumour of",) if with_real else ()))
    if not path.exists():
        return [], Rows(head)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["accepted"] == "0"]
    names = ("case", "reason", "host", "donors")[: len(head)]
    reasons = Counter(row["reason"].partition(":")[0].partition("(")[0].strip() for row in rows)
    return reasons.most_common(), Rows(head, [tuple(row[name] for name in names) for row in rows])


def yardsticks(measured: MeasuredSet) -> Rows | None:
    """Return the figures of realism beside those of real against real, where they were measured."""
    path = measured.part.folder / "figures.json"
    if not path.exists():
        return None
    columns: dict[str, dict[str, list[float | None]]] = read_json(path, "measure anew.")["realism"]
    order = [name for name in (REAL, HOSTS, FREE, GAP) if name in columns]
    names = dict.fromkeys(name for column in order for name in columns[column])
    rows = [(name, *(_figure(columns[column].get(name)) for column in order)) for name in names]
    return Rows(("AUC 0.5: not told apart; distances: 0 is alike", *order), rows)


def _figure(figure: list[float | None] | None) -> str:
    if not figure or figure[0] is None:
        return "-"
    value, low, high = figure
    return f"{value:.2f}" + ("" if low is None or high is None else f" ({low:.2f} to {high:.2f})")


def marginals(measured: MeasuredSet) -> list[Marginal]:
    """Return how volumes and places of made tumours are spread, beside those of training cases."""
    made = [_measures(measured.finished(entry)) for entry in measured.part.manifest().accepted]
    real = [_measures(case.open()) for case in measured.cohort.training.values() if case.has_tumour()]
    spread = [Marginal("volume", "ml", True, [each[0] for each in made], [each[0] for each in real])]
    for number, axis in enumerate(AXES, start=1):
        places = ([each[number] for each in group] for group in (made, real))
        spread.append(Marginal(f"centre, {axis}", "of the brain", False, *places))
    return spread


def _measures(case: OpenCase) -> tuple[float, float, float, float]:
    """Return a tumour's volume in ml, and where its centre lies in the box around the organ, 0 to 1."""
    tumour = case.tumour() > 0
    box = box_around(case.organ() | tumour)
    centre = np.argwhere(tumour).mean(axis=0) if tumour.any() else np.full(3, np.nan)
    z, y, x = ((centre - [part.start for part in box]) / [part.stop - part.start for part in box]).tolist()
    signs = case.grid.affine[:3, :3]
    x = x if signs[0, 2] > 0 else 1 - x  # world coordinates: x to the left, y to the back, as SimpleITK has them
    y = y if signs[1, 1] > 0 else 1 - y
    return float(tumour.sum() * np.prod(case.grid.spacing) / 1000), y, x, z
