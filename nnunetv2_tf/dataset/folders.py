"""Folders. In: a dataset's id or name. Out: its folders in nnU-Net's three base folders, and those of its sets."""

import os
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.io.arguments import Fold
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked

VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
# subfolders of nnUNet_preprocessed/<dataset>/tf, beside the sets
INTENSITY, REFERENCE, RECIPES, LOOKS, QUALITY = "intensity", "reference", "recipes", "looks", "quality"
MASS_EFFECTS = "mass_effects"
KEPT = "kept"  # arrays that take long to compute, at most so many GB
FIT_POOLS = "fit_pools"  # training data of fits that have not ended
ONLINE_POOLS = "online"  # cases of online trainings that have not ended
FIGURES = ".figures"  # among the sets: cases that were made for measuring them; no set can be called so
PREPARATION = "preparation.json"  # in a healthy dataset: how it was made


def nnunet_folder(variable: str) -> Path:
    """Return the folder that one of nnU-Net's environment variables names."""
    folder = os.environ.get(variable)
    if not folder:
        raise UserError(f"The environment variable {variable} is not set; set it as you do for nnU-Net.")
    return Path(folder)


@dataclass(frozen=True)
class Dataset:
    """The folders of one nnU-Net dataset, e.g. of Dataset501_BraTS."""

    name: str

    @property
    def number(self) -> str:
        """The dataset's three digits, 501 of Dataset501_BraTS."""
        return self.name[7:10]

    def is_called(self, id_or_name: str) -> bool:
        """Tell whether somebody means this dataset: by 501, 0501, Dataset501_BraTS or Dataset501_BraTS/."""
        text = id_or_name.strip().rstrip("/")
        return text == self.name or (text.isdecimal() and int(text) == int(self.number))

    @classmethod
    def find(cls, id_or_name: str) -> "Dataset":
        """Find a dataset by id (501) or name (Dataset501_BraTS), as nnU-Net does; a slash behind it means nothing."""
        from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

        for variable in VARIABLES[:2]:
            nnunet_folder(variable)
        try:
            dataset = cls(str(maybe_convert_to_dataset_name(id_or_name.strip().rstrip("/"))))
        except (RuntimeError, ValueError):
            raise UserError(
                f"There is no dataset {id_or_name}, or more than one, in {nnunet_folder('nnUNet_raw')}; "
                "give its number (501) or its name (Dataset501_BraTS)."
            ) from None
        if not dataset.raw.is_dir():
            raise UserError(f"{dataset.raw} does not exist; check -d {id_or_name} and the variable nnUNet_raw.")
        return dataset

    @classmethod
    def of(cls, number: int, name: str) -> "Dataset":
        """Return the dataset of a number and a name; raise where nnU-Net could not use them."""
        if not 1 <= number <= 999:
            raise UserError(f"A dataset's number goes from 1 to 999; {number} does not.")
        if not re.fullmatch(r"[A-Za-z0-9_\-]+", name):
            raise UserError(f"A dataset cannot be called {name!r}; use letters, digits, _ and - for -name.")
        return cls(f"Dataset{number:03d}_{name}")

    @classmethod
    def new(cls, number: int, name: str) -> "Dataset":
        """Return a dataset that does not exist yet; raise for numbers that are taken."""
        from nnunetv2.utilities.dataset_name_id_conversion import find_candidate_datasets

        for variable in VARIABLES[:2]:
            nnunet_folder(variable)
        dataset = cls.of(number, name)
        taken = find_candidate_datasets(number)
        if len(taken):
            raise UserError(
                f"There is a dataset {taken[0]} already; choose another number than {number}, or delete it first in "
                "nnUNet_raw, nnUNet_preprocessed and nnUNet_results."
            )
        return dataset

    @property
    def lock(self) -> AbstractContextManager[object]:
        """The lock to hold while the dataset is made."""
        return locked(self.raw.with_name(f".{self.name}.lock"), self.name)

    @property
    def raw(self) -> Path:
        """nnUNet_raw/Dataset501_X."""
        return nnunet_folder("nnUNet_raw") / self.name

    @property
    def preprocessed(self) -> Path:
        """nnUNet_preprocessed/Dataset501_X."""
        return nnunet_folder("nnUNet_preprocessed") / self.name

    def model_fold(self, called: str, plans: str, configuration: str, fold: Fold) -> Path:
        """Return nnUNet_results/Dataset501_X/<called>__<plans>__<configuration>/fold_<k>, nnU-Net's result folder."""
        return nnunet_folder("nnUNet_results") / self.name / f"{called}__{plans}__{configuration}" / f"fold_{fold}"

    @property
    def sets(self) -> Path:
        """The folder of all sets of synthetic cases: nnUNet_raw/Dataset501_X/tf."""
        return self.raw / "tf"

    def set_part(self, set_name: str, fold: Fold) -> Path:
        """Return the folder of one fold's part of a set: nnUNet_raw/Dataset501_X/tf/<set>/fold_<k>."""
        return self.sets / set_name / f"fold_{fold}"

    def preprocessed_set_part(self, set_name: str, fold: Fold) -> Path:
        """Return the folder of a set's preprocessed part: nnUNet_preprocessed/Dataset501_X/tf/<set>/fold_<k>."""
        return self.preprocessed / "tf" / set_name / f"fold_{fold}"
