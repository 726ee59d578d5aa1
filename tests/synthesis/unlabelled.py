"""Unlabelled scans for tests: two patients whose labels are hidden, preprocessed."""

from pathlib import Path

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.unlabelled import write_unlabelled
from nnunetv2_tf.working_space.healthy import PreprocessHealthyRequest, preprocess_healthy
from tests.workspace import TINY

MORE = Dataset("Dataset602_More")


def write_more(truth: Path) -> list[str]:
    """Writes Dataset602_More and preprocesses it by the tiny plans of Dataset501; needs the environment."""
    names = write_unlabelled(Brains(), MORE, 2, 6, "scan", truth)
    preprocess_healthy(PreprocessHealthyRequest("501", "602", TINY, ("3d_fullres",), unlabelled=True))
    return names
