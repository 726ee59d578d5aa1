"""Small planned and preprocessed datasets of every kind that methods must cope with."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, binary_erosion

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import locked, read_json, write_json
from nnunetv2_tf.methods.base import Method
from nnunetv2_tf.methods.lookup import SelectedMethod, find_method, needed_by
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.standin.brains import CLASSES, Brains
from nnunetv2_tf.standin.cohort import StandinCohort
from nnunetv2_tf.standin.livers import Livers
from nnunetv2_tf.synthesis.case_maker import CaseTask
from nnunetv2_tf.synthesis.fit_result import FitResult, build_method
from nnunetv2_tf.synthesis.site_builder import PlacedSiteBuilder, RealSiteBuilder
from nnunetv2_tf.training.precision import Acceleration
from nnunetv2_tf.tumours.bank import bank_from_cases
from nnunetv2_tf.tumours.recipe import DonorTumour, RecipeLine
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED
from nnunetv2_tf.working_space.preprocess import Plan, preprocess_cases
from nnunetv2_tf.working_space.site import Site
from nnunetv2_tf.working_space.stored import Case, OpenCase, training_cases
from tests.learnt import write_learnt
from tests.workspace import PLANNED, TINY, TRAINER, Workspace, write_test_plans

CPU = torch.device("cpu")
EXACT = Acceleration()  # training is the same on all CPUs


@dataclass(frozen=True)
class FourClasses(Brains):
    """Brains whose edema is two classes, one before and one behind the middle."""

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, label = super().draw(rng)
        behind = np.arange(label.shape[1])[:, None] > label.shape[1] // 2
        return image, np.where((label == 2) & behind, 4, label).astype(np.uint8)


@dataclass(frozen=True)
class AtTheBorder(Brains):
    """Brains with a tumour that touches the edge of the brain, which all brains have at another place."""

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, _ = super().draw(rng)
        brain = image[0] != 0
        rim = np.argwhere(brain & (np.asarray(binary_erosion(brain)) == 0))
        centre = rim[len(rim) // 3]
        distance = np.linalg.norm(np.indices(brain.shape) - centre[:, None, None, None], axis=0)
        label = np.select([brain & (distance < 3), brain & (distance < 5), brain & (distance < 7)], [3, 1, 2])
        return np.where(label > 0, np.maximum(image // 2, 1), image), label.astype(np.uint8)


@dataclass(frozen=True)
class Gas(Livers):
    """Abdomens with pockets of gas, darker than what nnU-Net's limits leave of it."""

    def description(self, num_cases: int) -> dict[str, Any]:
        return {**super().description(num_cases), "tf": {"tumour": ["tumour"]}}

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, label = super().draw(rng)
        image[0][rng.random(label.shape) < 0.3] = -900
        return image, label


@dataclass(frozen=True)
class LabelledOutside(Brains):
    """Brains whose label reaches into the background here and there."""

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, label = super().draw(rng)
        brain = image[0] != 0
        rim = np.asarray(binary_dilation(brain)) & ~brain
        return image, np.where(rim & (rng.random(label.shape) < 0.5), 2, label).astype(np.uint8)


@dataclass(frozen=True)
class Scene:
    """A dataset and the plans to look at it with."""

    cohort: StandinCohort
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of the plans
    scheme: str = "ZScoreNormalization"
    masked: bool = True
    axes: tuple[int, int, int] = (0, 1, 2)  # the plans' transpose_forward
    extra: dict = field(default_factory=dict)  # in dataset.json
    num_cases: int = 5  # the last one validates


