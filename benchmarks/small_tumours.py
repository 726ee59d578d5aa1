"""Do tumours that are smaller than any of the cohort's come out as tumours? On real scans.

    python -m benchmarks.small_tumours FOLDER [-f 0] [-n 24] [-m METHOD:PRESET ...] [-o PICTURE.png]

FOLDER is what benchmarks.starting_line worked in, with the methods fitted. Tumours of 0.1 to 4 ml are asked for, and
tumours as they come; both are made in memory, in healthy hosts. By size, in the medians over tumours: how far the
inside changes from the host as it was (mean absolute difference, in nnU-Net's normalised units), how bright it is
beside what is within 10 mm of it, and that of the cohort's real tumours. Paints the twelve first small ones: the host,
then each method's.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.commands import enter
from benchmarks.in_memory import CPU, SteeringFold
from benchmarks.starting_line import around
from nnunetv2_tf.geometry.feather import signed_distance
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.methods.lookup import SelectedMethod, find_method
from nnunetv2_tf.synthesis.case_maker import ready_method
from nnunetv2_tf.synthesis.fit_result import learns
from nnunetv2_tf.synthesis.fitting import find_fit
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool, hosts_for
from nnunetv2_tf.tumours.sampling_config import Span

SMALL, SIZES, NEAR = (0.1, 4.0), (0.0, 0.5, 1.0, 4.0, np.inf), 10.0  # ml, ml, mm
SHOWN, WINDOW, SPAN = 12, 28, (-2.0, 2.5)  # tumours, voxels, z shown black and white


@dataclass(frozen=True)
class Made:
    """A tumour in its host."""

    host: np.ndarray  # (Z, Y, X)
    image: np.ndarray
    tumour: np.ndarray
    spacing: tuple[float, ...]
    organ: np.ndarray

    @property
    def volume(self) -> float:
        """Millilitres."""
        return float((self.tumour > 0).sum() * np.prod(self.spacing) / 1000)

    @property
    def changed(self) -> float:
        """How far its inside is from the host's."""
        return float(np.abs(self.image - self.host)[self.tumour > 0].mean())

    @property
    def contrast(self) -> float:
        """How bright it is beside what is near it."""
        return contrast(self.image, self.tumour, self.organ, self.spacing)


def contrast(image: np.ndarray, tumour: np.ndarray, organ: np.ndarray, spacing: Sequence[float]) -> float:
    """Return a tumour's mean less that of the organ within 10 mm of it."""
    inside = tumour > 0
    depth = signed_distance(inside, spacing)
    near = organ & ~inside & (depth <= NEAR)
    return float(image[inside].mean() - image[near].mean())


def made(selected: SelectedMethod, fold: SteeringFold, number: int, asked: Mapping[str, Span]) -> list[Made]:
    """Make so many tumours by a method."""
    pool = hosts_for(selected, fold.healthy.cohort, fold.healthy.seed, asked, 1)
    assert isinstance(pool, HealthyHostPool)
    fit = find_fit(fold.healthy, selected) if learns(selected) else None
    method, tumours = ready_method(selected, fit, CPU), []
    for line in tqdm(pool.lines(number), selected.name, unit="case"):
        site = pool.site_builder(line).build(pool.cases[line.host].open(), with_donors=method.pastes).site
        (edited,) = method.edit([site], [np.random.default_rng(line.seed)])
        host, image = site.image[0].numpy(), edited.image[0].numpy()
        tumours.append(Made(host, image, site.tumour.numpy(), site.spacing, site.organ.numpy()))
    return tumours


def told(name: str, tumours: Sequence[Made]) -> list[str]:
    """Say by size what came out."""
    lines = []
    for low, high in pairwise(SIZES):
        among = [one for one in tumours if low <= one.volume < high]
        if among:
            size = f"{low:g} to {high:g} ml" if np.isfinite(high) else f"from {low:g} ml"
            changed = np.median([one.changed for one in among])
            beside = np.median([one.contrast for one in among])
            lines.append(f"{name}, {size}: {len(among)}, inside changed by {changed:.2f}, contrast {beside:+.2f}")
    return lines


def panel(image: np.ndarray, one: Made, title: str, outlined: bool = False) -> Panel:
    """Return the slice with most of a tumour, around it."""
    seen = np.where(one.organ, image, SPAN[0])
    shown, label = around([(seen, SPAN[0]), (one.tumour, 0)], one.tumour, WINDOW)
    return Panel(shown, SPAN, label if outlined else None, title)


def main() -> None:
    """Make, measure, print and paint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    parser.add_argument("-f", type=int, default=0, help="fold (default: %(default)s)")
    parser.add_argument("-n", type=int, default=24, help="cases of each kind (default: %(default)s)")
    parser.add_argument("-m", nargs="+", default=["difftumor:brief", "tf_aug:default"], metavar="METHOD:PRESET")
    parser.add_argument("-o", type=Path, default=Path("docs/pictures/small_tumours.png"))
    arguments = parser.parse_args()
    enter(arguments.root.resolve())
    torch.set_num_threads(1)
    fold, rows, tumours = SteeringFold(arguments.f), [], []
    for name in arguments.m:
        method, _, preset = name.rpartition(":")
        selected = find_method(method, preset)
        small = made(selected, fold, arguments.n, {"volume_ml": SMALL})
        print("\n".join(told(name, [*small, *made(selected, fold, arguments.n, {})])), flush=True)
        shown = small[:SHOWN]
        if rows and any((one.tumour != other).any() for one, other in zip(shown, tumours, strict=True)):
            parser.error(f"{name} draws other tumours than {arguments.m[0]}; ask for each by itself.")
        tumours = [one.tumour for one in shown]
        if not rows:
            rows.append([panel(one.host, one, "host" if not index else "") for index, one in enumerate(shown)])
            rows.append([panel(one.host, one, f"{one.volume:.1f} ml", True) for one in shown])
        rows.append([panel(one.image, one, name if not index else "") for index, one in enumerate(shown)])
    cases = [case.open() for case in fold.healthy.cohort.labelled.values()]
    real = [
        contrast(case.image()[0], case.tumour(), case.organ(), case.grid.spacing) for case in cases if case.has_tumour()
    ]
    print(f"real tumours: contrast {np.median(real):+.2f} ({min(real):+.2f} to {max(real):+.2f})")
    write_panels(rows, arguments.o, inches=1.3)
    print(arguments.o)


if __name__ == "__main__":
    main()
