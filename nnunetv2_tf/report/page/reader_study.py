"""A reader study: real and made tumours, blinded. In: a part of a set. Out: reader_study.html, and the key beside it.

The key is in a file of its own: the page knows neither which are real nor in what order they were drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import whole_file, write_json
from nnunetv2_tf.quality.examples import Example, matched_by_volume
from nnunetv2_tf.report.measured_examples import made_examples, real_examples
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.report.page import html
from nnunetv2_tf.report.page.stages import Stage, planes_of, whole_stage
from nnunetv2_tf.sets.store import parts_of

PAGE, KEY = "reader_study.html", "reader_study_key.json"
FEWEST = 4  # tumours of either kind
STUDY, ORDER = 21, 22  # streams of random numbers
LOOK = (0.01, 0.99)  # quantiles of what is in view that are shown black and white
HOW = (
    "Each picture shows a tumour in its surroundings, real or made. Move the slider, look, and say what you think and "
    "how sure you are. Nothing is sent anywhere: answers stay in this browser until you save them as a file."
)
BAR = (
    '<label>reader <input id="reader" type="text" autocomplete="off"></label><output id="progress"></output>'
    '<button id="save" type="button">save answers</button>'
)


@dataclass(frozen=True)
class StudyRequest:
    """What nnUNetv2_tf_report --reader_study is asked for."""

    dataset: str
    set_name: str
    folds: tuple[Fold, ...] | None
    number: int  # of tumours, half of them real
    whole: bool  # brains, else what is near tumours
    seed: int
    num_processes: int


@dataclass(frozen=True)
class Item:
    """A tumour to be judged."""

    name: str  # that tells nothing
    real: bool
    case: str
    stage: Stage


def write_studies(request: StudyRequest) -> None:
    """Write a page and a key for each part of a set."""
    dataset = Dataset.find(request.dataset)
    for part in parts_of(dataset, request.set_name, request.folds):
        measured = MeasuredSet.of(dataset, part.set_name, part.fold, request.num_processes, "cpu")
        items = _items(measured, request)
        study = digest([dataset.name, part.set_name, str(part.fold), request.seed, [item.name for item in items]])[:16]
        key = {item.name: {"real": item.real, "case": item.case} for item in items}
        text = _page(items, study, measured)
        write_json(part.folder / KEY, {"study": study, "whole": request.whole, "seed": request.seed, "items": key})
        with whole_file(part.folder / PAGE) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(f"{part.folder / PAGE} ({len(items)} tumours; the key is in {KEY}, keep it from readers)")


def _items(measured: MeasuredSet, request: StudyRequest) -> list[Item]:
    """Draw as many real as made tumours, of similar volumes, and shuffle them."""
    rng = np.random.default_rng([request.seed, STUDY])
    half = request.number // 2
    made = list(islice(measured.made(), 4 * half))
    real = real_examples(measured.real, whole=False)
    alike = matched_by_volume(real, made_examples(made, measured.real, whole=False))
    several = min(half, len(alike), len(real))
    if several < FEWEST:
        raise UserError(
            f"Set {measured.part.set_name}, fold {measured.part.fold}: {len(alike)} made tumours are as large as one "
            f"of the {len(real)} real ones, and a study needs {FEWEST} of either; make more cases."
        )
    chosen = [group[int(index)] for group in (real, alike) for index in rng.permutation(len(group))[:several]]
    shown = list(_whole(measured, chosen, made)) if request.whole else [_near(one) for one in chosen]
    order = np.random.default_rng([request.seed, ORDER]).permutation(len(chosen))
    names = [digest([request.seed, STUDY, int(place)])[:8] for place in range(len(chosen))]
    return [
        Item(names[place], chosen[index].real, chosen[index].name, shown[index]) for place, index in enumerate(order)
    ]  # fmt: skip


def _near(one: Example) -> Stage:
    """Return what is near a tumour, and nothing else."""
    seen = one.image[0][one.organ]
    low, high = np.quantile(seen, LOOK)
    grey = np.where(one.organ, ((one.image[0] - low) / max(high - low, 1e-6)).clip(0, 1), 0)
    planes = planes_of(one.tumour)
    _, tall, wide = one.spacing
    shape = (grey.shape[1] * tall, grey.shape[2] * wide)
    return Stage("tumour", grey[planes], np.zeros((len(planes), *grey.shape[1:]), np.int16), shape)


def _whole(measured: MeasuredSet, chosen: Sequence[Example], made: Sequence) -> Iterator[Stage]:
    """Yield whole brains."""
    cases = {one.case.identifier: (one.case, one.tumour) for one in made}
    for one in chosen:
        case, tumour = cases[one.name] if not one.real else (measured.real[one.name].open(), None)
        yield whole_stage("brain", case, case.tumour() if tumour is None else tumour)


def _page(items: Sequence[Item], study: str, measured: MeasuredSet) -> str:
    where = {"study": study, "dataset": measured.part.dataset.name, "set": measured.part.set_name,
             "fold": str(measured.part.fold)}  # fmt: skip
    told = "".join(f' data-{name}="{value}"' for name, value in where.items())
    asked = [html.question(item.name, number, item.stage) for number, item in enumerate(items, start=1)]
    body = [f'<div id="study"{told}></div>', html.paragraph(HOW), *asked]
    return html.page("Real or made?", BAR, body, ("page.js", "study.js"))


def study_path(folder: Path) -> Path:
    """Return where the key of a part's study is."""
    return folder / KEY
