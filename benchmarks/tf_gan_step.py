"""How long does a step of TF-GAN take, and what does it hold in memory?

    python -m benchmarks.tf_gan_step [-device cuda] [-patch 128] [-channels 1] [-pairs 10] [--bf16]

`default` with random weights on random patches (two of them, as in training), against the step of
reference_gan_step.py, which is how it was done before, in the same run and at the same patch, interleaved; every
sixteenth step of the reference has a penalty on gradients, and every twentieth of ours a look at patients held out
(DRAWN patches here) and at the sizes of gradients: both are in the means. Networks are as wide as nnU-Net's (32 to
320), or by -features as those of the plans in use. Besides, peak memory of each, and where the time goes.
"""

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.ratios import interleaved
from benchmarks.reference_gan_step import R1_EVERY, PlainStep
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.methods.tf_gan.gan_step import CHECKED_EVERY, GANTrainer
from nnunetv2_tf.methods.tf_gan.networks import Design
from nnunetv2_tf.networks.levels import Levels
from nnunetv2_tf.networks.unet import UNet
from nnunetv2_tf.training.intensity_range import IntensityRange
from nnunetv2_tf.training.precision import Acceleration

BATCH, CLASSES, DRAWN = 2, (1, 2, 3), 16
SHOWN = 8  # lines of a profile


def design_of(patch: int, channels: int, features: tuple[int, ...]) -> Design:
    """Return the design that the default has at 1 mm."""
    levels, config = Levels.of((patch,) * 3, (1.0,) * 3, len(features)), PRESETS["default"]
    domain = IntensityRange((-2.0,) * channels, (2.0,) * channels)
    names = tuple(map(str, range(channels)))
    return Design(
        names, CLASSES, features, levels, True, config.reach((1.0,) * 3), config.rim_mm, (1.0, 1.0, 1.0), domain
    )  # fmt: skip


def encoder_of(channels: int, features: tuple[int, ...], levels: Levels) -> Encoder:
    """Return the first stages of a network like nnU-Net's, with random weights."""
    torch.manual_seed(1)
    network: nn.Module = UNet(channels, 1, features, levels)
    return Encoder.within(network, "random weights")


def batch_of(patch: int, channels: int, seed: int) -> dict[str, Tensor]:
    """Return a batch as training has it: a ball of tumour in a ball of brain, in noise."""
    rng, size = np.random.default_rng(seed), (patch,) * 3
    radius = np.linalg.norm(np.indices(size) - (patch - 1) / 2, axis=0)
    body = radius < 0.48 * patch
    tumour = np.select([radius < 0.06 * patch, radius < 0.12 * patch, radius < 0.2 * patch], [1, 3, 2], 0)
    distance = np.minimum(np.asarray(distance_transform_edt(tumour == 0)), 10).astype(np.float32)

    def image() -> np.ndarray:
        return gaussian_filter(rng.normal(size=(BATCH, channels, *size)), (0, 0, 1, 1, 1)).astype(np.float32) * body

    host = image()
    batch = {
        "host": host, "coarse": np.where(tumour > 0, host / 2 + 1, host).astype(np.float32), "real_image": image(),
        "n_norm": np.full(BATCH, int(body.sum())), "beyond": np.zeros((BATCH, 2, channels), np.float32),
        "place": np.arange(BATCH),
    }  # fmt: skip
    for name, volume in {"tumour": tumour.astype(np.int16), "body": body, "organ": body, "distance": distance}.items():
        batch[name] = batch[f"real_{name}"] = np.stack([volume] * BATCH)
    return {name: torch.from_numpy(array) for name, array in batch.items()}


