"""What the TF-Aug benchmarks have in common: thirty T1 scans with gliomas, healthy hosts and a baseline at 2.5 mm."""

from pathlib import Path

from benchmarks.africa import ALL_PLANS, prepare_all
from benchmarks.commands import run
from benchmarks.healthy_cohort import NAME, NUMBER
from benchmarks.real_training import BASELINE
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.methods.tf_aug.config import SAMPLING
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.working_space.preprocess import Plan

HEALTHY = Dataset(f"Dataset{NUMBER}_{NAME}")
FOLD = 0


def prepared(root: Path) -> Dataset:
    """Preprocess real and healthy scans at 2.5 mm; both are converted already (benchmarks.healthy_cohort)."""
    dataset = prepare_all(root)
    run("nnUNetv2_tf_preprocess_healthy", "-d", dataset.number, "-healthy", NUMBER, "-p", ALL_PLANS, "-c", "3d_fullres")
    return dataset


def hosts_of(dataset: Dataset, preset: str, seed: int = 0) -> HealthyHostPool:
    """Return the healthy hosts, sampled as a preset of tf_aug does; as its default where it has none of that name."""
    cohort = Cohort(dataset, Plan.read(dataset, ALL_PLANS, "3d_fullres"), FOLD, HEALTHY)
    return HealthyHostPool(cohort, seed, SAMPLING.get(preset, SamplingConfig()))


def baseline_of(dataset: Dataset) -> Baseline:
    """Return the baseline that `make real_baseline` trains."""
    return Baseline(dataset, BASELINE, ALL_PLANS, "3d_fullres", FOLD)
