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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from scipy.ndimage import binary_erosion, gaussian_filter
from torch.nn.functional import pad

from benchmarks.commands import enter, run
from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.baseline.encoder import Encoder
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.meaning import class_values
from nnunetv2_tf.methods.base import FitData, Method, Site
from nnunetv2_tf.methods.tf_aug.config import PRESETS as COARSE
from nnunetv2_tf.methods.tf_aug.fitting import Fitted
from nnunetv2_tf.methods.tf_aug.method import TFAug
from nnunetv2_tf.methods.tf_aug.samples import moments_of_real
from nnunetv2_tf.methods.tf_gan.config import PRESETS, TFGANConfig
from nnunetv2_tf.methods.tf_gan.method import TFGAN
from nnunetv2_tf.methods.tf_gan.networks import one_hot
from nnunetv2_tf.methods.tf_gan.refinement import added_by, borders, tile_starts
from nnunetv2_tf.panels import Panel, write_panels
from nnunetv2_tf.preparation.preprocess import Plan
from nnunetv2_tf.preparation.stored import training_cases
from nnunetv2_tf.quality.boundary import seam_ratio
from nnunetv2_tf.quality.realism import kernel_distance, tumour_features
from nnunetv2_tf.standin.brains import Brains, healthy
from nnunetv2_tf.standin.plans import write_small_plans
from nnunetv2_tf.standin.scanner import CLINICAL
from nnunetv2_tf.synthesis.hosts import HealthyHosts
from nnunetv2_tf.tumours.settings import PRESETS as DRAWING

PATIENTS, PEOPLE, JUDGED = 40, 24, 40
SHAPE, PATCH, FEATURES = (40, 48, 40), (32, 32, 32), (16, 32, 64)
REAL, HEALTHY, PLANS = Dataset("Dataset541_Grainy"), Dataset("Dataset641_Plain"), "nnUNetPlansSmall"
TRAINED, UNSEEN = "TFBaselineTrainer_2epochs_seed0", "TFBaselineTrainer_2epochs_seed1"
GRAIN, RIM = 0.35, 0.4  # of the tumour's mean brightness
SMOOTH = replace(COARSE["default"], texture=0.0, grain=0.0)
CONFIG = replace(PRESETS["default"], features=(8, 16, 32), rim_mm=0.0, epochs=100)  # brains of 4 cm, of one scanner
IDLE = replace(CONFIG, lambda_a=0.0, lambda_b=0.0, lambda_d=0.0)
HALF, STILL, SEAMLESS = 0.5, 1e-3, (0.9, 1.1)
SHOWN, TILED = 6, 24


@dataclass(frozen=True)
class Grainy(Brains):
    """Patients whose tumours have a grain of two voxels, and a bright rim."""

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One person, as Brains has it."""
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

    hosts: HealthyHosts
    stage1: Method
    data: Callable[[int], FitData]  # by seed
    judge: Encoder
    real: np.ndarray  # (N, F) of patients whom nobody was trained on


def prepared(root: Path) -> Setting:
    """Datasets, baselines and TF-Aug, what is missing of them."""
    enter(root)
    if not REAL.raw.exists():
        Grainy(shape=SHAPE).write_dataset(REAL.raw, PATIENTS, seed=0)
        healthy(shape=SHAPE, scanner=CLINICAL).write_dataset(HEALTHY.raw, PEOPLE, seed=1)
    if not (REAL.preprocessed / f"{PLANS}.json").exists():
        run("nnUNetv2_plan_and_preprocess", "-d", "541", "-c", "3d_fullres", "-np", "2", "-npfp", "2", "--clean")
        write_small_plans(REAL, "nnUNetPlans", PLANS, PATCH, FEATURES)
    run("nnUNetv2_tf_preprocess_healthy", "-d", "541", "-healthy", "641", "-p", PLANS, "-c", "3d_fullres", "-np", "2")
    for trainer in (TRAINED, UNSEEN):
        if not baseline(trainer).path.exists():
            run("nnUNetv2_train", "541", "3d_fullres", "0", "-tr", trainer, "-p", PLANS, "-device", "cpu",
                nnUNet_n_proc_DA="0")  # fmt: skip
    plan = Plan.read(REAL, PLANS, "3d_fullres")
    hosts = HealthyHosts(REAL, plan, 0, 0, HEALTHY, DRAWING["paper"], harmonised=False)
    stage1, judge = TFAug(SMOOTH, torch.device("cpu"), {}), Encoder.of(baseline(UNSEEN))
    stage1.fitted_to = _as_bright_as_real(hosts)
    cases = training_cases(hosts.files, REAL, plan, "all")
    unseen = [case for case in cases if case.identifier not in hosts.training]
    real = tumour_features(((case.image(), case.tumour()) for case in unseen), judge, PATCH, torch.device("cpu"))
    return Setting(hosts, stage1, partial(_data, hosts), judge, real)


def _as_bright_as_real(hosts: HealthyHosts) -> Fitted:
    """A = 0.5, and b the mean of real tumours: hosts have a mean of 0."""
    classes = class_values(REAL)
    real = moments_of_real(list(hosts.training.values()), tuple(classes.values()))
    b = tuple((float(real[value][0][0]),) for value in classes.values())
    return Fitted(tuple(classes.values()), tuple(classes), ("t1n",), ((0.5,),) * len(classes), b, (), (), ())


def baseline(trainer: str) -> Baseline:
    """One of the two."""
    return Baseline(REAL, trainer, PLANS, "3d_fullres", 0)


def _data(hosts: HealthyHosts, seed: int) -> FitData:
    return FitData(
        real=list(hosts.training.values()),
        healthy=list(hosts.cases.values()),
        sample_site=partial(hosts.sample_site, False),
        baseline=baseline(TRAINED),
        class_names=class_values(REAL),
        rng=np.random.default_rng(seed),
    )


def trained(setting: Setting, config: TFGANConfig, seed: int, folder: Path) -> TFGAN:
    """A generator; what was trained before is taken up."""
    method = TFGAN(config, torch.device("cpu"), {"tf_aug": setting.stage1})
    start = perf_counter()
    method.fit(setting.data(seed), folder)
    print(f"{folder.name}: {perf_counter() - start:.0f} s (0 when it was there)", flush=True)
    return method


def sites(setting: Setting) -> list[Site]:
    """New ones, the same for all."""
    return [setting.hosts.sample_site(False, np.random.default_rng([99, index])) for index in range(JUDGED)]


def edited(method: Method, several: list[Site]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Finished images, normalised anew as nnU-Net does, and their maps."""
    for index, site in enumerate(several):
        (one,) = method.edit([site], [np.random.default_rng([98, index])])
        image, body = one.image.numpy().copy(), site.body.numpy()
        inside = image[:, body]
        image[:, body] = (inside - inside.mean(axis=1, keepdims=True)) / inside.std(axis=1, keepdims=True)
        yield image, site.tumour.numpy()


