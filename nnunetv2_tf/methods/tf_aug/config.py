"""Settings of TF-Aug."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TFAugConfig:
    """How coarse images are made and fitted."""

    sigma: float = 2.0  # of the blur B: mm, or voxels
    in_voxels: bool = False  # sigma counts voxels, whatever they measure
    within_organ: bool = True  # B sees the organ only
    edge_mm: float = 1.0  # standard deviation of the map's soft edge; less in small tumours. 0: hard
    edge_voxels: float = 0.5  # of what voxels themselves smear it, on top
    grain: float = 0.5  # share of the host's detail, x_h - B(x_h), that stays in the tumour
    texture: float = 1.0  # share of the donor's light and dark places
    texture_mm: float = 2.0  # standard deviation of the blur that leaves them
    moments: bool = True  # start at the moments of real tumours, else at a = 1, b = 0
    positive: bool = True  # a > 0, so that bright stays bright
    prototypes: bool = True  # compare with the mean features of all real cases, else with a random one's
    pool: int | None = 32  # coarse images that are fitted again and again; None: always new ones
    epochs: int = 40
    iterations: int = 250  # per epoch at most, which is once through the pool, or a site per healthy scan
    batch: int = 2
    learning_rate: float = 0.1
    falling: bool = True  # the rate falls to 0, evenly over the epochs
    jitter_a: float = 0.05  # per case, relative standard deviation
    jitter_b: float = 0.02  # per case, standard deviation


PRESETS = {
    "default": TFAugConfig(),
    "paper": TFAugConfig(
        in_voxels=True,
        within_organ=False,
        edge_mm=0.0,
        edge_voxels=0.0,
        grain=0.0,
        texture=0.0,
        moments=False,
        positive=False,
        prototypes=False,
        pool=None,
        epochs=200,
        learning_rate=1e-2,
        falling=False,
        jitter_a=0.0,
        jitter_b=0.0,
    ),
}
