"""benchmark.csv. In: rows. Out: the file, a line per training, case and region, and rows read from it again."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from nnunetv2_tf.benchmark.matrix import Matrix, Training
from nnunetv2_tf.benchmark.scores import Row, Score
from nnunetv2_tf.dataset.code_version import CodeVersion
from nnunetv2_tf.dataset.label_roles import read_regions
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import whole_file

IDENTITY = ("dataset", "fold", "train_cases", "draw", "seed", "arm", "case")
LISTS = ("lesions_mm3", "lesions_found")
NUMBERS = tuple(entry.name for entry in fields(Score) if entry.name not in ("region", *LISTS))
ORIGIN = ("trainer", "code", "matrix")
WHOLE = ("lesions_missed", "lesions_false")
CURE = "give the benchmark.csv that collect wrote."


def write_scores(rows: Sequence[Row], path: Path, scored_by: CodeVersion) -> None:
    """Write benchmark.csv."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*IDENTITY, "region", *NUMBERS, *LISTS, *ORIGIN, "scored_by"])
        for row in rows:
            values, score = asdict(row), asdict(row.score)
            joined = [
                " ".join(f"{size:.1f}" for size in score["lesions_mm3"]),
                " ".join(str(int(hit)) for hit in score["lesions_found"]),
            ]
            shown = [_short(score[name]) for name in NUMBERS]
            origin = [*(values[key] for key in ORIGIN), str(scored_by)]
            writer.writerow([*(values[key] for key in IDENTITY), row.score.region, *shown, *joined, *origin])


def kept_rows(path: Path, trainings: Sequence[Training]) -> Mapping[str, Sequence[Row]]:
    """Read the rows of these trainings from a benchmark.csv, by the training's key; rows of other matrices are left.

    A training whose rows are not those of its fold's validation cases, each with all regions, is refused.
    """
    keys = {
        (each.dataset.name, each.fold, each.use.train_cases, each.use.draw, each.seed, each.arm.name): each
        for each in trainings
    }
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in read_rows(path):
        training = keys.get((row.dataset, row.fold, row.train_cases, row.draw, row.seed, row.arm))
        if row.matrix == trainings[0].matrix.hash and training is not None:
            rows[training.key].append(row)
    if not rows:
        raise UserError(f"{path} holds no scores of this matrix ({trainings[0].matrix.hash}); {CURE}")
    for training in trainings:
        if training.key in rows:
            _check_whole(training, rows[training.key], path)
    return rows


def matrix_rows(rows: Iterable[Row], matrix: Matrix) -> list[Row]:
    """Return the rows in the order of the matrix."""
    arms = [arm.name for arm in matrix.arms]
    return sorted(rows, key=lambda row: (row.dataset, row.seed, arms.index(row.arm), row.fold, row.case))


def read_rows(path: Path) -> list[Row]:
    """Read a table of scores, whoever it is of."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_row(line) for line in csv.DictReader(file)]
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {CURE}") from None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no table of scores ({error}); {CURE}") from None


def _row(line: Mapping[str, str]) -> Row:
    # older files lack what is by BraTS 2026, and where both sides are empty it is nothing
    known = [name for name in NUMBERS if not name.endswith("_2026") or line.get(name)]
    numbers: dict[str, Any] = {name: int(line[name]) if name in WHOLE else float(line[name]) for name in known}
    sizes = tuple(map(float, line["lesions_mm3"].split()))
    found = tuple(hit == "1" for hit in line["lesions_found"].split())
    score = Score(line["region"], **numbers | {"lesions_mm3": sizes, "lesions_found": found})
    train_cases, draw = (int(line[key]) if line.get(key) else None for key in ("train_cases", "draw"))
    identity = (line["dataset"], int(line["fold"]), int(line["seed"]), line["arm"], line["case"])
    return Row(*identity, score, line["trainer"], line["code"], line["matrix"], train_cases, draw)


def _check_whole(training: Training, rows: Sequence[Row], path: Path) -> None:
    validating = training.split.val
    wanted = sorted((case, region) for case in validating for region in read_regions(training.dataset))
    if sorted((row.case, row.score.region) for row in rows) != wanted:
        raise UserError(
            f"{path}: the scores of {training.key} are not those of its fold's {len(validating)} validation cases; "
            "take its lines out, and it is trained again."
        )


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
