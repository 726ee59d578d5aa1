"""Where things live. In: a dataset's id or name. Out: its folders in nnU-Net's three places, and those of its sets."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.arguments import Fold
from nnunetv2_tf.errors import UserError

VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
# in nnUNet_preprocessed/<dataset>/tf, beside the sets
INTENSITY, REFERENCE, RECIPES, LOOKS = "intensity", "reference", "recipes", "looks"
PREPARATION = "preparation.json"  # in a healthy dataset: how it was made


def place(variable: str) -> Path:
    """The folder one of nnU-Net's environment variables names."""
    folder = os.environ.get(variable)
    if not folder:
        raise UserError(f"The environment variable {variable} is not set; set it as you do for nnU-Net.")
    return Path(folder)


@dataclass(frozen=True)
class Dataset:
    """The folders of one nnU-Net dataset, e.g. of Dataset501_BraTS."""

    name: str

    @classmethod
    def find(cls, id_or_name: str) -> "Dataset":
        """Finds a dataset by id (501) or name (Dataset501_BraTS), as nnU-Net does."""
        from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

        for variable in VARIABLES[:2]:
            place(variable)
        try:
            dataset = cls(str(maybe_convert_to_dataset_name(id_or_name)))
        except (RuntimeError, ValueError):
            raise UserError(
                f"There is no dataset {id_or_name}, or more than one, in {place('nnUNet_raw')}; "
                "give its number (501) or its name (Dataset501_BraTS)."
            ) from None
        if not dataset.raw.is_dir():
            raise UserError(f"{dataset.raw} does not exist; check -d {id_or_name} and the variable nnUNet_raw.")
        return dataset

    @classmethod
    def new(cls, number: int, name: str) -> "Dataset":
        """A dataset that does not exist yet; refuses numbers and names that nnU-Net could not tell apart."""
        from nnunetv2.utilities.dataset_name_id_conversion import find_candidate_datasets

        for variable in VARIABLES[:2]:
            place(variable)
        if not 1 <= number <= 999:
            raise UserError(f"A dataset's number goes from 1 to 999; {number} does not.")
        if not re.fullmatch(r"[A-Za-z0-9_\-]+", name):
            raise UserError(f"A dataset cannot be called {name!r}; use letters, digits, _ and - for -name.")
        taken = find_candidate_datasets(number)
        if len(taken):
            raise UserError(
                f"There is a dataset {taken[0]} already; choose another number than {number}, or delete it first in "
                "nnUNet_raw, nnUNet_preprocessed and nnUNet_results."
            )
        return cls(f"Dataset{number:03d}_{name}")

    @property
    def raw(self) -> Path:
        """nnUNet_raw/Dataset501_X."""
        return place("nnUNet_raw") / self.name

    @property
    def preprocessed(self) -> Path:
        """nnUNet_preprocessed/Dataset501_X."""
        return place("nnUNet_preprocessed") / self.name

    def model_fold(self, called: str, plans: str, configuration: str, fold: Fold) -> Path:
        """nnUNet_results/Dataset501_X/<called>__<plans>__<configuration>/fold_<k>, as nnU-Net names what it trains."""
        return place("nnUNet_results") / self.name / f"{called}__{plans}__{configuration}" / f"fold_{fold}"

    @property
    def sets(self) -> Path:
        """All sets of synthetic cases: nnUNet_raw/Dataset501_X/tf."""
        return self.raw / "tf"

    def set_part(self, set_name: str, fold: Fold) -> Path:
        """One fold's part of a set: nnUNet_raw/Dataset501_X/tf/<set>/fold_<k>."""
        return self.sets / set_name / f"fold_{fold}"

    def preprocessed_set_part(self, set_name: str, fold: Fold) -> Path:
        """What nnU-Net's preprocessor made of it: nnUNet_preprocessed/Dataset501_X/tf/<set>/fold_<k>."""
        return self.preprocessed / "tf" / set_name / f"fold_{fold}"
