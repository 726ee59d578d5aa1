"""A page that needs nothing but itself. In: tables, charts, cases. Out: HTML."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from nnunetv2_tf.report.page.encoding import image_strip, label_strip
from nnunetv2_tf.report.page.facts import Rows
from nnunetv2_tf.report.page.stages import ShownCase, Stage

ASSETS = Path(__file__).parent / "assets"
NOTHING_FROM_OUTSIDE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title: str, bar: str, body: Iterable[str], scripts: Sequence[str] = ("page.js",)) -> str:
    """Return a whole page.

    Args:
        title: also its heading
        bar: what stays in view while one scrolls
        body: sections
        scripts: files of the assets folder
    """
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    code = "".join(f"<script>{(ASSETS / name).read_text(encoding='utf-8')}</script>\n" for name in scripts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{NOTHING_FROM_OUTSIDE}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">\n'
        f'<style>{style}</style></head>\n<body class="labels">\n<header><h1>{escape(title)}</h1></header>\n<main>\n'
        f'<div class="bar">{bar}<button id="theme" type="button">light or dark <kbd>d</kbd></button></div>\n'
        f"{''.join(body)}</main>\n{code}</body></html>\n"
    )


def section(title: str, *content: str) -> str:
    """Return a section, or nothing where it has no content."""
    inside = "\n".join(part for part in content if part)
    return f"<section><h2>{escape(title)}</h2>\n{inside}\n</section>\n" if inside else ""


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escape(text)}</p>"


def table(rows: Rows) -> str:
    """Return a table; nothing where it has no rows."""
    if not rows.rows:
        return ""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows.head) if any(rows.head) else ""
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows.rows)
    return f'<div class="wide"><table>{f"<tr>{head}</tr>" if head else ""}{lines}</table></div>'


def case(shown: ShownCase) -> str:
    """Return a case with its stages and one slider for all."""
    facts = " · ".join(f"{name}: {value}" for name, value in shown.facts.items())
    return _article(shown.name, shown.name, paragraph(facts, "facts"), shown.stages, "")


def question(name: str, number: int, shown: Stage) -> str:
    """Return a tumour that is to be called real or made."""
    choices = "".join(
        f'<label><input type="radio" name="{name}" value="{value}"> {value}</label>' for value in ("real", "made")
    )
    sure = "".join(f'<option value="{degree}">{degree}</option>' for degree in range(1, 6))
    asked = f"<fieldset>{choices}<label>how sure, 1 to 5 <select>{sure}</select></label></fieldset>"
    return _article(name, f"Tumour {number}", "", [shown], asked)


def _article(name: str, title: str, before: str, stages: Sequence[Stage], after: str) -> str:
    last = max((len(one.slices) for one in stages), default=1) - 1
    slider = (
        f'<label class="slider">slice <input type="range" min="0" max="{last}" value="{last // 2}" '
        f'aria-label="slice of {escape(title)}"><output></output></label>'
    )
    return (
        f'<article class="case" id="{escape(name)}" tabindex="0"><h3>{escape(title)}</h3>{before}'
        f'<div class="stages">{"".join(map(stage, stages))}</div>{slider}{after}</article>\n'
    )


def stage(shown: Stage) -> str:
    """Return one volume as a figure: its strip of slices, and the labels upon it."""
    tall, wide = shown.shape_mm
    labels = f'<img class="labels" alt="" src="{label_strip(shown)}">' if shown.labels.any() else ""
    return (
        f'<figure><div class="frame" style="aspect-ratio:{wide:.1f}/{tall:.1f}">'
        f'<img alt="{escape(shown.title)}" src="{image_strip(shown)}">{labels}</div>'
        f"<figcaption>{escape(shown.title)}</figcaption></figure>"
    )
