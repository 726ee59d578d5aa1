"""Stand-in brains: patients with a grown tumour on a clinical scanner, healthy people on a research scanner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnunetv2_tf.conversion.brats.labels import OURS, TUMOUR, dataset_labels
from nnunetv2_tf.standin.anatomy import Anatomy, Kind, anatomy, individual
from nnunetv2_tf.standin.cohort import StandinCohort
from nnunetv2_tf.standin.growth import GrownTumour, grow, pushed_aside
from nnunetv2_tf.standin.scanner import CLINICAL, RESEARCH, Scanner

CLASSES = {"background": 0, **{name: OURS[name] for name in TUMOUR}}
REGIONS: Any = dataset_labels(["2023-gli"], regions=True)["labels"]
MEANING = dataset_labels(["2023-gli"], regions=False)["tf"]
TISSUE = {  # brightness of CSF, grey and white matter, and of NCR, ED, ET
    "t1n": ((0.25, 0.62, 1.0), (0.38, 0.55, 0.72)),
    "t1c": ((0.25, 0.62, 1.0), (0.35, 0.55, 1.6)),
    "t2w": ((1.5, 0.85, 0.6), (1.3, 1.2, 1.0)),
    "t2f": ((0.2, 0.85, 0.65), (0.7, 1.4, 1.1)),
}


@dataclass(frozen=True)
class Brains(StandinCohort):
    """A cohort of stand-in brains."""

    labels: Mapping[str, int | list[int]] = field(default_factory=lambda: dict(CLASSES))
    kind: Kind = "procedural"
    healthy: bool = False
    scanner: Scanner = CLINICAL

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one person: (C, Z, Y, X) int16, 0 outside the brain, and the tumour map (of the healthy: the brain)."""
        brain = individual(anatomy(self.kind, self.shape), rng)
        tumour = None
        if not self.healthy:
            tumour = grow(brain, rng)
            brain = brain.moved(pushed_aside(tumour, strength=rng.uniform(0.5, 0.03 * min(self.shape) + 0.5)))
        texture = rng.normal(size=self.shape)
        image = np.stack(
            [
                self.scanner.image(brightness(name, brain, tumour, texture), brain.brain, rng)
                for name in self.channel_names
            ]
        )
        label = brain.brain.astype(np.uint8) if tumour is None else np.minimum(tumour.label, self.classes)
        label = np.where(brain.brain, label, 0).astype(np.uint8)
        if self.ignore is not None:
            label[0 : self.shape[0] // 6] = self.ignore
        return image, label

    def description(self, num_cases: int) -> dict[str, Any]:
        """Return the content of dataset.json, with our key `tf` where the classes are those of BraTS."""
        return super().description(num_cases) | ({"tf": MEANING} if self.labels == CLASSES else {})

    @property
    def classes(self) -> int:
        """How many classes the tumour has, three at most."""
        values = [value if isinstance(value, list) else [value] for value in self.labels.values()]
        return min(3, max(max(numbers) for numbers in values))

    @property
    def regions_class_order(self) -> list[int] | None:
        """nnU-Net's key for overlapping regions."""
        overlapping = any(isinstance(value, list) for value in self.labels.values())
        return [2, 1, 3] if overlapping else None


def healthy(**changes: object) -> Brains:
    """Return the healthy cohort: another scanner, and the brain as label; `changes` are other fields of `Brains`."""
    settings = {"labels": {"background": 0, "brain": 1}, "healthy": True, "scanner": RESEARCH, **changes}
    return Brains(**settings)  # type: ignore[arg-type]


def brightness(modality: str, brain: Anatomy, tumour: GrownTumour | None, texture: np.ndarray) -> np.ndarray:
    """Return (Z, Y, X): the brightness of tissue, and of tumour by its density, so that thin edges are soft."""
    (fluid, grey, white), inside = TISSUE.get(modality, TISSUE["t1n"])
    scene = fluid + (grey - fluid) * brain.grey + (white - fluid) * brain.white
    if tumour is None:
        return scene
    for value, bright in zip((2, 3, 1), (inside[1], inside[2], inside[0]), strict=True):
        share = np.where(tumour.label == value, np.clip(tumour.density * 2, 0, 1), 0)
        scene = scene + share * (bright * (1 + 0.06 * texture) - scene)
    return scene
