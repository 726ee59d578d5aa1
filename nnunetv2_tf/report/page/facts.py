"""What a page says of a part of a set. In: its files. Out: tables and sentences."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import Groups, fold_split
from nnunetv2_tf.dataset.provenance import Sidecar
from nnunetv2_tf.geometry.boxes import box_around
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.report.figures import FREE, GAP, HOSTS, REAL
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.sets.leakage import find_leaks
from nnunetv2_tf.synthesis.pseudo_donors import pseudo_name
from nnunetv2_tf.tumours.recipe import read_recipe
from nnunetv2_tf.working_space.stored import OpenCase

NUMBER = re.compile(r"-?\d+(\.\d+)?")
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
        ("filter", config.filter and f"recognised above {config.filter.low:g}, up to {config.filter.high:g}"),
        ("unlabelled scans", manifest.unlabelled),
        ("pseudo-labelled donors", manifest.pseudo_labels and manifest.pseudo_labels.dataset),
        ("settings (digest)", (manifest.config_hash or "")[:12]),
        ("recipe (digest)", (manifest.recipe_hash or "")[:12]),
    ]  # fmt: skip
    versions = [(f"version of {name}", version) for name, version in manifest.versions.items()]
    return Rows(("", ""), [(name, str(value)) for name, value in (*made, *versions) if value not in (None, "")])


@dataclass(frozen=True)
class Names:
    """How cases of patients are called on a page."""

    hidden: tuple[str, ...]  # names that are not to be read

    @classmethod
    def of(cls, measured: MeasuredSet, with_real: bool) -> "Names":
        """Return the names of patients' cases, hidden or not."""
        return cls(() if with_real else _longest_first(_patients(measured)))

    def shown(self, text: str) -> str:
        """Return a text without hidden names."""
        for name in self.hidden:
            text = text.replace(name, "a patient")
        return text


def _patients(measured: MeasuredSet) -> set[str]:
    """Return all cases with patients: those of the dataset, and pseudo-labelled donors."""
    found, pseudo = set(raw_cases(measured.part.dataset)), measured.config.pseudo_labels
    if pseudo is not None:
        beginning = pseudo_name(Dataset(pseudo.dataset), "")
        lines = read_recipe(measured.part.folder / "recipe.jsonl")
        found |= {name for line in lines for name in line.donors if name.startswith(beginning)}
    return found


def _longest_first(names: Iterable[str]) -> tuple[str, ...]:
    """Return names, those first that may begin with others."""
    return tuple(sorted(names, key=len, reverse=True))


def leak_statement(measured: MeasuredSet, sidecars: Sequence[Sidecar], names: Names) -> str:
    """Check the part anew, as trainers do, and say what came of it."""
    dataset, fold = measured.part.dataset, measured.part.fold
    known = list(raw_cases(dataset))
    split = fold_split(dataset, fold, known)
    leaks = find_leaks(sidecars, split, Groups.read(dataset), known, everything_trains=fold == "all")
    if leaks:
        reason = names.shown(f"{leaks[0].case}: {leaks[0].reason}")
        return f"LEAK: {reason}; and {len(leaks) - 1} more. Trainers refuse this set."
    if fold == "all":
        return "Fold all holds nobody out: every case trains, and nothing can leak."
    unknown = sum(sidecar.ancestors == "unknown" for sidecar in sidecars)
    trusted = f" {unknown} cases were added with --trust: nobody knows their ancestors." if unknown else ""
    return (
        f"No case has anything of the {len(split.val)} validation cases of fold {fold}, or of their patients, in it "
        f"(all {len(sidecars)} sidecars checked when this page was made).{trusted}"
    )


def rejected(measured: MeasuredSet, names: Names) -> tuple[list[tuple[str, int]], Rows]:
    """Return how often each reason kept a line out, and the lines."""
    path = measured.part.folder / "quality.csv"
    columns = ("case", "reason", "host", "donors")
    if not path.exists():
        return [], Rows(columns)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["accepted"] == "0"]
    known = Names(_longest_first({*_patients(measured), *measured.hosts.cases}))
    reasons = Counter(NUMBER.sub("…", known.shown(row["reason"])) for row in rows)
    return reasons.most_common(), Rows(columns, [tuple(names.shown(row[name]) for name in columns) for row in rows])


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
    made = [measures_of(one.case, one.tumour > 0) for one in measured.made()]
    cases = (case.open() for case in measured.cohort.training.values() if case.has_tumour())
    real = [measures_of(case, case.tumour() > 0) for case in cases]
    spread = [Marginal("volume", "ml", True, [each[0] for each in made], [each[0] for each in real])]
    for number, axis in enumerate(AXES, start=1):
        places = ([each[number] for each in group] for group in (made, real))
        spread.append(Marginal(f"centre, {axis}", "of the brain", False, *places))
    return spread


def measures_of(case: OpenCase, tumour: np.ndarray) -> list[float]:
    """Return a tumour's volume in ml, and by AXES where its centre lies in the box around the organ, 0 to 1."""
    box = box_around(case.organ() | tumour)
    centre = np.argwhere(tumour).mean(axis=0) + 0.5 if tumour.any() else np.full(3, np.nan)
    places = (centre - [part.start for part in box]) / [part.stop - part.start for part in box]
    found = [float(tumour.sum() * np.prod(case.grid.spacing) / 1000)]
    for world in (1, 0, 2):  # to the back, to the left, up
        along = case.grid.affine[world, :3]
        axis = int(np.argmax(np.abs(along)))
        found.append(float(places[axis] if along[axis] > 0 else 1 - places[axis]))
    return found
