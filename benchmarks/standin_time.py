"""How long a stand-in case takes, against writing it as compressed NIfTI, the least a case can cost.

`python -m benchmarks.standin_time` prints a line per cohort.
"""

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.ratios import interleaved
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.cohort import StandinCohort
from nnunetv2_tf.standin.livers import Livers

PAIRS = 8
COHORTS: list[tuple[str, StandinCohort]] = [
    ("procedural brain 24 x 24 x 24", Brains(shape=(24, 24, 24))),
    ("procedural brain 32 x 40 x 36", Brains()),
    ("MNI152 brain 96 x 116 x 96 (1.8 mm)", Brains(shape=(96, 116, 96), kind="mni152")),
    ("liver 48 x 64 x 64", Livers(shape=(48, 64, 64))),
]


def main() -> None:
    """Print one line per cohort."""
    for title, cohort in COHORTS:
        image, _ = cohort.draw(np.random.default_rng(0))  # loads the template
        seeds = iter(range(1, 2 * PAIRS))

        def write(cohort: StandinCohort = cohort, volume: np.ndarray = image[0]) -> float:
            with tempfile.TemporaryDirectory() as folder:
                start = perf_counter()
                cohort.write(volume, Path(folder) / "case.nii.gz")
                return perf_counter() - start

        def draw(cohort: StandinCohort = cohort, seeds=seeds) -> float:
            start = perf_counter()
            cohort.draw(np.random.default_rng(next(seeds)))
            return perf_counter() - start

        ratio = interleaved(write, draw, PAIRS)
        print(f"{title}: drawing takes {ratio.median * ratio.reference:.2f} s; against writing: {ratio}")


if __name__ == "__main__":
    main()
