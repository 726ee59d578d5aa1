"""How tumours are sampled, and what is done to their hosts: what each preset of a method chooses, in its SAMPLING."""

from dataclasses import dataclass, field, replace

from nnunetv2_tf.io.json_dataclass import ONLY_IF_SET

Span = tuple[float, ...]  # least and most


@dataclass(frozen=True)
class SamplingConfig:
    """What may happen to a tumour on its way into a host, and to the host before."""

    scale: Span = (0.7, 1.3)
    uneven: float = 0.1  # the three axes' scales differ by up to this share
    turn: float = 15.0  # degrees about each axis
    elastic: bool = True
    combine: float = 0.2  # of tumours are put together from two donors
    least_kept: float = 0.8  # of a tumour's voxels must fall into the organ
    matched: bool = True  # volumes and places are drawn from the cohort's, else uniformly
    around_fluid: bool = True  # diffuse classes leave out the host's fluid
    harmonised: bool = True  # hosts take over the appearance of a training case
    # maps have smooth surfaces; tumours push the tissue around them aside; edema spreads from cores anew
    rounded: bool = field(default=False, metadata={ONLY_IF_SET: True})
    mass_effect: bool = field(default=False, metadata={ONLY_IF_SET: True})
    front: bool = field(default=False, metadata={ONLY_IF_SET: True})
    # how often a tumour is scaled, how often turned, how often pulled
    often: float = field(default=1.0, metadata={ONLY_IF_SET: True})
    # where patients are hosts, how often the tumour is their own, copied to another place
    within: float = field(default=0.0, metadata={ONLY_IF_SET: True})


AS_PUBLISHED = SamplingConfig(
    uneven=0.0, turn=0.0, elastic=False, matched=False, around_fluid=False, harmonised=False
)  # fmt: skip
USUAL = SamplingConfig(rounded=True, mass_effect=True)  # of presets that choose nothing
FRONT = replace(USUAL, front=True)