class Both:
    """The plain step and ours, of the same networks with the same weights."""

    def __init__(
        self, patch: int, channels: int, features: tuple[int, ...], acceleration: Acceleration, device: torch.device
    ):
        self.device = device
        config, design = PRESETS["default"], design_of(patch, channels, features)
        encoder = encoder_of(channels, features, design.levels)
        goal = [torch.zeros(1, len(CLASSES), width, device=device) for width in features[:3]]
        self.plain = PlainStep(design, encoder, goal, [True] * channels, device)
        self.trainer = GANTrainer(config, design, encoder, [True] * channels, 0, device, acceleration=acceleration)
        self.batches = [batch_of(patch, channels, seed) for seed in range(2)]
        several = [self.batches[seed % 2] for seed in range(DRAWN // BATCH)]
        self.trainer.learn_scale(several[:1])
        self.trainer.hold_out(several, several)
        self.trainer.begin(0)
        for generator in (self.plain.generator, self.trainer.generator):
            torch.manual_seed(2)
            torch.nn.init.normal_(generator.network.head.weight.data, std=0.1)  # or nothing would be added yet

    def reference(self, number: int) -> float:
        """Take the plain step of a number; return its seconds."""
        return self._timed(lambda: self.plain.step(self.batches[number % 2], number))

    def ours(self, number: int) -> float:
        """Take our step of a number; return its seconds."""
        self.trainer.steps = number
        return self._timed(lambda: self.trainer.step(self.batches[number % 2], 0, number))

    def _timed(self, step: Callable[[], object]) -> float:
        start = perf_counter()
        step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return perf_counter() - start


def peak(device: torch.device) -> float:
    """Return the GiB that this process has held at most: of the GPU, or of memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def peak_of(side: str) -> str:
    """Return the peak of a step with penalty or check and one more, in a process of its own, as text."""
    command = [sys.executable, "-m", "benchmarks.tf_gan_step", *sys.argv[1:], "-peak", side]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1] if done.returncode == 0 else f"did not fit ({done.stderr[-200:]})"


def where(device: torch.device, step: Callable[[], float]) -> list[str]:
    """Return a line for each of the operations that take longest."""
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    with profile(activities=activities) as profiler:
        step()
    on_gpu = device.type == "cuda"
    key = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    kind = "CUDA" if on_gpu else "CPU"  # kernels stand beside the operators that started them
    averages = profiler.key_averages()
    times = {event.key: getattr(event, key) for event in averages if event.device_type.name == kind}
    total = sum(times.values())
    first = sorted(times, key=lambda name: -times[name])[:SHOWN]
    return [f"  {100 * times[name] / total:5.1f} %  {name}" for name in first]


def parser_for(description: str | None, pairs: int) -> argparse.ArgumentParser:
    """Return a parser with the options for device, sizes of patch and networks, and number of pairs."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-device", choices=["cpu", "cuda"], default="cpu", help="default: %(default)s")
    parser.add_argument("-patch", type=int, default=64, help="voxels along an axis (default: %(default)s)")
    parser.add_argument("-channels", type=int, default=1, help="default: %(default)s")
    parser.add_argument("-features", type=int, nargs="+", default=[32, 64, 128, 256, 320, 320], help="of the levels")
    parser.add_argument("-pairs", type=int, default=pairs, help="default: %(default)s")
    return parser


def main() -> None:
    """Print the comparison."""
    parser = parser_for(__doc__, 10)
    parser.add_argument("-peak", choices=["plain", "ours"], help="take two steps and say how much memory they took")
    parser.add_argument("--bf16", action="store_true", help="ours in bfloat16, whatever is fast here")
    parser.add_argument("--exact", action="store_true", help="ours in float32, too")
    parser.add_argument("--compiled", action="store_true", help="with torch.compile")
    parser.add_argument("--channels_last", action="store_true", help="with weights in that order")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    acceleration = replace(Acceleration.of(device), compiled=arguments.compiled, channels_last=arguments.channels_last)
    mixed = (acceleration.mixed or arguments.bf16) and not arguments.exact
    acceleration = replace(acceleration, mixed=mixed)
    both = Both(arguments.patch, arguments.channels, tuple(arguments.features), acceleration, device)
    if arguments.peak:
        step = both.ours if arguments.peak == "ours" else both.reference
        for number in (0, 1, 0, 1):
            if number == 0 and device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()  # of what cuDNN tried, the first time
            step(number)
        print(f"{peak(device):.2f} GiB")
        return
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{name}, {arguments.patch} voxels, {arguments.channels} channels, batch {BATCH}, {acceleration}")
    print(f"peak memory, of all the process: ours {peak_of('ours')}, reference {peak_of('plain')}")
    for step in (both.ours, both.reference):
        step(0)  # these steps have shapes of their own, which the first one pays for
    usual, special = (
        interleaved(partial(both.reference, number), partial(both.ours, number), pairs)
        for number, pairs in ((1, arguments.pairs), (0, max(4, arguments.pairs // 2)))
    )
    means = [
        ((every - 1) * common + rare) / every
        for every, common, rare in (
            (R1_EVERY, usual.reference, special.reference),
            (CHECKED_EVERY, usual.reference * usual.median, special.reference * special.median),
        )
    ]
    print(f"ours over the reference, usual steps: {usual}")
    print(f"ours over the reference, steps with penalty or check: {special}")
    print(f"on average: ours {means[1]:.3f} s, reference {means[0]:.3f} s, {means[1] / means[0]:.3f}")
    for called, step in (("reference", both.reference), ("ours", both.ours)):
        for number, said in ((1, ""), (0, ", with penalty or check")):
            print("\n".join([f"where the time goes, {called}{said}:", *where(device, partial(step, number))]))


if __name__ == "__main__":
    main()
