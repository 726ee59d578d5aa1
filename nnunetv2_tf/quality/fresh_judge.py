"""Told apart by fresh judges. In: examples. Out: (R, M), the share of judges that found the made one of a pair."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from nnunetv2_tf.quality.examples import Example
from nnunetv2_tf.training.judge import JudgeConfig, Shown, judged

JUDGES = 5
USUAL = JudgeConfig()
UNSEEN = 1 / 2  # of the people are kept from a judge, and it is asked about tumours all of whose people are


def shown_to_judge(example: Example) -> Shown:
    """Return what a judge sees of an example."""
    return Shown(example.image, example.tumour > 0, example.organ)


def judged_pairs(
    examples: Sequence[Example], seed: int, judges: int = JUDGES, config: JudgeConfig = USUAL
) -> np.ndarray:
    """Return (R, M): the share of judges that found a made example to be made rather than a real one; nan: not asked.

    A judge learns from examples none of whose people are kept from it, and is asked about those all of whose people
    are: had it been taught a host by the tumours of other donors, it would know the host again, and so what is made.
    """
    real = np.array([example.real for example in examples])
    shown = [shown_to_judge(example) for example in examples]
    patients = sorted({person for example in examples if example.real for person in example.groups})
    others = sorted({person for example in examples for person in example.groups} - set(patients))
    rows, columns = np.flatnonzero(real), np.flatnonzero(~real)
    answers = []
    for judge in tqdm(range(judges), "Fresh judges", unit="judge", disable=judges < 2):
        rng = np.random.default_rng([seed, judge])
        kept = {name for names in (patients, others) for name in _drawn(names, rng)}
        asked = np.array([kept >= set(example.groups) for example in examples])
        taught = np.array([not (kept & set(example.groups)) for example in examples])
        found = np.full((len(rows), len(columns)), np.nan)
        if min((taught & real).sum(), (taught & ~real).sum()) >= 2:
            seen, unseen = np.flatnonzero(taught), np.flatnonzero(asked)
            scores = np.full(len(examples), np.nan)
            scores[unseen] = judged(
                [shown[index] for index in seen],
                (~real[seen]).tolist(),
                [shown[index] for index in unseen],
                rng,
                config,
            )
            difference = scores[columns][None] - scores[rows][:, None]
            found = np.where(np.isnan(difference), np.nan, (np.sign(difference) + 1) / 2)
        answers.append(found)
    stacked = np.array(answers)
    known = ~np.isnan(stacked)
    total = known.sum(axis=0)
    return np.where(total > 0, np.where(known, stacked, 0).sum(axis=0) / np.maximum(total, 1), np.nan)


def _drawn(names: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Draw those that a judge does not learn from; at least one, where there is any."""
    number = min(len(names), max(1, round(len(names) * UNSEEN)))
    return rng.choice(np.array(names, dtype=object), number, replace=False).tolist()
