"""How well scores tell two groups apart. In: the scores of both. Out: the area under the ROC curve."""

from collections.abc import Sequence

import numpy as np


def auc(positive: Sequence[float] | np.ndarray, negative: Sequence[float] | np.ndarray) -> float:
    """Return how often a positive scores higher than a negative; ties count half, 0.5 where one group is empty."""
    from scipy.stats import rankdata  # takes long to import

    number, others = len(positive), len(negative)
    if not number or not others:
        return 0.5
    ranks = rankdata(np.concatenate([positive, negative]))[:number]
    return float((ranks.sum() - number * (number + 1) / 2) / (number * others))
