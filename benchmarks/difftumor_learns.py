"""Can each part of DiffTumor do its job alone? On real patches around gliomas.

    python -m benchmarks.difftumor_learns FOLDER [-steps 600]

FOLDER is that of benchmarks.africa, with Dataset531 prepared.

* The autoencoder, on ten patches: PSNR inside their tumours. Wanted: above 30 dB.
* The diffusion model, on one tumour: how far a tumour that it draws is from the one that it has seen, in standard
  deviations of that one, beside how far the scan with the tumour cut out is. Wanted: less than half.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from benchmarks.africa import ALL_PLANS, STEERING
from nnunetv2_tf.dataset.cases import channel_names, raw_cases
from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.methods.autoencoder.config import PRESETS as ENCODING
from nnunetv2_tf.methods.autoencoder.fitting import AutoencoderTrainer, levels_for, psnr
from nnunetv2_tf.methods.autoencoder.saved import AutoencoderDesign, ScanAutoencoder
from nnunetv2_tf.methods.difftumor.config import PRESETS
from nnunetv2_tf.methods.difftumor.fitting import DiffTumorTrainer, latent_range
from nnunetv2_tf.methods.difftumor.latents import DiffTumorDesign, latent_levels
from nnunetv2_tf.networks.saved import load_weights
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.loading import Batch, as_tensors
from nnunetv2_tf.training.pool import Pool
from nnunetv2_tf.training.real_batches import RealBatches, RealPieces
from nnunetv2_tf.training.real_patches import Real
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case, training_cases

CPU, PATCHES, DECIBEL, HALF = torch.device("cpu"), 10, 30.0, 0.5
SIZE = 32  # voxels of a patch


def autoencoder_alone(cases: list[Case], plan: Plan, steps: int) -> tuple[ScanAutoencoder, float]:
    """Train it on ten patches; return it, and the PSNR inside their tumours."""
    z, y, x = plan.manager.spacing
    config = replace(ENCODING["brief"], largest_patch=SIZE, augmented=False, epochs=1, rate=1e-3)
    levels, domain = levels_for(config, plan), IntensityRange.of(cases)
    features = config.features[: levels.number]
    design = AutoencoderDesign(tuple(channel_names(cases[0].dataset)), features, config.latent, levels, 0, domain)
    training = AutoencoderTrainer(config, design, (z, y, x), 0, CPU)
    training.begin(0)
    patches = [drawn(cases, levels.patch, index) for index in range(PATCHES)]
    for step in range(steps):
        pair = [patches[(2 * step + place) % PATCHES] for place in range(2)]
        training.step({name: torch.cat([one[name] for one in pair]) for name in pair[0]}, 0, step)
    found = []
    for patch in patches:
        real = Real.of(patch, CPU, (z, y, x), None)
        image = domain.normalise(real.image, real.body)
        with torch.no_grad():
            again, _, _ = training.autoencoder(image)
        found.append(float(psnr(again, image, real.tumour > 0)))
    whole = training.networks["autoencoder"].eval().requires_grad_(False)
    assert isinstance(whole, ScanAutoencoder)
    return whole, float(np.mean(found))


def diffusion_alone(autoencoder: ScanAutoencoder, cases: list[Case], plan: Plan, steps: int) -> tuple[float, float]:
    """Train it on one tumour; return how far from it what it draws is, and how far the scan without it is."""
    z, y, x = plan.manager.spacing
    size = autoencoder.design.levels.patch
    config = replace(PRESETS["brief"], augmented=False, batch=1, epochs=1, rate=1e-3)
    levels = latent_levels(autoencoder, size, (z, y, x), config.levels)
    design = DiffTumorDesign(
        cases[0].roles.tumour, autoencoder.design.latent, config.features[: levels.number], levels, config.times,
        config.target, latent_range(autoencoder, batches_of(cases, size), CPU, "deviation"),
    )  # fmt: skip
    training = DiffTumorTrainer(config, design, autoencoder, (z, y, x), 0, CPU)
    training.begin(0)
    patch = drawn(cases, size, 0)
    for step in range(steps):
        training.step(patch, 0, step)
    real = Real.of(patch, CPU, (z, y, x), None)
    z0, known = training.latents(real)
    noise = [torch.from_numpy(np.random.default_rng(1).standard_normal(tuple(z0.shape), dtype=np.float32))]
    with torch.no_grad():
        load_weights(training.diffusion, training.weights())  # those that are used
        made = training.diffusion.sample(known, noise, config.sampler, config.steps, config.limit)
        seen, drawn_one = (autoencoder.image(design.range.denormalise(one)) for one in (z0, made))
    inside, middle = real.tumour[0] > 0, autoencoder.design.domain.denormalise(torch.zeros_like(real.image))
    spread = float(seen[0][:, inside].std())

    def away(image: torch.Tensor) -> float:
        return float((image - seen)[0][:, inside].square().mean().sqrt()) / spread

    return away(drawn_one), away(middle)


def drawn(cases: list[Case], size: tuple[int, ...], index: int) -> Batch:
    """Return a patch around a tumour."""
    arrays = batches_of(cases, size).drawn([9, index])
    plain = {name.removeprefix("real_"): array for name, array in arrays.items()}
    return as_tensors({**arrays, **plain})


def batches_of(cases: list[Case], size: tuple[int, ...]) -> RealBatches:
    """Return batches of one patch around tumours."""
    return RealBatches(Pool(RealPieces(cases, size, whole=False), len(cases)), size, 1.0, 1, 0)


def main() -> int:
    """Train both, and print; return 1 when something is not as wanted, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are, as benchmarks.africa makes them")
    parser.add_argument("-steps", type=int, default=600, help="of each (default: %(default)s)")
    arguments = parser.parse_args()
    for variable in VARIABLES:
        os.environ[variable] = str(arguments.root.resolve() / variable)
    dataset = Dataset(STEERING)
    plan = Plan.read(dataset, ALL_PLANS, "3d_fullres")
    cases = [case for case in training_cases(raw_cases(dataset), dataset, plan, 0) if case.has_tumour()]
    start = perf_counter()
    autoencoder, decibel = autoencoder_alone(cases, plan, arguments.steps)
    print(
        f"autoencoder alone: {decibel:.1f} dB inside the tumours of {PATCHES} patches (wanted: > {DECIBEL:g}), "
        f"{perf_counter() - start:.0f} s",
        flush=True,
    )
    start = perf_counter()
    made, nothing = diffusion_alone(autoencoder, cases, plan, arguments.steps)
    print(
        f"diffusion alone: what it draws is {made:.2f} sd away from the tumour that it has seen (wanted: < {HALF}), "
        f"nothing at all {nothing:.2f}; {perf_counter() - start:.0f} s"
    )
    return 0 if decibel > DECIBEL and made < HALF else 1


if __name__ == "__main__":
    sys.exit(main())
