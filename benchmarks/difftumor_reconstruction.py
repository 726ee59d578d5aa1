"""What does the autoencoder lose of scans that it has not seen, beside what down- and up-sampling by two loses?

    python -m benchmarks.difftumor_reconstruction FOLDER [-f 0] [-preset brief]
    python -m benchmarks.difftumor_reconstruction FOLDER --standins

The first reads the fold's fitted autoencoder of Dataset531 (FOLDER as for benchmarks.starting_line) and rebuilds the
patients who validate, whole. With --standins, FOLDER is that of benchmarks.tf_gan_learns, and three autoencoders are
trained there, from the same patches: one without a codebook, and with one of 64 and of 512 vectors, which say how much
of their codebook unseen scans use.

PSNR and SSIM (of voxels whose surroundings are seen by a Gaussian window) are of images in [-1, 1], as the autoencoder
sees them: over the body, and over all voxels of tumours of a size, where SSIM is that around them.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn.functional import avg_pool3d, interpolate

from benchmarks.commands import enter
from benchmarks.in_memory import CPU, SteeringFold
from benchmarks.tf_gan_learns import Setting, prepared
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.methods.autoencoder.config import PRESETS, AutoencoderConfig
from nnunetv2_tf.methods.autoencoder.learner import AutoencoderLearner
from nnunetv2_tf.methods.autoencoder.saved import ScanAutoencoder
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.networks.autoencoder import strides_of
from nnunetv2_tf.networks.tiling import tile_of
from nnunetv2_tf.synthesis.fitting import find_fit
from nnunetv2_tf.tumours.bank import EVERYWHERE
from nnunetv2_tf.working_space.stored import Case, training_cases

SIZES = (0.0, 0.3, 1.0, 4.0, 50.0, float("inf"))  # ml
RANGE, SIGMA = 2.0, 1.5  # of images; of SSIM's window, voxels
STANDINS = replace(
    PRESETS["default"], largest_patch=32, features=(16, 32), halvings=1, epochs=10, iterations=60, rate=1e-3
)  # brains of 4 cm
CODEBOOKS = (0, 64, 512)
Rebuild = Callable[[Tensor], Tensor]


@dataclass
class Lost:
    """What is lost of scans in some place: squared errors and SSIM of all voxels."""

    errors: list[np.ndarray] = field(default_factory=list)
    similar: list[np.ndarray] = field(default_factory=list)

    def __str__(self) -> str:
        error, similar = (float(np.concatenate(parts).mean()) for parts in (self.errors, self.similar))
        return f"{10 * np.log10(RANGE**2 / error):.1f} dB, SSIM {similar:.3f}"


def halved(x: Tensor) -> Tensor:
    """Return images, sampled down by two and up again."""
    return interpolate(avg_pool3d(x, 2, ceil_mode=True), x.shape[2:], mode="trilinear")


def through(autoencoder: ScanAutoencoder) -> Rebuild:
    """Return what makes images of the latents of images."""

    def rebuilt(x: Tensor) -> Tensor:
        strides = strides_of(autoencoder.design.levels)
        size = [-(-extent // stride) * stride for extent, stride in zip(x.shape[2:], strides, strict=True)]
        with torch.no_grad():
            again, _, _ = autoencoder.network(tile_of(x[0] + 1, (0, 0, 0), size)[None] - 1)  # padded with -1
        z, y, width = x.shape[2:]
        return again[:, :, :z, :y, :width]

    return rebuilt


def lost(cases: Sequence[Case], autoencoder: ScanAutoencoder, rebuild: Rebuild) -> dict[str, Lost]:
    """Return what is lost, by place: the body, and tumours by size."""
    found: dict[str, Lost] = {}
    for case in (case.open() for case in cases):
        body, tumour = case.body(), case.tumour() > 0
        x = autoencoder.design.domain.normalise(torch.from_numpy(case.image())[None], torch.from_numpy(body)[None])
        again = rebuild(x)
        error = (again - x).square().mean(dim=1)[0].numpy()
        similar = np.mean(
            [
                structural_similarity(one, other, data_range=RANGE, gaussian_weights=True, sigma=SIGMA, full=True)[1]
                for one, other in zip(x[0].numpy(), again[0].numpy(), strict=True)
            ],
            axis=0,
        )
        for place, where in {"body": body, **_tumours(tumour, case.grid.spacing)}.items():
            if where.any():
                here = found.setdefault(place, Lost())
                here.errors.append(error[where])
                here.similar.append(similar[where])
    return found


def _tumours(tumour: np.ndarray, spacing: Sequence[float]) -> dict[str, np.ndarray]:
    """Return where tumours of each size are."""
    pieces = np.zeros(tumour.shape, np.int32)
    ndimage.label(tumour, EVERYWHERE, output=pieces)
    volumes = np.bincount(pieces.ravel()) * np.prod(spacing) / 1000
    volumes[0] = -1
    return {
        f"tumours of {low:g} to {high:g} ml": (volumes[pieces] >= low) & (volumes[pieces] < high)
        for low, high in pairwise(SIZES)
    }


def show(name: str, cases: Sequence[Case], autoencoder: ScanAutoencoder) -> bool:
    """Print what is lost; return whether the autoencoder loses less everywhere."""
    less = True
    both = [lost(cases, autoencoder, rebuild) for rebuild in (through(autoencoder), halved)]
    for place in sorted(both[0]):
        ours, theirs = (found[place] for found in both)
        less &= float(np.concatenate(ours.errors).mean()) < float(np.concatenate(theirs.errors).mean())
        print(f"{name}, {place}: {ours}; by two {theirs}", flush=True)
    return less


def standin_autoencoder(setting: Setting, folder: Path, config: AutoencoderConfig = STANDINS) -> AutoencoderLearner:
    """Return an autoencoder that is trained on stand-ins; what was trained before is taken up."""
    learner = AutoencoderLearner(config, CPU, {})
    learner.fit(setting.data(0), folder)
    return learner


def unseen(setting: Setting) -> list[Case]:
    """Return the stand-in patients whom nobody was trained on."""
    cohort = setting.hosts.cohort
    everybody = training_cases(cohort.files, cohort.dataset, cohort.plan, "all")
    return [case for case in everybody if case.identifier not in cohort.training]


def codebook_use(cases: Sequence[Case], autoencoder: ScanAutoencoder) -> str:
    """Say how much of the codebook scans use, and how evenly (its perplexity)."""
    assert autoencoder.network.quantiser is not None
    counts = np.zeros(autoencoder.design.codebook)
    for case in (case.open() for case in cases):
        image, body = (torch.from_numpy(volume)[None] for volume in (case.image(), case.body()))
        strides = strides_of(autoencoder.design.levels)
        whole = tuple(slice(extent // stride * stride) for extent, stride in zip(body.shape[1:], strides, strict=True))
        with torch.no_grad():
            z = autoencoder.latents(image[(slice(None), slice(None), *whole)], body[(slice(None), *whole)])
        counts += np.bincount(autoencoder.network.quantiser.nearest(z).numpy().ravel(), minlength=len(counts))
    share = counts[counts > 0] / counts.sum()
    used = f"{(counts > 0).mean():.2f} of {len(counts)} vectors are used"
    return f"{used}, as evenly as {np.exp(-(share * np.log(share)).sum()):.0f} alike would be"


def main() -> int:
    """Rebuild and print; return 1 when anything is lost that sampling by two keeps, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are, as the benchmarks named above make them")
    parser.add_argument("-f", type=int, default=0, help="fold (default: %(default)s)")
    parser.add_argument("-preset", default="brief", help="default: %(default)s")
    parser.add_argument("--standins", action="store_true", help="stand-ins instead of real scans")
    arguments = parser.parse_args()
    root, less = arguments.root.resolve(), True
    enter(root)
    os.environ["nnUNet_n_proc_DA"] = "0"
    torch.set_num_threads(1)
    if arguments.standins:
        setting = prepared(root)
        for codebook in CODEBOOKS:
            folder = root / f"autoencoder_{codebook}"
            autoencoder = standin_autoencoder(setting, folder, replace(STANDINS, codebook=codebook)).autoencoder
            less &= show(f"codebook {codebook}" if codebook else "no codebook", unseen(setting), autoencoder)
            if codebook:
                print(codebook_use(unseen(setting), autoencoder))
        return 0 if less else 1
    fold = SteeringFold(arguments.f)
    fitted = find_fit(fold.healthy, find_method("autoencoder", arguments.preset)).load(CPU)
    assert isinstance(fitted, AutoencoderLearner)
    cohort = fold.healthy.cohort
    split = fold_split(cohort.dataset, cohort.fold, list(cohort.files))
    validating = [cohort.labelled[name] for name in split.val if name in cohort.labelled]
    return 0 if show(f"fold {fold.fold}", validating, fitted.autoencoder) else 1


if __name__ == "__main__":
    sys.exit(main())