OBLIQUE = (0.9553364891256061, -0.2955202066613395, 0.0, 0.2955202066613395, 0.9553364891256061, 0.0, 0.0, 0.0, 1.0)
LPS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
SCENES = {
    "one channel": Scene(Brains()),
    "four channels, two classes": Scene(
        Brains(channel_names=("t1n", "t1c", "t2w", "t2f"), labels={"background": 0, "NCR": 1, "ED": 2})
    ),
    "four classes": Scene(FourClasses(labels={**CLASSES, "ED2": 4})),
    "CT with gas": Scene(Gas(), scheme="CTNormalization", masked=False),
    "oblique, odd": Scene(
        Brains(shape=(25, 33, 29), spacing=(0.5, 0.5, 0.5), direction=OBLIQUE), spacing=(1.0, 1.0, 1.0)
    ),
    "CT": Scene(Livers(), scheme="CTNormalization", masked=False),
    "thick slices": Scene(Brains(shape=(12, 40, 36), spacing=(4.0, 1.0, 1.0)), spacing=(4.0, 1.0, 1.0)),
    "thick slices, coarser": Scene(Brains(shape=(12, 40, 36), spacing=(4.0, 1.0, 1.0)), spacing=(4.0, 1.5, 1.5)),
    "coarser": Scene(Brains(), spacing=(1.6, 1.6, 1.6)),
    "finer": Scene(Brains(spacing=(1.5, 1.5, 1.5)), spacing=(1.0, 1.0, 1.0)),
    "turned": Scene(Brains(direction=LPS), axes=(2, 0, 1)),
    "border": Scene(AtTheBorder()),
    "border, coarser": Scene(AtTheBorder(), spacing=(1.4, 1.4, 1.4)),
    "unmasked": Scene(Brains(), masked=False),
    "rescaled": Scene(Brains(), scheme="RescaleTo01Normalization", masked=False),
}

SAME_GRID = [name for name, scene in SCENES.items() if scene.spacing == scene.cohort.spacing]  # nothing is resampled


@dataclass(frozen=True)
class Built:
    """A scene on disk."""

    workspace: Workspace
    dataset: Dataset
    plan: Plan
    cases: list[OpenCase]  # the training ones

    def task(self, host: int, donor: int, method: str, seed: int = 0, model: Case | None = None) -> CaseTask:
        """Host and donor by their number. For methods with healthy hosts a patient stands in for one.

        With a model, the host takes over its appearance.
        """
        selected, receiver, giver = find_method(method), self.cases[host], self.cases[donor]
        tumours, part = (DonorTumour(giver.identifier),), SetPart(self.dataset, "made", 0)
        donors = {giver.identifier: giver}
        if "real" in selected.method_class.hosts:
            line = RecipeLine(0, None, receiver.identifier, tumours, seed)
            return CaseTask(receiver, RealSiteBuilder(line, donors), selected, part, ())
        line = RecipeLine(0, receiver.identifier, None, tumours, seed)
        builder = PlacedSiteBuilder(
            line, bank_from_cases([giver], {}), donors, model, AS_PUBLISHED, (giver.identifier,), {}, {}
        )  # fmt: skip
        return CaseTask(receiver, builder, selected, part, (), self.fit(selected))

    def site(self, host: int, donor: int, method: str) -> Site:
        """The site that a method is given."""
        task = self.task(host, donor, method)
        return task.site_builder.build(task.host.open(), self.ready(method).pastes).site

    def ready(self, method: str) -> Method:
        """A method that has learnt, if it learns."""
        selected = find_method(method)
        fit = self.fit(selected)
        return build_method(selected, CPU) if fit is None else fit.load(CPU)

    def fit(self, selected: SelectedMethod) -> FitResult | None:
        """What a method that learns might have learnt here."""
        folder = write_learnt(
            selected.name, self.workspace.root / "learnt", self.plan, tuple(self.cases[0].roles.tumour)
        )  # fmt: skip
        if folder is None:
            return None
        needed = tuple(fit for fit in map(self.fit, needed_by(selected)) if fit is not None)
        return FitResult(selected, folder, None, f"{selected.name} {folder}", needed)

    def baseline(self) -> Baseline:
        """A model that nnU-Net's trainer wrote before its first step; needs the environment of this scene."""
        model = Baseline(self.dataset, "nnUNetTrainer", TINY, "3d_fullres", 0)
        with locked(self.workspace.root / "baseline.lock", "the scene's baseline"):  # workers share scenes
            if not model.path.exists():
                write_test_plans(self.dataset)
                trainer = self.workspace.trainer("nnUNetTrainer")
                trainer.initialize()
                validation = model.folder / "validation"
                validation.mkdir(parents=True)
                (validation / f"{list(raw_cases(self.dataset))[-1]}.nii.gz").touch()
                trainer.save_checkpoint(str(model.path))
        return model

    def trained_baseline(self) -> Baseline:
        """A model that was trained for some steps; needs the environment of this scene."""
        model = Baseline(self.dataset, TRAINER, TINY, "3d_fullres", 0)
        with locked(self.workspace.root / "trained.lock", "the scene's trained baseline"):
            if not model.path.exists():
                write_test_plans(self.dataset)
                self.workspace.trainer(TRAINER).run_training()
        return model


