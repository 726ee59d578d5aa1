"""Does refining bring coarse tumours nearer to real ones that have what coarse ones lack?

    python -m benchmarks.tf_gan_learns FOLDER [-seeds 3 4 5]

Stand-ins: patients whose tumours are grainy and have a rim, healthy people from the same scanner. Coarse tumours are
TF-Aug's, without texture, with half the host's contrast and the mean brightness of real tumours, by class: smooth, and
without a rim. TF-GAN's `default` (a narrow generator, fewer steps) is trained with several seeds, and once with the
weights of adversarial and perceptual losses at 0. Judged by the KID of tumours to those of patients whom nobody was
trained on, through the encoder of a baseline that no loss has seen. Wanted: refined at most half of coarse, and no
change without those losses; besides, no seams where tiles cover a whole brain.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from scipy.ndimage import binary_erosion, gaussian_filter
from torch.nn.functional import pad

from benchmarks.commands import enter, is_converted, run
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.geometry.boxes import fullest_slice
from nnunetv2_tf.io.panels import Panel, write_panels
from nnunetv2_tf.methods.base import FitData, Method, Site
from nnunetv2_tf.methods.tf_aug.config import PRESETS as COARSE
from nnunetv2_tf.methods.tf_aug.fitting import IntensityMap
from nnunetv2_tf.methods.tf_aug.method import TFAug
from nnunetv2_tf.methods.tf_aug.samples import moments_of_real
from nnunetv2_tf.methods.tf_gan.config import PRESETS, TFGANConfig
from nnunetv2_tf.methods.tf_gan.method import TFGAN
from nnunetv2_tf.methods.tf_gan.networks import one_hot
from nnunetv2_tf.methods.tf_gan.refinement import added_by
from nnunetv2_tf.networks.tiling import borders, tile_starts
from nnunetv2_tf.quality.boundary import seam_ratio
from nnunetv2_tf.quality.realism import kernel_distance, tumour_features
from nnunetv2_tf.standin.brains import Brains, healthy
from nnunetv2_tf.standin.scanner import CLINICAL
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED
from nnunetv2_tf.working_space.network_plans import write_plans_with
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.stored import Case, training_cases

PATIENTS, PEOPLE, JUDGED = 40, 24, 40
SHAPE, PATCH, FEATURES = (40, 48, 40), (32, 32, 32), (16, 32, 64)
REAL, HEALTHY, PLANS = Dataset("Dataset541_Grainy"), Dataset("Dataset641_Plain"), "nnUNetPlansSmall"
TRAINED, UNSEEN = "TFBaselineTrainer_2epochs_seed0", "TFBaselineTrainer_2epochs_seed1"
GRAIN, RIM = 0.35, 0.4  # of the tumour's mean brightness
SMOOTH = replace(COARSE["default"], texture=0.0, grain=0.0)
CONFIG = replace(
    PRESETS["default"], features=(8, 16, 32), rim_mm=0.0, epochs=100, iterations=12
)  # brains of 4 cm, of one scanner
IDLE = replace(CONFIG, lambda_a=0.0, lambda_b=0.0, lambda_d=0.0, lambda_e=0.0)
HALF, STILL, SEAMLESS = 0.5, 1e-3, (0.9, 1.1)
SHOWN, TILED = 6, 24


@dataclass(frozen=True)
class Grainy(Brains):
    """Patients whose tumours have a grain of two voxels, and a bright rim."""

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one person as Brains does, and give the tumour grain and rim."""
        image, label = super().draw(rng)
        noise = rng.normal(size=label.shape)
        grain = gaussian_filter(noise, 0.6) - gaussian_filter(noise, 1.5)
        inside = label > 0
        rim = inside & ~np.asarray(binary_erosion(inside, iterations=1), bool)
        factor = 1 + GRAIN * grain / grain.std() * inside + RIM * rim
        return np.clip(image * factor, np.minimum(image, 1), 32000).astype(np.int16), label


@dataclass(frozen=True)
class Setting:
    """All that fits and judgements share."""

    hosts: HealthyHostPool
    stage1: Method
    data: Callable[[int], FitData]  # by seed
    judge: Encoder
    real: np.ndarray  # (N, F) of patients whom nobody was trained on


