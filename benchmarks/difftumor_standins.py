"""Does DiffTumor learn what tumours look like? On stand-ins whose tumours are grainy and have a rim.

    python -m benchmarks.difftumor_standins FOLDER [-T 1 4 16 64]

FOLDER is that of benchmarks.tf_gan_learns, which makes the stand-ins; the autoencoder is that of
benchmarks.difftumor_reconstruction. Both are trained, as far as that is not done. Then 40 tumours are drawn in T steps,
the same for every T, and judged by KID to those of patients whom nobody was trained on, through the encoder of a
baseline that no loss has seen, and by how many a segmentor recognises; beside TF-Aug's smooth coarse tumours. Last, how
far one class is drawn from another.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from benchmarks.commands import enter
from benchmarks.conditioning import conditioned
from benchmarks.difftumor_reconstruction import standin_autoencoder
from benchmarks.difftumor_steps import STEPS
from benchmarks.freetumor_learns import CPU, recognised
from benchmarks.tf_gan_learns import JUDGED, PATCH, UNSEEN, Setting, baseline, edited, prepared, sites
from nnunetv2_tf.baseline.segmentor import Segmentor
from nnunetv2_tf.methods.base import Method, Site
from nnunetv2_tf.methods.difftumor.config import PRESETS
from nnunetv2_tf.methods.difftumor.method import DiffTumor
from nnunetv2_tf.quality.realism import kernel_distance, tumour_features

CONFIG = replace(
    PRESETS["default"], largest_patch=32, features=(32, 64), levels=2, epochs=20, iterations=100, rate=3e-4,
    edge_mm=(0.5, 1.0),
)  # brains of 4 cm  # fmt: skip


def told(setting: Setting, method: Method, several: list[Site]) -> str:
    """Say what the encoder and the segmentor think of a method's tumours."""
    features = tumour_features(edited(method, several), setting.judge, PATCH, CPU)
    share = recognised(edited(method, several), Segmentor(baseline(UNSEEN), CPU))
    return f"KID {kernel_distance(features, setting.real):.2f}, recognised {share:.2f}"


def main() -> None:
    """Train, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are, as benchmarks.tf_gan_learns makes them")
    parser.add_argument("-T", type=int, nargs="+", default=list(STEPS), help="steps (default: 1 4 16 64)")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    enter(root)
    os.environ["nnUNet_n_proc_DA"] = "0"
    torch.set_num_threads(1)
    setting = prepared(root)
    several = sites(setting)
    print(f"coarse: {told(setting, setting.stage1, several)}", flush=True)
    method = DiffTumor(CONFIG, CPU, {"autoencoder": standin_autoencoder(setting, root / "autoencoder_0")})
    method.fit(setting.data(0), root / "difftumor")
    for steps in arguments.T:
        method.config = replace(CONFIG, steps=steps)
        start = perf_counter()
        for _ in edited(method, several):
            pass
        seconds = (perf_counter() - start) / len(several)
        print(f"T = {steps}: {told(setting, method, several)}; {seconds:.2f} s a site", flush=True)
    method.config = CONFIG
    cases = [case.open() for case in setting.hosts.cohort.training.values()]
    seen = [(case.image()[0], case.tumour()) for case in cases]
    classes = setting.hosts.cohort.roles.tumour
    real = {value: np.concatenate([image[tumour == value] for image, tumour in seen]) for value in classes}
    print("\n".join(conditioned(method, several, list(range(JUDGED)), real)))


if __name__ == "__main__":
    main()