Builder = Callable[[Scene], Built]
DATASET = Dataset("Dataset777_Scene")


@pytest.fixture(scope="session")
def build_scene(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Builds a scene in a place of its own."""

    def build(scene: Scene) -> Built:
        root = tmp_path_factory.mktemp("scene")
        write_scene(scene, root)
        return open_scene(root)

    return build


def write_scene(scene: Scene, root: Path) -> None:
    """Writes a scene's cases and one fold, plans them by hand, and preprocesses them."""
    workspace = Workspace(root, DATASET)
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in workspace.variables.items():
            patch.setenv(name, folder)
            Path(folder).mkdir()
        scene.cohort.write_dataset(DATASET.raw, scene.num_cases, seed=0)
        description = read_json(DATASET.raw / "dataset.json", "") | scene.extra
        write_json(DATASET.raw / "dataset.json", description)
        write_json(DATASET.preprocessed / "dataset.json", description)
        shutil.copy(PLANNED / "dataset_fingerprint.json", DATASET.preprocessed)
        plans = read_json(PLANNED / "nnUNetPlans.json", "")
        _adapt(plans, scene, len(description["channel_names"]))
        plans["dataset_name"] = DATASET.name
        write_json(DATASET.preprocessed / "nnUNetPlans.json", plans)
        plan = Plan.read(DATASET, "nnUNetPlans", "3d_fullres")
        files = raw_cases(DATASET)
        list(preprocess_cases(plan, list(files.values()), DATASET.preprocessed / plan.data_identifier, 1))
        names = list(files)
        write_json(DATASET.preprocessed / "splits_final.json", [{"train": names[:-1], "val": names[-1:]}])


def open_scene(root: Path) -> Built:
    """A scene that was written."""
    workspace = Workspace(root, DATASET)
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in workspace.variables.items():
            patch.setenv(name, folder)
        plan = Plan.read(DATASET, "nnUNetPlans", "3d_fullres")
        cases = training_cases(raw_cases(DATASET), DATASET, plan, 0)
        return Built(workspace, DATASET, plan, [case.open() for case in cases])


def _adapt(plans: dict, scene: Scene, channels: int) -> None:
    settings = plans["configurations"]["3d_fullres"]
    settings |= {
        "spacing": list(scene.spacing),
        "normalization_schemes": [scene.scheme] * channels,
        "use_mask_for_norm": [scene.masked] * channels,
    }
    properties = {"mean": 50.0, "std": 60.0, "percentile_00_5": -150.0, "percentile_99_5": 250.0}
    plans["foreground_intensity_properties_per_channel"] = {
        str(channel): {**properties, "min": -1000.0, "max": 400.0, "median": 40.0} for channel in range(channels)
    }
    plans["transpose_forward"] = list(scene.axes)
    plans["transpose_backward"] = [scene.axes.index(axis) for axis in range(3)]
    plans["image_reader_writer"] = scene.extra.get("overwrite_image_reader_writer", "SimpleITKIO")
