"""nnUNetv2_tf_report. In: a set. Out: report.html in each part: what made it, what it looks like, what is left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from nnunetv2_tf.dataset.cases import channel_index, channel_names
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import whole_file
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.report.page import html
from nnunetv2_tf.report.page.charts import strip_chart
from nnunetv2_tf.report.page.facts import Names, Rows, leak_statement, marginals, rejected, what_made_it, yardsticks
from nnunetv2_tf.report.page.stages import Gallery
from nnunetv2_tf.sets.store import parts_of

NAME, PUBLIC = "report.html", "report_without_patients.html"
LARGEST = 19_000_000  # bytes of a page; further cases are left out
LISTED = 100  # rejected lines in the table
BANNER = (
    "This page shows scans of patients and names them by their cases. Handle it as you handle these scans; --no_real "
    "makes one without them."
)
BAR = '<button id="labels" type="button" aria-pressed="true">labels <kbd>l</kbd></button>'
KEYS = "Keys: l labels, n and p next and previous case, ← and → slices, d light or dark."


@dataclass(frozen=True)
class PageRequest:
    """What nnUNetv2_tf_report is asked for, without --figures."""

    dataset: str
    set_name: str
    folds: tuple[Fold, ...] | None
    with_real: bool
    num_shown: int
    compare: tuple[str, ...]  # other sets
    channel: str | None  # that is shown; None: the first
    num_processes: int


def write_pages(request: PageRequest) -> None:
    """Write a page for each part of a set."""
    check_compared(request.compare, request.set_name)
    dataset = Dataset.find(request.dataset)
    channel_index(dataset, request.channel)
    for part in parts_of(dataset, request.set_name, request.folds):
        opened = [
            MeasuredSet.of(dataset, name, part.fold, request.num_processes, "cpu")
            for name in (request.set_name, *request.compare)
        ]
        text, left_out = _page(opened[0], opened[1:], request)
        path = part.folder / (NAME if request.with_real else PUBLIC)
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        more = f"; {left_out} more cases would have made it too large" if left_out else ""
        print(f"{path} ({len(text) / 1e6:.1f} MB{more})")


def _page(measured: MeasuredSet, others: Sequence[MeasuredSet], request: PageRequest) -> tuple[str, int]:
    """Return the page, and how many cases found no room."""
    part = measured.part
    sidecars = [part.sidecar(entry.case) for entry in part.manifest().accepted]
    names = Names.of(measured, request.with_real)
    reasons, lines = rejected(measured, names)
    figures = yardsticks(measured)
    body = [
        html.paragraph(BANNER, "banner") if request.with_real else "",
        html.section("What made it", html.table(what_made_it(measured))),
        html.section("Validation stays clean", html.paragraph(leak_statement(measured, sidecars, names))),
        html.section(
            "Yardsticks",
            html.table(figures)
            if figures
            else html.paragraph(
                f"Not measured. nnUNetv2_tf_report -d {part.dataset.number} -s {part.set_name} -f {part.fold} --figures"
            ),
        ),
        html.section(
            "Volumes and places, beside the fold's training cases",
            f'<div class="charts">{"".join(strip_chart(one) for one in marginals(measured))}</div>',
        ),
    ]
    hidden = "" if request.with_real else _shows_patients([measured, *others])
    cases, left_out = ([], 0) if hidden else _cases(measured, others, request)
    channel = request.channel or channel_names(part.dataset)[0]
    told = f"The first {len(cases)} of {len(sidecars)}, in channel {channel}. {KEYS}"
    body.append(html.section("Cases", *((html.paragraph(told), *cases) if cases else (html.paragraph(hidden),))))
    counts = Rows(("how often", "reason"), [(str(number), reason) for reason, number in reasons])
    shown = Rows(lines.head, lines.rows[:LISTED])
    more = f"And {len(lines.rows) - LISTED} more, in quality.csv." if len(lines.rows) > LISTED else ""
    body.append(html.section("Left out", html.table(counts), html.table(shown), html.paragraph(more) if more else ""))
    title = f"Set {part.set_name} of {part.dataset.name}, fold {part.fold}"
    return html.page(title, BAR, body), left_out


def _cases(
    measured: MeasuredSet, others: Sequence[MeasuredSet], request: PageRequest
) -> tuple[list[str], int]:  # fmt: skip
    """Return the first cases, as many as a page has room for, and how many found none."""
    from tqdm import tqdm

    number = min(request.num_shown, len(measured.part.manifest().accepted))
    dataset = measured.part.dataset
    gallery = Gallery(measured, request.with_real, others, channel_index(dataset, request.channel))
    found: list[str] = []
    for shown in tqdm(gallery.cases(number), f"Fold {measured.part.fold}", total=number, unit="case"):
        text = html.case(shown)
        if sum(map(len, found)) + len(text) > LARGEST:
            return found, number - len(found)
        found.append(text)
    return found, 0


def _shows_patients(sets: Sequence[MeasuredSet]) -> str:
    """Return why cases of these sets are not shown without patients; nothing where they may be."""
    for each in sets:
        name, config = each.part.set_name, each.config
        if config.healthy is None:
            return f"The hosts of set {name} are patients, so --no_real shows no cases."
        if "copy" in find_method(config.method, config.preset).checked.exempt:
            return f"Tumours of set {name} are cut out of patients' scans, so --no_real shows no cases."
    return ""


def check_compared(names: Sequence[str], set_name: str) -> None:
    """Raise when a set would be compared with itself, or twice with another."""
    if len({set_name, *names}) < len(names) + 1:
        raise UserError(f"--compare names sets other than {set_name}, each once.")