def prepared(root: Path) -> Setting:
    """Make datasets, baselines and TF-Aug, what is missing of them; return all that fits share."""
    enter(root)
    if not is_converted(REAL):
        Grainy(shape=SHAPE).write_dataset(REAL.raw, PATIENTS, seed=0)
        healthy(shape=SHAPE, scanner=CLINICAL).write_dataset(HEALTHY.raw, PEOPLE, seed=1)
    if not (REAL.preprocessed / f"{PLANS}.json").exists():
        run("nnUNetv2_plan_and_preprocess", "-d", "541", "-c", "3d_fullres", "-np", "2", "-npfp", "2", "--clean")
        write_plans_with(REAL, "nnUNetPlans", PLANS, PATCH, FEATURES)
    run("nnUNetv2_tf_preprocess_healthy", "-d", "541", "-healthy", "641", "-p", PLANS, "-c", "3d_fullres", "-np", "2")
    for trainer in (TRAINED, UNSEEN):
        if not baseline(trainer).path.exists():
            run("nnUNetv2_train", "541", "3d_fullres", "0", "-tr", trainer, "-p", PLANS, "-device", "cpu",
                nnUNet_n_proc_DA="0")  # fmt: skip
    plan = Plan.read(REAL, PLANS, "3d_fullres")
    hosts = HealthyHostPool(Cohort(REAL, plan, 0, HEALTHY), seed=0, sampling=AS_PUBLISHED)
    stage1, judge = TFAug(SMOOTH, torch.device("cpu"), {}), Encoder.of(baseline(UNSEEN))
    stage1.fitted_to = _as_bright_as_real(hosts)
    cases = training_cases(hosts.cohort.files, REAL, plan, "all")
    unseen = [case for case in cases if case.identifier not in hosts.cohort.training]
    real = tumour_features(_images_and_tumours(unseen), judge, PATCH, torch.device("cpu"))
    return Setting(hosts, stage1, partial(_data, hosts), judge, real)


