"""Settings of TF-GAN."""

from dataclasses import dataclass

EVERYTHING = 30.0  # mm; how far is looked where no limit is set


@dataclass(frozen=True)
class TFGANConfig:
    """How coarse images are refined, and how that is learnt."""

    largest_patch: int = 128  # voxels along an axis; less where the plans' patch is smaller
    levels: int = 6
    features: tuple[int, ...] | None = None  # of the generator's levels; None: as the plans' network has
    discriminator_features: tuple[int, ...] | None = None  # of its stages; None: twice the generator's
    residual: bool = True  # x_s = x_s' + tanh(G); else tanh(G)
    reach_mm: float | None = 3.0  # how far around the tumour it may change; None: all of the organ
    view_mm: float | None = 10.0  # how far around the tumour the discriminator sees; None: everything
    rim_mm: float = 8.0  # of the organ, from its surface: not seen, and so not changed; 0: none
    tap: int = 4  # stage of the discriminator that judges patches
    spectral: bool = True  # normalise the discriminator's weights
    r1: float = 1.0  # weight of the gradient penalty on real images; 0: none
    r1_every: int = 16  # steps
    average: float = 0.999  # of the generator's weights, step by step; 0: the last ones count
    prototypes: bool = True  # features are compared with the mean of all real cases, else with the batch's real ones
    lambda_a: float = 10.0  # patches
    lambda_b: float = 1.0  # whole images
    lambda_c: tuple[float, float] = (10.0, 10.0)  # hinge, in the first and in the last epoch
    lambda_d: float = 10.0  # features
    margin: float = 0.02  # of the hinge, in [-1, 1]
    margin_near: float = 0.13  # more right at the tumour, falling off by e every margin_mm
    margin_mm: float = 6.0
    centred: float = 1.0  # share of patches that lie around the tumour, the others anywhere in the organ
    augmented: bool = True
    shake: float = 0.05  # brightness and contrast, before real and refined images are judged
    epochs: int = 200
    iterations: int = 250  # per epoch at most, which is a site per healthy scan
    batch: int = 2
    rate_g: float = 2e-4
    rate_d: float = 4e-4
    betas: tuple[float, float] = (0.5, 0.999)
    preview_every: int = 10  # epochs

    def __post_init__(self) -> None:
        if self.r1 and not self.spectral:
            raise ValueError("The gradient penalty wants spectral norm: without, the discriminator has instance norm.")

    @property
    def far(self) -> float:
        """Mm from the tumour on which it does not matter how far something is."""
        return max(EVERYTHING if most is None else most for most in (self.reach_mm, self.view_mm))


PRESETS = {
    "default": TFGANConfig(),
    "paper": TFGANConfig(
        features=(32, 64, 128, 256, 320, 320),
        discriminator_features=(64, 128, 256, 512, 512),
        rate_d=1e-4,
        residual=False,
        reach_mm=None,
        view_mm=None,
        rim_mm=0.0,
        lambda_c=(10.0, 1.0),
        lambda_d=1.0,
        centred=2 / 3,
        tap=5,
        spectral=False,
        r1=0.0,
        average=0.0,
        prototypes=False,
        margin=0.05,
        margin_near=0.0,
        shake=0.0,
    ),
    "brief": TFGANConfig(epochs=20),
}
