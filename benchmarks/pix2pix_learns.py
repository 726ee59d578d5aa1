"""Does Pix2Pix learn? Stand-ins whose tumours are grainy and have a rim, as for benchmarks.tf_gan_learns.

    python -m benchmarks.pix2pix_learns FOLDER [-seeds 3 4 5]

A narrow generator, few steps. Judged by the KID of tumours to those of patients whom nobody was trained on, through the
encoder of a baseline that no loss has seen: after the first epoch and after the last. Wanted: at most half. Besides,
where an image changes when its map is laid elsewhere, how visible tiles' borders are, and whether there are
checkerboards: how much of the image's fastest oscillation along each axis there is, over real images'.
"""

import argparse
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import pad

from benchmarks.tf_gan_learns import PATCH, SEAMLESS, TILED, Setting, edited, prepared, sites
from nnunetv2_tf.geometry.boxes import box_around, cut
from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.methods.pix2pix.config import PRESETS, Pix2PixConfig
from nnunetv2_tf.methods.pix2pix.fitting import Pix2PixFit
from nnunetv2_tf.methods.pix2pix.method import Pix2Pix
from nnunetv2_tf.methods.pix2pix.networks import condition_of
from nnunetv2_tf.networks.tiling import borders, tile_starts
from nnunetv2_tf.quality.boundary import seam_ratio
from nnunetv2_tf.quality.realism import kernel_distance, tumour_features
from nnunetv2_tf.training.loading import as_tensors

CPU = torch.device("cpu")
CONFIG = replace(PRESETS["default"], features=(16, 32, 64), discriminator_width=16, epochs=20, iterations=60, batch=2)
HALF = 0.5


def method_of(fit: Pix2PixFit) -> Pix2Pix:
    """Return the method with the generator as it is now."""
    method = Pix2Pix(CONFIG, CPU, {})
    method.generator = fit.training.generator.eval()
    return method


def distance(setting: Setting, fit: Pix2PixFit, several: list[Site]) -> float:
    """Return the KID of what it makes now."""
    features = tumour_features(edited(method_of(fit), several), setting.judge, PATCH, CPU)
    fit.training.generator.train()
    return kernel_distance(features, setting.real)


def trained(
    config: Pix2PixConfig, setting: Setting, seed: int, folder: Path, several: list[Site]
) -> tuple[Pix2PixFit, float]:
    """Train; return it, and the KID after the first epoch."""
    fit = Pix2PixFit(config, setting.data(seed), folder, CPU)
    first = 0.0
    for epoch in range(config.epochs):
        fit.training.begin(epoch)
        for step in range(config.iterations):
            fit.training.step(as_tensors(fit.batches(epoch * config.iterations + step)), epoch, step)
        if epoch == 0:
            first = distance(setting, fit, several)
    return fit, first


def where_it_changes(method: Pix2Pix, several: list[Site]) -> float:
    """Return the change where either of two maps has tumour over the change elsewhere in the organ."""
    ratios = []
    for site, other in pairwise(several):
        elsewhere = cut(other.tumour.numpy(), np.array(other.organ.shape) // 2, site.organ.shape)
        maps = site.tumour, torch.from_numpy(elsewhere) * site.organ
        images = [method.edit([replace(site, tumour=one)], [np.random.default_rng(0)])[0].image for one in maps]
        change = (images[0] - images[1]).abs()[0]
        there = (maps[0] > 0) | (maps[1] > 0)
        ratios.append(float(change[there & site.organ].mean() / change[~there & site.organ].mean().clamp_min(1e-6)))
    return float(np.median(ratios))


def seams(method: Pix2Pix, several: list[Site]) -> float:
    """Return how visible tiles' borders are: the step across them over that elsewhere; 1 where they are not.

    It is divided by the same of the generator's answer to the whole volume at once, as in benchmarks.tf_gan_learns.
    """
    design, ratios = method.generator.design, []
    size, halved = design.levels.patch, np.prod(design.levels.strides, axis=0).tolist()
    for site in several[:TILED]:
        organ = site.organ.numpy()
        planes = borders(tile_starts(box_around(organ), organ.shape, size), size)
        tiled = method.edit([site], [np.random.default_rng(0)])[0].image
        room = [-extent % most for extent, most in zip(organ.shape, halved, strict=True)]
        padding = [0, room[2], 0, room[1], 0, room[0]]
        condition = condition_of(pad(site.tumour[None], padding), pad(site.organ[None], padding), design.classes)
        with torch.no_grad():
            whole = design.domain.denormalise(method.generator(condition))[0, 0]
        at_once = whole[tuple(slice(extent) for extent in organ.shape)].numpy()
        ratios.append(seam_ratio(tiled[0].numpy(), planes, organ) / seam_ratio(at_once, planes, organ))
    return float(np.mean(ratios))


def checkerboard(image: np.ndarray, organ: np.ndarray) -> float:
    """Return how much of an image (Z, Y, X) changes its sign from voxel to voxel, over how much it varies."""
    found = []
    for axis in range(3):
        middle = [slice(1, -1) if other == axis else slice(None) for other in range(3)]
        before, after = ([slice(start, stop) if other == axis else slice(None) for other in range(3)]
                         for start, stop in ((0, -2), (2, None)))  # fmt: skip
        fast = (image[tuple(middle)] - (image[tuple(before)] + image[tuple(after)]) / 2) / 2
        found.append(fast[organ[tuple(middle)]].std())
    return float(np.mean(found) / image[organ].std())


def main() -> int:
    """Train, judge and print; return 1 when something is not as wanted, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are, as benchmarks.tf_gan_learns makes them")
    parser.add_argument("-seeds", type=int, nargs="+", default=[3, 4, 5], help="default: %(default)s")
    parser.add_argument("-epochs", type=int, default=CONFIG.epochs, help="of 60 steps (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    setting = prepared(arguments.root.resolve())
    several, good = sites(setting), True
    opened = [case.open() for case in setting.hosts.cohort.training.values()]
    real = float(np.median([checkerboard(case.image()[0], case.organ()) for case in opened]))
    for seed in arguments.seeds:
        config = replace(CONFIG, epochs=arguments.epochs)
        fit, first = trained(config, setting, seed, arguments.root / f"pix2pix_{seed}", several)
        last, method = distance(setting, fit, several), method_of(fit)
        good &= last <= HALF * first
        made = [method.edit([site], [np.random.default_rng(0)])[0].image[0].numpy() for site in several[:TILED]]
        fast = [checkerboard(image, site.organ.numpy()) for image, site in zip(made, several, strict=False)]
        print(
            f"seed {seed}: KID {first:.1f} after the first epoch, {last:.1f} after the last, {last / first:.2f} of it "
            f"(wanted: at most {HALF}); where its map changes an image changes {where_it_changes(method, several):.1f} "
            f"times as much as elsewhere; step across tiles {seams(method, several):.3f} (wanted: {SEAMLESS}); "
            f"checkerboard {np.median(fast):.3f}, real images {real:.3f}",
            flush=True,
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
