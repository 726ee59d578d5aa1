"""The numbers that Tumor Fabrication (arXiv 2511.18654) printed: Dice in percent, mean and sd over three seeds.

BraTS 2023 adult glioma, T1 without contrast agent, 100 labelled scans to train with, 200 held out. Differences and
p-values are computed from these numbers, not copied: Table 2 prints +1.18 for 200 synthetic cases, where its own means
give 67.56 - 66.57 = +0.99.
"""

from dataclasses import dataclass

SEEDS, LABELLED = 3, 100  # trainings of each arm, labelled scans that they train on
COLUMNS = ("ET", "TC", "WT", "mean")


@dataclass(frozen=True)
class Printed:
    """A row of the paper's tables 1 to 3."""

    method: str | None  # None: nnU-Net with the real cases only
    num_cases: int  # synthetic cases
    mean: tuple[float, ...]  # of COLUMNS
    sd: tuple[float, ...]


PRINTED = (
    Printed(None, 0, (49.76, 68.45, 81.50, 66.57), (0.69, 0.64, 0.41, 0.52)),
    Printed("carvemix", 100, (49.81, 68.55, 81.80, 66.72), (0.25, 0.41, 0.27, 0.25)),
    Printed("pix2pix", 100, (50.12, 67.89, 80.66, 66.23), (0.61, 0.38, 0.34, 0.44)),
    Printed("tf_aug", 100, (50.07, 68.03, 80.83, 66.31), (0.55, 0.36, 0.49, 0.36)),
    Printed("tf_gan", 50, (50.24, 68.72, 81.68, 66.88), (0.23, 0.23, 0.37, 0.28)),
    Printed("tf_gan", 100, (51.75, 69.98, 81.59, 67.77), (0.21, 0.09, 0.07, 0.08)),
    Printed("tf_gan", 200, (51.36, 69.75, 81.56, 67.56), (0.76, 0.60, 0.10, 0.49)),
    Printed("tf_gan", 300, (52.16, 70.61, 81.99, 68.25), (0.78, 0.52, 0.09, 0.46)),
)


def printed(method: str | None, num_cases: int | None, labelled: int = LABELLED) -> Printed | None:
    """Return the paper's row for a method with as many synthetic cases for its labelled ones; if it has none, with 100.

    Args:
        method: None for nnU-Net alone
        num_cases: synthetic ones
        labelled: real ones that train; the paper has 100
    """
    rows = {row.num_cases: row for row in PRINTED if row.method == method}
    return rows.get(round(LABELLED * (num_cases or 0) / labelled), rows.get(100))
