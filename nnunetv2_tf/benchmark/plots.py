"""Plots of a benchmark. In: findings and scores. Out: forest plots of differences, scatter plots of cases, curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.comparisons import MEAN, Finding, Scores
from nnunetv2_tf.benchmark.statistics import Interval
from nnunetv2_tf.io.panels import written_figure


def forest_plot(findings: Sequence[Finding], path: Path) -> None:
    """Plot differences in Dice with their intervals, one line per arm and outcome."""
    shown = [finding for finding in findings if finding.metric == "Dice"]
    with written_figure(path, (1, 1), (7.0, 1.2 + 0.32 * len(shown))) as ((axes,),):
        axes.axvline(0, color="0.6", linewidth=1)
        for line, finding in enumerate(reversed(shown)):
            interval = finding.comparison.difference
            main = finding.outcome == MEAN
            colour = "black" if main else "0.45"
            axes.plot([interval.low, interval.high], [line, line], color=colour, linewidth=2.2 if main else 1.2)
            axes.plot(interval.estimate, line, "D" if main else "o", color=colour, markersize=6 if main else 4)
        axes.set_yticks(range(len(shown)), [f"{finding.arm}: {finding.outcome}" for finding in reversed(shown)])
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.set_xlabel("difference in Dice to the baseline, 95 % interval")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False)


def scatter_plot(scores: Scores, baseline: str, path: Path) -> None:
    """Plot the Dice of every case and region, as means over seeds: x is the baseline, y the arm."""
    arms = [arm for arm in scores.values if arm != baseline]
    with written_figure(path, (1, len(arms)), (4.2 * len(arms), 4.4)) as (places,):
        for axes, arm in zip(places, arms, strict=True):
            axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
            for index, region in enumerate(scores.regions):
                y, x = (scores.of(name, region).mean(axis=0) for name in (arm, baseline))
                better = int(np.sum(y > x))
                label = f"{region} (better in {better} of {len(y)})"
                axes.plot(x, y, "os^Dv"[index % 5], label=label, alpha=0.75, markersize=5)
            axes.set(xlabel=f"Dice of {baseline}", ylabel=f"Dice of {arm}", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
            axes.set_aspect("equal")
            axes.legend(frameon=False, fontsize=8, loc="upper left")


def dose_plot(
    scores: Scores, findings: Sequence[Finding], without: str | None, doses: Sequence[Mapping[int, Arm]], path: Path
) -> None:
    """Plot mean Dice over the number of synthetic cases, a dot for each seed, and differences with their intervals.

    Args:
        scores: Dice
        findings: of all arms
        without: the arm that has none, if there is one
        doses: arms that differ only in how many they have, by that number
        path: of the picture
    """
    compared = {one.arm: one for one in findings if (one.metric, one.outcome) == ("Dice", MEAN)}
    with written_figure(path, (1, 2), (10.0, 4.4)) as ((means, differences),):
        differences.axhline(0, color="0.6", linewidth=1)
        for index, arms in enumerate(doses):
            (made,) = {arm.sets_called + ("" if arm.percent is None else f", {arm.percent} %") for arm in arms.values()}
            style = {"color": f"C{index}", "marker": "os^Dv"[index % 5], "label": made}
            names = {number: arm.name for number, arm in arms.items()}
            names = names if without is None else {0: without} | names
            seeds = {number: scores.of(name, MEAN).mean(axis=1) for number, name in names.items()}
            means.plot(list(seeds), [of_number.mean() for of_number in seeds.values()], **style)
            for number, of_number in seeds.items():
                means.plot([number] * len(of_number), of_number, ".", color=style["color"], alpha=0.5)
            there = [
                (number, compared[name].comparison.difference) for number, name in names.items() if name in compared
            ]
            _intervals(differences, there, style)
        numbers = sorted({0}.union(*doses))
        means.set(xlabel="synthetic cases", ylabel="mean Dice")
        differences.set(xlabel="synthetic cases", ylabel="difference in Dice to the baseline, 95 % interval")
        for axes in (means, differences):
            axes.set_xticks(numbers)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, fontsize=8)


def _intervals(axes: Any, there: Sequence[tuple[float, Interval]], style: Mapping[str, Any]) -> None:
    """Plot estimates with their intervals at places on the x axis."""
    if there:
        estimates = [interval.estimate for _, interval in there]
        below = [interval.estimate - interval.low for _, interval in there]
        above = [interval.high - interval.estimate for _, interval in there]
        axes.errorbar([place for place, _ in there], estimates, [below, above], capsize=3, **style)


def curve_plot(points: Sequence[Scores], findings: Sequence[Finding], path: Path) -> None:
    """Plot mean Dice over the number of labelled cases, and each arm's difference to the baseline with its interval."""
    compared = [finding for finding in findings if (finding.metric, finding.outcome) == ("Dice", MEAN)]
    arms = list(dict.fromkeys(arm for scores in points for arm in scores.values))
    with written_figure(path, (1, 2), (10.0, 4.4)) as ((means, differences),):
        differences.axhline(0, color="0.6", linewidth=1)
        width = 0.02 * max(int(scores.train_cases or 0) for scores in points)  # so that intervals stand side by side
        for index, arm in enumerate(arms):
            style = {"color": f"C{index}", "marker": "os^Dv"[index % 5], "label": arm}
            with_arm = [scores for scores in points if arm in scores.values]
            curve = [scores.of(arm, MEAN).mean() for scores in with_arm]
            means.plot([scores.train_cases for scores in with_arm], curve, **style)
            of_arm = [finding for finding in compared if finding.arm == arm]
            beside = width * (index - len(arms) / 2)
            there = [(int(one.train_cases or 0) + beside, one.comparison.difference) for one in of_arm]
            _intervals(differences, there, style)
        means.set(xlabel="labelled cases", ylabel="mean Dice")
        differences.set(xlabel="labelled cases", ylabel="difference in Dice to the baseline, 95 % interval")
        for axes in (means, differences):
            axes.set_xticks([int(scores.train_cases or 0) for scores in points])
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, fontsize=8)
