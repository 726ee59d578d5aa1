"""Whether a synthetic tumour is its donor's over again. In: both, on one grid. Out: how they correlate."""

import numpy as np

FEWEST = 30  # voxels that a correlation is worth computing in


def likeness(image: np.ndarray, donor: np.ndarray, tumour: np.ndarray) -> float | None:
    """Return Pearson's correlation of two images inside a tumour map, class by class, averaged over channels.

    Each class's own mean is taken off first: that edema is darker than what surrounds it makes no copy.

    Args:
        image: (C, Z, Y, X)
        donor: (C, Z, Y, X) under the transform of its tumour
        tumour: (Z, Y, X) the map where both have tumour

    Returns:
        None where the tumour is too small, or flat
    """
    correlations = []
    for ours, theirs in zip(image, donor, strict=True):
        left, right = _residuals(ours, tumour), _residuals(theirs, tumour)
        scale = np.sqrt((left**2).sum() * (right**2).sum())
        if len(left) >= FEWEST and scale > 0:
            correlations.append(float((left * right).sum() / scale))
    return float(np.mean(correlations)) if correlations else None


def _residuals(image: np.ndarray, tumour: np.ndarray) -> np.ndarray:
    """Return (n,): the values inside, less their class's mean."""
    values = [image[tumour == value].astype(np.float64) for value in np.unique(tumour[tumour > 0])]
    return np.concatenate([part - part.mean() for part in values]) if values else np.zeros(0)
