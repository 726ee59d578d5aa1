"""How strong the mass effect of a fold's training patients is. In: their cases. Out: strengths to draw from.

A patient's strength is the one at which our own model would shift the middle of that brain as far as it is shifted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.folders import MASS_EFFECTS
from nnunetv2_tf.geometry.grid import sideways_axis
from nnunetv2_tf.geometry.symmetry import deep_middle, middle_shift
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.kept import kept
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.synthesis.growth import GROWING, off_the_middle
from nnunetv2_tf.tumours.fluid import find_fluid
from nnunetv2_tf.tumours.mass_effect import mass_effect
from nnunetv2_tf.tumours.place import HostAnatomy
from nnunetv2_tf.tumours.recipe import STRONGEST
from nnunetv2_tf.working_space.stored import Case, OpenCase

FEWEST, MOST = 5, 60  # patients who tell anything, so that they count; those who are asked
LEAST = 1.0  # mm of shift at strength 1: a tumour that shifts less says nothing of its strength
TOWARDS = 2.0  # mm towards the tumour: what seems to have shifted further was not found
MEASURING = 1  # counts up when strengths come to be measured in another way


@dataclass(frozen=True)
class Observed:
    """What one patient shows."""

    shift: float | None  # mm of the brain's middle, as found; None: unclear
    at_one: float | None  # mm at strength 1
    source: str = ""  # digest of what it was measured in

    @property
    def strength(self) -> float | None:
        """The strength; None where it cannot be told."""
        if self.shift is None or self.at_one is None or abs(self.at_one) < LEAST:
            return None
        away = self.shift * np.sign(self.at_one)
        return None if away < -TOWARDS else round(float(np.clip(away / abs(self.at_one), 0, STRONGEST)), 3)

    @classmethod
    def of(cls, case: Case, diffuse: Sequence[int]) -> "Observed":
        """Measure a preprocessed case, once: until its arrays, or what its labels stand for, change."""
        source = digest([*case.stamp(), list(diffuse), channel_names(case.dataset), MEASURING, GROWING])
        folder = case.dataset.preprocessed / "tf" / MASS_EFFECTS / case.plan.data_identifier
        return kept(folder / f"{case.identifier}.json", cls, source, lambda: _observed(case.open(), diffuse, source))


def observed_strengths(cases: Sequence[Case], diffuse: Sequence[int], num_processes: int) -> tuple[float, ...]:
    """Return the strengths that patients show, sorted; none where too few of them tell."""
    asked = [case for case in cases if case.has_tumour()]
    asked = asked[:: -(-len(asked) // MOST)] if asked else []
    tasks = [(case, tuple(diffuse)) for case in asked]
    found = in_parallel(_strength, tasks, num_processes, "Measuring patients' mass effect", "case")
    known = sorted(strength for strength in found if strength is not None)
    return tuple(known) if len(known) >= FEWEST else ()


def _strength(task: tuple[Case, Sequence[int]]) -> float | None:
    case, diffuse = task
    return Observed.of(case, diffuse).strength


def _observed(case: OpenCase, diffuse: Sequence[int], source: str) -> Observed:
    organ, tumour, image, spacing = case.organ(), case.tumour(), case.image(), case.grid.spacing
    sideways = sideways_axis(case.grid.affine)
    channels = tuple(channel_names(case.dataset))
    fluid = find_fluid(image, organ, channels, spacing)
    anatomy = HostAnatomy(case.identifier, organ, fluid, case.grid.affine, channels)
    middle = off_the_middle(anatomy, _middle(anatomy), spacing)
    if middle is None:
        return Observed(None, None, source)
    shift = middle_shift(image[0], organ, tumour > 0, spacing, sideways)
    if np.isnan(shift):
        return Observed(None, None, source)
    edema = np.isin(tumour, diffuse)
    pushed = mass_effect((tumour > 0) & ~edema, edema, organ, fluid, spacing, 1.0, middle)
    there = deep_middle(pushed.blocks.mean(organ) > 0.5, pushed.blocks.spacing, sideways)
    if not there.any():
        return Observed(None, None, source)
    return Observed(shift, round(-float(pushed.shift[sideways][there].mean()), 4), source)


def _middle(anatomy: HostAnatomy) -> float:
    """Return the x (mm) of the organ's middle."""
    x = anatomy.grid[0, :3] @ anatomy.organ_voxels.T + anatomy.grid[0, 3]
    return float((x.min() + x.max()) / 2)
