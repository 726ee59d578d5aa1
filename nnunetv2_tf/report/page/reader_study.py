"""A reader study: real and made tumours, blinded. In: a part of a set. Out: reader_study.html, and the key beside it.

The key is in a file of its own: the page knows neither which are real nor in what order they were drawn.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from nnunetv2_tf.dataset.cases import channel_index
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import whole_file, write_json
from nnunetv2_tf.quality.examples import Example
from nnunetv2_tf.report.measured_examples import made_examples, real_examples
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.report.page import html
from nnunetv2_tf.report.page.stages import Stage, planes_of, whole_stage
from nnunetv2_tf.sets.store import parts_of
from nnunetv2_tf.working_space.stored import OpenCase

PAGE, KEY = "reader_study.html", "reader_study_key.json"
FEWEST, MOST = 4, 2  # pairs of tumours; made cases that are looked through for each tumour asked for
ALIKE = 2.0  # factor by which volumes of a pair may differ
STUDY = 21  # stream of random numbers
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
    channel: str | None  # that is shown; None: the first
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
    channel_index(dataset, request.channel)
    for part in parts_of(dataset, request.set_name, request.folds):
        measured = MeasuredSet.of(dataset, part.set_name, part.fold, request.num_processes, "cpu")
        if request.whole and measured.config.healthy is None:
            raise UserError(
                f"The hosts of set {part.set_name} are patients, whose own tumours tell which brains are made; leave "
                "--whole out."
            )
        salt = secrets.token_hex(16)  # which nobody who has only the page can know, or who knows another key
        items = _items(measured, request, salt)
        study = digest([salt, [item.case for item in items]])[:16]
        key = {item.name: {"real": item.real, "case": item.case} for item in items}
        told = {
            "study": study,
            "salt": salt,
            "seed": request.seed,
            "whole": request.whole,
            "channel": request.channel,
            "items": key,
        }
        write_json(part.folder / KEY, told)
        with whole_file(part.folder / PAGE) as temporary:
            temporary.write_text(_page(items, study, measured), encoding="utf-8")
        print(f"{part.folder / PAGE} ({len(items)} tumours; the key is in {KEY}, keep it from readers)")


def _items(measured: MeasuredSet, request: StudyRequest, salt: str) -> list[Item]:
    """Draw pairs of a real and a made tumour, and shuffle all."""
    made = {one.case.identifier: one for one in islice(measured.made(), MOST * request.number)}
    real = real_examples(measured.real, whole=False)
    pairs = matched_pairs(real, made_examples(list(made.values()), measured.real, whole=False), request)
    if len(pairs) < FEWEST:
        raise UserError(
            f"Set {measured.part.set_name}, fold {measured.part.fold}: for {len(pairs)} made tumours there is a real "
            f"one of similar volume, of somebody else, and a study needs {FEWEST} pairs; make more cases."
        )
    chosen = [one for pair in pairs for one in pair]
    cases = [measured.real[one.name].open() if one.real else made[one.name].case for one in chosen]
    channel = channel_index(measured.part.dataset, request.channel)
    looks = [
        whole_stage("brain", case, made[one.name].tumour if not one.real else case.tumour(), channel)
        if request.whole else _near(one, case, channel)
        for one, case in zip(chosen, cases, strict=True)
    ]  # fmt: skip
    order = np.random.default_rng(int(salt, 16)).permutation(len(chosen)).tolist()
    framed = in_one_frame(looks)
    return [
        Item(digest([salt, place])[:8], chosen[index].real, chosen[index].name, framed[index])
        for place, index in enumerate(order)
    ]


def matched_pairs(
    real: Sequence[Example], made: Sequence[Example], request: StudyRequest
) -> list[tuple[Example, Example]]:  # fmt: skip
    """Return pairs of tumours of similar volume; nobody is in a study twice, not as a host or a donor either."""
    pairs, used = [], set[str]()
    for index in np.random.default_rng([request.seed, STUDY]).permutation(len(made)).tolist():
        one = made[index]
        free = [other for other in real if not {*other.groups} & {*used, *one.groups}]
        apart = [abs(float(np.log(other.volume_ml / one.volume_ml))) for other in free]
        if used & {*one.groups} or not apart or min(apart) > np.log(ALIKE):
            continue
        other = free[int(np.argmin(apart))]
        used |= {*one.groups, *other.groups}
        pairs.append((other, one))
        if 2 * len(pairs) >= request.number:
            break
    return pairs


def in_one_frame(stages: Sequence[Stage]) -> list[Stage]:
    """Return pictures with black around them, all of one size, which would tell else."""
    rows, columns = np.max([one.slices.shape[1:] for one in stages], axis=0).tolist()
    tall, wide = np.max([np.array(one.shape_mm) / one.slices.shape[1:] for one in stages], axis=0).tolist()
    framed = []
    for one in stages:
        more = [rows - one.slices.shape[1], columns - one.slices.shape[2]]
        around = [(0, 0), *((size // 2, size - size // 2) for size in more)]
        slices, labels = np.pad(one.slices, around), np.pad(one.labels, around)
        framed.append(Stage(one.title, slices, labels, (rows * tall, columns * wide)))
    return framed


def _near(one: Example, case: OpenCase, channel: int) -> Stage:
    """Return what is near a tumour, and nothing else."""
    image = one.image[channel]
    low, high = np.quantile(image[one.organ], LOOK)
    grey = np.where(one.organ, ((image - low) / max(high - low, 1e-6)).clip(0, 1), 0)
    slices = np.stack([case.grid.upright(grey[plane]) for plane in planes_of(one.tumour)])
    _, tall, wide = one.spacing
    shape = (slices.shape[1] * tall, slices.shape[2] * wide)
    return Stage("tumour", slices, np.zeros(slices.shape, np.int16), shape)


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
