"""Results as trainings would leave them, an arm that learns, and one that fails."""

from collections.abc import Mapping

import numpy as np

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.scores import Row, Score
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.methods.base import Edited
from tests.methods.examples import CHECKED, PRESETS, Glow

__all__ = ["CHECKED", "PRESETS"]

DATASET = "Dataset501_StandIns"
NNUNET = Arm("nnunet")
CARVEMIX = Arm("carvemix", "carvemix", num_cases=4)


class Learns(Glow):
    """Learns how many cases there are."""

    def fit(self, data, folder) -> None:
        write_json(folder / "learnt.json", len(list(data.real)))

    def load(self, folder) -> None:
        self.learnt = read_json(folder / "learnt.json", "")


class LearnsAndFails(Learns):
    def edit(self, sites, rngs) -> list[Edited]:
        raise RuntimeError("this method always fails")


def matrix(*arms: Arm, **changes) -> Matrix:
    settings = {
        "datasets": (DATASET,), "configuration": "3d_fullres", "plans": "nnUNetPlansTiny", "folds": (0,), "seeds": (0,),
        "epochs": 1, "baseline": "nnunet", "arms": arms or (NNUNET, CARVEMIX), **changes,
    }  # fmt: skip
    return Matrix(**settings)


def score(region: str, dice: float, empty: bool = False) -> Score:
    volumes = (0.0, 0.0) if empty else (100.0, 90.0)
    return Score(region, dice, 2.0, 0.9, dice / 2, 10.0, 1, 2, *volumes, (40.0, 900.0), (False, True))


def rows(dice: Mapping[str, np.ndarray], regions=("WT", "TC", "ET"), seeds=range(9), fold: int = 0) -> list[Row]:
    """By arm: Dice (seeds, cases, regions); NaN: neither there nor predicted, which counts as 1."""
    found = []
    for arm, values in dice.items():
        for seed, cases in zip(seeds, values, strict=False):
            for index, of_case in enumerate(cases):
                for region, value in zip(regions, of_case, strict=True):
                    empty = bool(np.isnan(value))
                    scored = score(region, 1.0 if empty else float(value), empty)
                    found.append(Row(DATASET, fold, seed, arm, f"case_{index:03d}", scored, "T", "c" * 40, "m" * 64))
    return found
