"""Settings of TF-Aug, and its presets."""

from dataclasses import dataclass, field

from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET
from nnunetv2_tf.methods.base import CheckConfig
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED, FRONT


@dataclass(frozen=True)
class TFAugConfig:
    """How coarse images are made, and how their intensities are fitted."""

    sigma: float = 4.0  # standard deviation of the blur B, in mm or voxels
    in_voxels: bool = False  # sigma is in voxels, whatever their spacing
    within_organ: bool = True  # B averages over the organ only
    edge_mm: float = 3.0  # standard deviation of the map's soft edge; less in small tumours. 0: hard
    edge_voxels: float = 0.5  # standard deviation of a further blur of the edge, in voxels, as by partial volumes
    grain: float = 0.0  # share of the host's detail, x_h - B(x_h), that stays in the tumour
    texture: float = 1.0  # weight of the donor's texture: where its tumour is lighter and darker
    texture_mm: float = 0.0  # standard deviation of a blur of that texture; 0: at all scales
    moments: bool = True  # start with the mean and sd of real tumours, else at a = 1, b = 0
    positive: bool = True  # a > 0, so that bright stays bright
    prototypes: bool = True  # fit to the mean features of all real cases, else to a random case's
    pool: int | None = 32  # number of coarse images that are used again and again; None: always new ones
    epochs: int = 40
    iterations: int = 250  # per epoch at most; fewer if the pool, or else the number of healthy scans, is used up
    batch: int = 2
    learning_rate: float = 0.1
    falling: bool = True  # the learning rate falls evenly to 0 over the epochs
    jitter_a: float = 0.05  # per case, relative standard deviation
    jitter_b: float = 0.02  # per case, standard deviation
    # b of a case is such that each class is as bright as in its donor; b itself where it lacks it
    anchored: bool = field(default=False, metadata={ONLY_IF_SET: True})
    through_edges: bool = field(default=False, metadata={ONLY_IF_SET: True})  # and so that soft edges are made up for


PRESETS = {
    "default": TFAugConfig(anchored=True, through_edges=True),
    "front": TFAugConfig(anchored=True, through_edges=True),
    "paper": TFAugConfig(
        sigma=2.0,
        in_voxels=True,
        within_organ=False,
        edge_mm=0.0,
        edge_voxels=0.0,
        grain=0.0,
        texture=0.0,
        texture_mm=2.0,  # of no effect without texture; kept, since fits are known by it
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
SAMPLING = {"paper": AS_PUBLISHED, "front": FRONT}
CHECKED = {"paper": CheckConfig(rejects=False)}
