"""What the arms trained on, side by side, as in the paper's figure 3. In: a matrix. Out: one picture per dataset.

Two samples: a real tumour, then each method's; of the same lines of the recipe where all methods have them.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from nnunetv2_tf.benchmark.matrix import Matrix, Training
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.provenance import CaseEntry
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case, OpenCase, training_cases

SAMPLES = 2
WINDOW = (0.002, 0.998)  # quantiles of the organ that are shown black and white


def write_panel(matrix: Matrix, dataset: Dataset, path: Path) -> bool:
    """Paint samples of the first seed's sets in the first fold; tell whether there were any."""
    fold = matrix.uses(dataset)[0].fold
    shown: dict[str, Training] = {}  # one training of those that share a set
    for training in matrix.trainings():
        first = (training.dataset, training.seed, training.fold) == (dataset, matrix.seeds[0], fold)
        if first and training.set_name is not None and training.part.exists():
            shown.setdefault(training.set_name, training)
    plan = Plan.read(dataset, matrix.plans, matrix.configuration)
    cases = training_cases(raw_cases(dataset), dataset, plan, fold) if shown else []
    columns = [[("real", case) for case in islice((one for one in cases if one.has_tumour()), SAMPLES)]]
    lines = _common_lines(list(shown.values()))
    for training in shown.values():
        entries = _chosen(training.part, lines)
        if not training.part.stale(plan, entries):
            columns.append([(training.arm.sets_called, training.part.case(entry, cases[0], plan)) for entry in entries])
    columns = [column for column in columns if column]
    if len(columns) < 2:
        return False
    rows = []
    for sample in range(SAMPLES):
        pairs = [_pair(name, case.open(), sample == 0) for name, case in _nth(columns, sample)]
        rows += zip(*pairs, strict=True)
    write_panels(rows, path)
    return True


def _nth(columns: Sequence[Sequence[tuple[str, Case]]], index: int) -> list[tuple[str, Case]]:
    return [column[min(index, len(column) - 1)] for column in columns]


def _common_lines(trainings: Sequence[Training]) -> list[int | None]:
    """Return the lines that all sets have, in order."""
    each = [[entry.line for entry in training.part.manifest().accepted] for training in trainings]
    return [line for line in each[0] if all(line in others for others in each)] if each else []


def _chosen(part: SetPart, lines: Sequence[int | None]) -> list[CaseEntry]:
    """Return the cases of the first lines that all have, or the first cases."""
    accepted = part.manifest().accepted
    wanted = lines[:SAMPLES] if len(lines) >= SAMPLES else [entry.line for entry in accepted[:SAMPLES]]
    return [entry for entry in accepted if entry.line in wanted][:SAMPLES]


def _pair(name: str, case: OpenCase, titled: bool) -> tuple[Panel, Panel]:
    """Return the slice with most tumour, without and with its classes outlined."""
    tumour, organ, image = case.tumour(), case.organ(), case.image()[0]
    slice_ = fullest_slice(tumour > 0)
    low, high = (float(value) for value in np.quantile(image[organ | (tumour > 0)], WINDOW))
    upright = case.grid.upright
    picture = upright(np.where(organ[slice_] | (tumour[slice_] > 0), image[slice_], low))
    plain = Panel(picture, (low, high), None, name if titled else "")
    return plain, replace(plain, outline=upright(tumour[slice_]), title="")
