"""What FreeTumor's filter would keep, asked of a segmentor that it was trained against, and of one that it was not.

    python -m benchmarks.freetumor_filter FOLDER [-f 0] [-s startfreetumor starttfgan starttfaug]

FOLDER and the sets are those of benchmarks.starting_line. The first baseline is the one that methods are fitted
through, the second was trained with another seed on the same patients. Prints how many cases have more than 0.5, 0.7
and 0.9 of their tumour recognised, and the Dice of those that a filter at 0.7 keeps and rejects, with the difference
and 95 % over cases; beside them real cases that neither baseline has seen.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from benchmarks.starting_line import DATASET, FITTED, JUDGE, PLANS
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.folders import VARIABLES
from nnunetv2_tf.report.measured_set import MeasuredSet
from nnunetv2_tf.report.recognition import Recognition, recognition

BARS, RESAMPLED = (0.5, 0.7, 0.9), 2000
SEGMENTORS = {"trained against": FITTED, "not trained against": JUDGE}


def told(found: Recognition, rng: np.random.Generator) -> str:
    """Return pass rates, and the Dice of kept and rejected cases."""
    shares, dices, kept = np.array(found.shares), np.array(found.dices), np.array(found.kept)
    rates = ", ".join(f"{(shares > bar).mean():.2f} above {bar}" for bar in BARS)
    text = f"{len(shares)} cases, {rates}; Dice {dices.mean():.3f}"
    if kept.all() or not kept.any():
        return f"{text}, nothing {'rejected' if kept.all() else 'kept'}"
    drawn = [
        rng.choice(dices[kept], kept.sum()).mean() - rng.choice(dices[~kept], (~kept).sum()).mean()
        for _ in range(RESAMPLED)
    ]
    low, high = np.percentile(drawn, (2.5, 97.5))
    more = found.dice_of(True) - found.dice_of(False)
    return (
        f"{text}, kept {found.dice_of(True):.3f} ({kept.sum()}), rejected {found.dice_of(False):.3f} "
        f"({(~kept).sum()}), difference {more:+.3f} ({low:+.3f} to {high:+.3f})"
    )


def main() -> int:
    """Ask both segmentors about each set, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-f", type=int, default=0, help="fold (default: 0)")
    parser.add_argument("-s", nargs="+", default=["startfreetumor", "starttfgan", "starttfaug"], metavar="SET")
    arguments = parser.parse_args()
    for variable in VARIABLES:
        os.environ[variable] = str(arguments.root.resolve() / variable)
    for index, name in enumerate(arguments.s):
        measured = MeasuredSet.of(DATASET, name, arguments.f, 1, "cpu")
        for called, trainer in SEGMENTORS.items():
            baseline = Baseline(DATASET, trainer, PLANS, "3d_fullres", arguments.f)
            found = recognition(measured, baseline, "cpu")
            kinds = {name: found["synthetic"]}
            if not index:
                kinds["real, not seen in training"] = found["real, not seen in training"]
            for kind, one in kinds.items():
                print(f"{kind}, segmentor {called}: {told(one, np.random.default_rng(0))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
