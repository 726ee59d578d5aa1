"""nnUNetv2_tf_report --score. In: a reader's answers, and the key. Out: how well real and made were told apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest, norm

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.arguments import parse_fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.report.page.reader_study import study_path
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.training.auc import auc

CURE = "save the answers again from the page of the study."


@dataclass(frozen=True)
class Score:
    """How a reader did."""

    made_found: tuple[int, int]  # made ones that were called made, of how many
    real_found: tuple[int, int]

    @property
    def told(self) -> tuple[int, int]:
        """How many were called what they are, of how many."""
        found, all_ = (sum(pair) for pair in zip(self.made_found, self.real_found, strict=True))
        return found, all_

    @property
    def d_prime(self) -> float:
        """How far apart real and made are to the reader, in standard deviations; 0: not told apart.

        Half an answer is added to each cell, so that it is finite where all are right.
        """
        hits, false_alarms = (
            (found + 0.5) / (all_ + 1)
            for found, all_ in (self.made_found, (self.real_found[1] - self.real_found[0], self.real_found[1]))
        )
        return float(norm.ppf(hits) - norm.ppf(false_alarms))


def score_answers(path: Path) -> None:
    """Print how well a reader told real from made."""
    answers = read_json(path, CURE)
    if not isinstance(answers, dict) or not {"study", "dataset", "set", "fold", "answers"} <= set(answers):
        raise UserError(f"{path} holds no answers of a reader study; {CURE}")
    part = SetPart(Dataset.find(str(answers["dataset"])), str(answers["set"]), parse_fold(str(answers["fold"])))
    key_path = study_path(part.folder)
    key = read_json(key_path, "write the study anew with --reader_study.")
    if key["study"] != answers["study"]:
        raise UserError(f"{path} answers another study than the one that {key_path} is the key to; {CURE}")
    given, items = answers["answers"], key["items"]
    missing = [name for name in items if name not in given]
    if missing:
        raise UserError(f"{path} leaves {len(missing)} of {len(items)} tumours open; answer all, and {CURE}")
    found = score(given, items)
    print(f"Reader {answers.get('reader') or 'unnamed'}, set {part.set_name}, fold {part.fold}:")
    for line in lines_of(found, given, items):
        print(f"  {line}")


def score(given: Mapping[str, Mapping[str, Any]], items: Mapping[str, Mapping[str, Any]]) -> Score:
    """Return how many were called what they are."""
    right = {kind: [given[name]["answer"] == kind for name, item in items.items() if item["real"] is (kind == "real")]
             for kind in ("made", "real")}  # fmt: skip
    return Score(*((sum(right[kind]), len(right[kind])) for kind in ("made", "real")))


def lines_of(found: Score, given: Mapping[str, Any], items: Mapping[str, Any]) -> list[str]:
    """Return what is printed of it."""
    told, number = found.told
    test = binomtest(told, number, 0.5)
    interval = test.proportion_ci(method="exact")
    sure = {kind: [_how_made(given[name]) for name, item in items.items() if item["real"] is (kind == "real")]
            for kind in ("made", "real")}  # fmt: skip
    return [
        f"told apart: {told} of {number}, {told / number:.2f} ({interval.low:.2f} to {interval.high:.2f}, exact "
        f"binomial; 0.50 is guessing, p = {test.pvalue:.3f})",
        f"sensitivity: {found.made_found[0]} of {found.made_found[1]} made ones called made",
        f"specificity: {found.real_found[0]} of {found.real_found[1]} real ones called real",
        f"d': {found.d_prime:.2f} (0: not told apart)",
        f"AUC of how sure: {auc(sure['made'], sure['real']):.2f}",
    ]


def _how_made(answer: Mapping[str, Any]) -> float:
    """Return from -5, surely real, to 5, surely made."""
    sure = float(answer.get("confidence", 1))
    return sure if answer["answer"] == "made" else -sure
