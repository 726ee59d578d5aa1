"""quality.csv of a part: one row for each line of the recipe, taken or left out, with what was measured and why."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nnunetv2_tf.io.files import read_json, whole_file
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.case_maker import case_name
from nnunetv2_tf.tumours.recipe import RecipeLine

FIRST = ("case", "line", "accepted", "reason", "host", "donors")
OBJECTIONS = "objections"


def write_quality(part: SetPart, lines: Sequence[RecipeLine]) -> Path:
    """Write the table; return its path."""
    path, rows = part.folder / "quality.csv", list(_rows(part, lines))
    columns = dict.fromkeys(FIRST)
    for row in rows:
        columns |= dict.fromkeys(row)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    if not path.exists() or path.read_text(encoding="utf-8") != table.getvalue():
        with whole_file(path) as temporary:
            temporary.write_text(table.getvalue(), encoding="utf-8")
    return path


def _rows(part: SetPart, lines: Sequence[RecipeLine]) -> Iterator[dict[str, Any]]:
    accepted = {entry.case for entry in part.manifest().accepted}
    for line in lines:
        case = case_name(part, line.index)
        skipped = part.skipped_path(case)
        if skipped.exists():
            note = read_json(skipped, "delete it.")
            reason, figures = note["reason"], note.get("quality", {})
        elif case in accepted:
            reason, figures = "", part.sidecar(case).controls.get("quality", {})
        else:
            continue
        objections = {OBJECTIONS: "; ".join(figures[OBJECTIONS])} if figures.get(OBJECTIONS) else {}
        base = (case, line.index, int(case in accepted), reason, line.host, " ".join(line.donors))
        yield {**dict(zip(FIRST, base, strict=True)), **figures, OBJECTIONS: "", **objections}