def seams(method: TFGAN, several: Sequence[Site]) -> float:
    """Tiles over all of the brain, which is larger than a patch: the step across their borders over that elsewhere.

    Over the same of the generator's answer to the whole volume at once, since tumours do not lie evenly about borders.
    """
    design, ratios = method.generator.design, []
    size = design.levels.patch
    for site in several[:TILED]:
        x_s_, m_s = design.domain.into(site.image[None], site.body[None]), one_hot(site.tumour[None], design.classes)
        body, box = site.body.numpy(), tuple(slice(0, extent) for extent in site.body.shape)
        planes = borders(tile_starts(box, body.shape, size), size)
        halved = np.prod(design.levels.strides, axis=0).tolist()
        room = [-extent % most for extent, most in zip(body.shape, halved, strict=True)]
        more = [0, room[2], 0, room[1], 0, room[0]]
        with torch.no_grad():
            whole = method.generator(pad(x_s_, more, value=-1.0), pad(m_s, more))[0, 0]
        tiled = added_by(method.generator, site.image, site, box)[0]
        cut = whole[tuple(slice(extent) for extent in body.shape)]
        ratios.append([seam_ratio(one.numpy(), planes, body) for one in (tiled, cut)])
    return float(np.mean([one / other for one, other in ratios]))


def paint(path: Path, setting: Setting, columns: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> None:
    """Some tumours where they are largest: real ones, coarse ones, and refined ones."""
    reals = [(case.image(), case.tumour()) for case in list(setting.hosts.training.values())[:SHOWN]]
    rows = []
    for index in range(SHOWN):
        row = []
        for name, cases in {"real": reals, **columns}.items():
            image, tumour = cases[index]
            cut = int((tumour > 0).sum(axis=(1, 2)).argmax())
            row.append(Panel(image[0, cut], (-3.0, 4.0), None, "" if rows else name))
        rows.append([*row, Panel(row[-1].image, (-3.0, 4.0), tumour[cut])])
    write_panels(rows, path)


def main() -> int:
    """Exit code 1 when a wish is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders and the generators go")
    parser.add_argument("-seeds", type=int, nargs="+", default=[3, 4, 5], help="default: %(default)s")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    setting = prepared(root)
    several = sites(setting)
    shown = {"coarse": list(edited(setting.stage1, several))}

    def distance(cases: list[tuple[np.ndarray, np.ndarray]]) -> float:
        found = tumour_features(cases, setting.judge, PATCH, torch.device("cpu"))
        return kernel_distance(found, setting.real)

    seen = tumour_features(
        ((case.image(), case.tumour()) for case in setting.hosts.training.values()), setting.judge, PATCH,
        torch.device("cpu"),
    )  # fmt: skip
    coarse, others = distance(shown["coarse"]), kernel_distance(seen, setting.real)
    print(
        f"KID to {len(setting.real)} patients whom nobody was trained on: the others {others:.4f}, coarse {coarse:.4f}"
    )
    good = True
    for seed in arguments.seeds:
        method = trained(setting, CONFIG, seed, root / f"seed_{seed}")
        shown[f"refined, seed {seed}"] = list(edited(method, several))
        found = distance(shown[f"refined, seed {seed}"])
        good &= found <= HALF * coarse
        print(f"seed {seed}: refined {found:.4f}, {found / coarse:.2f} of coarse (wanted: at most {HALF})", flush=True)
        seam = seams(method, several)
        good &= SEAMLESS[0] <= seam <= SEAMLESS[1]
        print(f"seed {seed}: step across tiles' borders over elsewhere {seam:.3f} (wanted: {SEAMLESS})", flush=True)
    idle = trained(setting, IDLE, arguments.seeds[0], root / "idle")
    moved = max(
        float(np.abs(one - other).max())
        for (one, _), (other, _) in zip(edited(idle, several), shown["coarse"], strict=True)
    )
    print(f"without adversarial and perceptual losses the images change by at most {moved:.2g} sd (wanted: {STILL})")
    paint(root / "learns.png", setting, shown)
    return 0 if good and moved <= STILL else 1


if __name__ == "__main__":
    sys.exit(main())
