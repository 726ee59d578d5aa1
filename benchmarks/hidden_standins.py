"""Twenty more stand-in patients of benchmarks.tf_gan_learns, whose labels are hidden."""

from pathlib import Path

from benchmarks.commands import is_converted, run
from benchmarks.tf_gan_learns import PLANS, REAL, SHAPE, Grainy
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.standin.unlabelled import write_unlabelled

HIDDEN, MANY, SEED = Dataset("Dataset642_Hidden"), 20, 2


def truth_of(root: Path) -> Path:
    """Return the folder of the hidden labels."""
    return root / "hidden_labels"


def prepare_hidden(root: Path) -> Dataset:
    """Write and preprocess them, as far as that is not done yet; nnU-Net's folders are entered already."""
    if not is_converted(HIDDEN):
        write_unlabelled(Grainy(shape=SHAPE), HIDDEN, MANY, SEED, "hidden", truth_of(root))
    options = ["-unlabelled", HIDDEN.number, "-p", PLANS, "-c", "3d_fullres", "-np", "1"]
    run("nnUNetv2_tf_preprocess_healthy", "-d", REAL.number, *options)
    return HIDDEN
