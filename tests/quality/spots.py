"""Examples for tests of yardsticks: noise with a darker spot."""

import numpy as np

from nnunetv2_tf.quality.examples import Example, example


def spot(
    index: int,
    real: bool,
    groups: tuple[str, ...],
    radius: float = 6.0,
    depth: float = -1.0,
    noise: float = 0.3,
    classes: int = 2,
    edge: float = 1.0,
) -> Example:
    """A ball of `depth` with an edge of `edge` voxels, of which the inner half is class 1, the rest class 2."""
    rng = np.random.default_rng(index)
    grid = np.indices((28, 28, 28)) - 14.0
    away = np.linalg.norm(grid, axis=0)
    image = depth / (1 + np.exp((away - radius) / max(edge, 1e-3) * 2)) + rng.normal(0, noise, away.shape)
    tumour = np.select([away < radius / 2, away < radius], [1, min(2, classes)])
    organ = away < 13.5
    return example(f"case {index}", real, groups, image[None].astype(np.float32), tumour, organ, (2.0, 2.0, 2.0))


def both(number: int = 12, **made) -> list[Example]:
    """As many real as made ones; made ones have a host each and share donors with real ones."""
    real = [spot(index, True, (f"patient {index}",), radius=5 + index % 3) for index in range(number)]
    others = [
        spot(
            100 + index,
            False,
            (f"host {index}", f"patient {(index + 3) % number}"),
            **{"radius": 5 + index % 3, **made},
        )
        for index in range(number)
    ]
    return [*real, *others]
