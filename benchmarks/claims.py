"""How often the benchmark's intervals hold the truth, and how often it claims what is not there: simulated.

    python -m benchmarks.claims [-trials 1000]

Every design is drawn with the same scatter: cases differ (0.2), a method helps some cases more than others (0.05),
every training is lucky or not (0.02), a method helps more with some training cases than with others (DRAWS), and the
rest is noise (0.05). Three arms are compared with a baseline, as `nnUNetv2_tf_benchmark collect` compares them.
Coverage: of a true difference of 0.03. False claims: trials in which any of three arms that do not differ is called
better or worse.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.comparisons import Scores, findings
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.statistics import sentence

CASES, HELPED, TRAINING, NOISE = 0.2, 0.05, 0.02, 0.05
DRAWS = (0.0, 0.02)
GAIN = 0.03
ARMS: tuple[str, ...] = ("nnunet", "first", "second", "third")


@dataclass(frozen=True)
class Design:
    """Which cases validate in which split, at how many numbers of labelled cases."""

    name: str
    validates: Callable[[np.random.Generator], np.ndarray]  # (splits, cases) bool
    seeds: int
    points: int = 1  # numbers of labelled cases


def _folds(number: int, cases: int, draws: int = 1) -> Callable[[np.random.Generator], np.ndarray]:
    """Each case validates in one fold, which is trained on `draws` draws of labelled cases."""
    return lambda _: np.repeat(np.arange(number)[:, None] == np.arange(cases) % number, draws, axis=0)


def _hold_outs(number: int, cases: int, validate: int) -> Callable[[np.random.Generator], np.ndarray]:
    """So many cases are drawn to validate, again and again."""
    return lambda rng: np.stack([rng.permutation(cases) < validate for _ in range(number)])


DESIGNS = (
    Design("5 folds of 30 cases, 3 seeds", _folds(5, 30), 3),
    Design("3 folds of 18 cases, 2 seeds", _folds(3, 18), 2),
    Design("5 hold-outs, 24 of 30 cases, 1 seed", _hold_outs(5, 30, 24), 1),
    Design("5 hold-outs, 24 of 30 cases, 3 seeds", _hold_outs(5, 30, 24), 3),
    Design("10 hold-outs, 10 of 30 cases, 1 seed", _hold_outs(10, 30, 10), 1),
    Design("curve: 3 numbers, 3 folds of 18, 3 draws, 1 seed", _folds(3, 18, 3), 1, 3),
    Design("curve: 3 numbers, 1 fold of 12, 3 draws, 2 seeds", _folds(1, 12, 3), 2, 3),
)


def draw_scores(design: Design, gain: float, of_draws: float, rng: np.random.Generator) -> list[Scores]:
    """Draw the Dice of all trainings, for every number of labelled cases; arms differ from the baseline by `gain`."""
    validates = design.validates(rng)
    validates = validates[:, validates.any(axis=0)]
    splits, cases = validates.shape
    level = rng.normal(0.6, CASES, cases)
    helped = {arm: rng.normal(0, HELPED, cases) for arm in ARMS}
    points = []
    for number in range(design.points):
        values = {}
        for arm in ARMS:
            better = gain + helped[arm] + rng.normal(0, of_draws, (splits, 1)) if arm != ARMS[0] else 0.0
            luck = rng.normal(0, TRAINING, (design.seeds, splits, 1))
            noise = rng.normal(0, NOISE, (design.seeds, splits, cases))
            values[arm] = np.where(validates, level + better + luck + noise, np.nan)[..., None]
        seeds = {arm: tuple(range(design.seeds)) for arm in ARMS}
        names = tuple(map(str, range(cases)))  # no regions: their mean is all that claims are about
        points.append(Scores("Simulated", number, "Dice", (), tuple(range(splits)), names, seeds, values))
    return points


def simulate(design: Design, of_draws: float, trials: int) -> tuple[float, float]:
    """Return the share of intervals that hold the truth, and the share of trials with a false claim."""
    arms = (Arm(ARMS[0]), *(Arm(name, "carvemix", num_cases=index + 1) for index, name in enumerate(ARMS[1:])))
    matrix = Matrix((997,), "3d_fullres", "nnUNetPlans", (0,), (0,), 1, ARMS[0], arms)
    held, intervals, false = 0, 0, 0
    for trial in tqdm(range(trials), desc=design.name):
        rng = np.random.default_rng(trial)
        for finding in findings(draw_scores(design, GAIN, of_draws, rng), matrix, rng):
            held += finding.comparison.difference.low <= GAIN <= finding.comparison.difference.high
            intervals += 1
        nothing = findings(draw_scores(design, 0.0, of_draws, rng), matrix, rng)
        told = [sentence(each.arm, ARMS[0], each.comparison, each.trainings) for each in nothing]
        false += any("is no evidence that" not in text for text in told)
    return held / intervals, false / trials


def main() -> None:
    """Print a line per design."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-trials", type=int, default=1000, help="(default: %(default)s)")
    trials = parser.parse_args().trials
    print(f"{trials} trials\n| design | draws scatter by | coverage | false claims |\n| --- | --- | --- | --- |")
    for design in DESIGNS:
        for of_draws in DRAWS:
            coverage, false = simulate(design, of_draws, trials)
            print(f"| {design.name} | {of_draws:g} | {coverage:.3f} | {false:.3f} |", flush=True)


if __name__ == "__main__":
    main()
