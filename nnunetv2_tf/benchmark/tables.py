"""Tables in Markdown, LaTeX and HTML. In: cells as text. Out: text."""

import html
from dataclasses import dataclass

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "≥": r"$\ge$", "<": r"$<$", ">": r"$>$",
    "³": r"$^3$",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Cells as text, with a title above and notes below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Return the table in Markdown, with a heading above and the notes as paragraphs below."""
        rows = [self.header, ("---",) * len(self.header), *self.rows]
        lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return "\n".join([f"### {self.title}", "", *lines, notes])

    def latex(self) -> str:
        """Return the table in LaTeX, as a table environment that needs no packages."""
        columns = "l" + "r" * (len(self.header) - 1)
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in (self.header, *self.rows)]
        body = "\n".join([lines[0], r"\hline", *lines[1:]])
        caption = " ".join(map(_latex, (f"{self.title}.", *self.notes)))
        return (
            f"\\begin{{table}}\n\\centering\n\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}\n"
            f"\\caption{{{caption}}}\n\\end{{table}}\n"
        )

    def html(self) -> str:
        """Return the table in HTML, with a heading above and the notes as paragraphs below."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.header)
        lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.rows]
        body = "\n".join(f"<tr>{line}</tr>" for line in lines)
        notes = "".join(f"<p>{html.escape(note)}</p>\n" for note in self.notes)
        return f"<h2>{html.escape(self.title)}</h2>\n<table>\n<tr>{head}</tr>\n{body}\n</table>\n{notes}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