def _images_and_tumours(cases: Iterable[Case]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image (C, Z, Y, X) and tumour map (Z, Y, X) of each case."""
    for case in cases:
        opened = case.open()
        yield opened.image(), opened.tumour()


def _as_bright_as_real(hosts: HealthyHostPool) -> IntensityMap:
    """Return a = 0.5 for all classes, and as b the mean of real tumours: hosts have a mean of 0."""
    classes = hosts.cohort.class_values
    real = moments_of_real(list(hosts.cohort.training.values()), tuple(classes.values()))
    b = tuple((float(real[value][0][0]),) for value in classes.values())
    return IntensityMap(tuple(classes.values()), tuple(classes), ("t1n",), ((0.5,),) * len(classes), b, (), (), ())


def baseline(trainer: str) -> Baseline:
    """Return the baseline that a trainer has trained, or is to train."""
    return Baseline(REAL, trainer, PLANS, "3d_fullres", 0)


def _data(hosts: HealthyHostPool, seed: int) -> FitData:
    return FitData(
        real=list(hosts.cohort.training.values()),
        healthy=list(hosts.cases.values()),
        sample_site=partial(hosts.sample_site, False),
        baseline=baseline(TRAINED),
        plan=hosts.cohort.plan,
        roles=hosts.cohort.roles,
        channels=channel_names(REAL),
        class_names=hosts.cohort.class_values,
        rng=np.random.default_rng(seed),
    )


def trained(setting: Setting, config: TFGANConfig, seed: int, folder: Path) -> TFGAN:
    """Return TF-GAN with a trained generator; what was trained before is taken up."""
    method = TFGAN(config, torch.device("cpu"), {"tf_aug": setting.stage1})
    start = perf_counter()
    method.fit(setting.data(seed), folder)
    print(f"{folder.name}: {perf_counter() - start:.0f} s (0 when it was there)", flush=True)
    return method


def sites(setting: Setting) -> list[Site]:
    """Draw the sites that are edited, the same ones for all methods."""
    return [setting.hosts.sample_site(False, np.random.default_rng([99, index])) for index in range(JUDGED)]


def edited(method: Method, several: list[Site]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield finished images, normalised anew as nnU-Net does, and their tumour maps."""
    for index, site in enumerate(several):
        (result,) = method.edit([site], [np.random.default_rng([98, index])])
        image, body = result.image.numpy().copy(), site.body.numpy()
        inside = image[:, body]
        image[:, body] = (inside - inside.mean(axis=1, keepdims=True)) / inside.std(axis=1, keepdims=True)
        yield image, site.tumour.numpy()


def seams(method: TFGAN, several: Sequence[Site]) -> float:
    """Return how visible tiles' borders are, where tiles cover all of the brain: 1 where they are not.

    It is the step between voxels across borders over that elsewhere, divided by the same of the generator's answer to
    the whole volume at once, since tumours do not lie evenly about borders.
    """
    design, ratios = method.generator.design, []
    size = design.levels.patch
    for site in several[:TILED]:
        x_s_ = design.domain.normalise(site.image[None], site.body[None])
        m_s = one_hot(site.tumour[None], design.classes)
        body, box = site.body.numpy(), tuple(slice(0, extent) for extent in site.body.shape)
        planes = borders(tile_starts(box, body.shape, size), size)
        halved = np.prod(design.levels.strides, axis=0).tolist()
        room = [-extent % most for extent, most in zip(body.shape, halved, strict=True)]
        more = [0, room[2], 0, room[1], 0, room[0]]
        with torch.no_grad():
            whole = method.generator(pad(x_s_, more, value=-1.0), pad(m_s, more))[0, 0]
        tiled = added_by(method.generator, site.image, site, box)[0]
        cut = whole[tuple(slice(extent) for extent in body.shape)]
        ratios.append(seam_ratio(tiled.numpy(), planes, body) / seam_ratio(cut.numpy(), planes, body))
    return float(np.mean(ratios))


def paint(path: Path, setting: Setting, columns: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> None:
    """Paint some tumours where they are largest: real ones, coarse ones, and refined ones."""
    reals = list(_images_and_tumours(list(setting.hosts.cohort.training.values())[:SHOWN]))
    rows = []
    for index in range(SHOWN):
        row = []
        for name, cases in {"real": reals, **columns}.items():
            image, tumour = cases[index]
            cut = fullest_slice(tumour > 0)
            row.append(Panel(image[0, cut], (-3.0, 4.0), None, "" if rows else name))
        rows.append([*row, Panel(row[-1].image, (-3.0, 4.0), tumour[cut])])
    write_panels(rows, path)


def main() -> int:
    """Train, judge and print; return 1 when something is not as wanted, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders and the generators go")
    parser.add_argument("-seeds", type=int, nargs="+", default=[3, 4, 5], help="default: %(default)s")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    setting = prepared(root)
    several = sites(setting)
    shown = {"coarse": list(edited(setting.stage1, several))}

    def distance(cases: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
        return kernel_distance(tumour_features(cases, setting.judge, PATCH, torch.device("cpu")), setting.real)

    coarse = distance(shown["coarse"])
    others = distance(_images_and_tumours(setting.hosts.cohort.training.values()))
    print(
        f"KID to {len(setting.real)} patients whom nobody was trained on: the others {others:.4f}, coarse {coarse:.4f}"
    )
    good = True
    for seed in arguments.seeds:
        method = trained(setting, CONFIG, seed, root / f"seed_{seed}")
        shown[f"refined, seed {seed}"] = list(edited(method, several))
        refined = distance(shown[f"refined, seed {seed}"])
        good &= refined <= HALF * coarse
        share = refined / coarse
        print(f"seed {seed}: refined {refined:.4f}, {share:.2f} of coarse (wanted: at most {HALF})", flush=True)
        seam = seams(method, several)
        good &= SEAMLESS[0] <= seam <= SEAMLESS[1]
        print(f"seed {seed}: step across tiles' borders over elsewhere {seam:.3f} (wanted: {SEAMLESS})", flush=True)
    idle = trained(setting, IDLE, arguments.seeds[0], root / "idle")
    moved = max(
        float(np.abs(refined - coarse_image).max())
        for (refined, _), (coarse_image, _) in zip(edited(idle, several), shown["coarse"], strict=True)
    )
    print(f"without adversarial and perceptual losses the images change by at most {moved:.2g} sd (wanted: {STILL})")
    paint(root / "learns.png", setting, shown)
    return 0 if good and moved <= STILL else 1


if __name__ == "__main__":
    sys.exit(main())
