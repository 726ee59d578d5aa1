"""Tables of figures as files, which an interrupted benchmark reads again. In: rows. Out: a CSV file with a head."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nnunetv2_tf.io.files import whole_file


def read_rows(path: Path) -> list[tuple[str, ...]]:
    """Return the rows below the head; none where there is no file yet."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def write_rows(head: Sequence[str], rows: Iterable[Sequence[Any]], path: Path) -> None:
    """Write a table, whole or not at all."""
    with whole_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
