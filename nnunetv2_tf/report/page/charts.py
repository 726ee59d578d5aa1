"""Small charts of a page. In: values of made and of real tumours. Out: SVG, which takes its colours from the page."""

from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from nnunetv2_tf.report.page.facts import Marginal

WIDTH, HEIGHT, LEFT, ROW = 420, 92, 44, 26  # of a chart; where dots begin; height of a row
RADIUS = 4


def strip_chart(marginal: Marginal) -> str:
    """Return dots for made and for real tumours along one axis, with their medians."""
    made, real = (_shown(values, marginal.logarithmic) for values in (marginal.made, marginal.real))
    both = [*made, *real]
    if not both:
        return ""
    low, high = (min(both), max(both)) if marginal.logarithmic else (0.0, 1.0)
    scale = np.log if marginal.logarithmic else (lambda value: value)
    span = max(float(scale(high) - scale(low)), 1e-6)

    def place(value: float) -> float:
        return LEFT + RADIUS + float(scale(value) - scale(low)) / span * (WIDTH - LEFT - 4 * RADIUS)

    rows = [*_row("made", made, place, 0), *_row("real", real, place, 1)]
    ends = [
        f'<text x="{place(value):.0f}" y="{HEIGHT - 6}" class="end{at}">{value:.3g}</text>'
        for at, value in (("first", low), ("last", high))
    ]
    title = f"{escape(marginal.title)}, {escape(marginal.unit)}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}"><text x="0" y="12">{title}</text>'
        f"{''.join(rows)}{''.join(ends)}</svg>"
    )


def _shown(values: Sequence[float], logarithmic: bool) -> list[float]:
    return [value for value in values if np.isfinite(value) and (value > 0 or not logarithmic)]


def _row(name: str, finite: Sequence[float], place: Callable[[float], float], number: int) -> list[str]:
    y = 28 + number * ROW
    dots = [f'<circle cx="{place(value):.1f}" cy="{y}" r="{RADIUS}" class="{name}"/>' for value in finite]
    middle = [f'<line x1="{place(m):.1f}" x2="{place(m):.1f}" y1="{y - 10}" y2="{y + 10}" class="{name}"/>'
              for m in ([float(np.median(finite))] if finite else [])]  # fmt: skip
    return [f'<text x="0" y="{y + 4}">{name}</text>', *dots, *middle]
