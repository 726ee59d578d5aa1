"""What version 0.1.0 at a739f9a left on disk is read as it was meant: a set, the fits behind it, and kept records.

`tests/kept` is part of what `benchmarks/same_bytes.py` makes by that commit: TF-GAN, trained for two steps. The last
test installs that commit, works with it, installs this one over it, and goes on.
"""

import io
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.io import kept as kept_file
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.methods.tf_aug.config import PRESETS as TF_AUG
from nnunetv2_tf.methods.tf_aug.method import TFAug
from nnunetv2_tf.methods.tf_gan.config import PRESETS as TF_GAN
from nnunetv2_tf.methods.tf_gan.method import TFGAN
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.harmonise import Appearance
from nnunetv2_tf.synthesis.set_config import SetConfig
from nnunetv2_tf.tumours.recipe import read_recipe
from nnunetv2_tf.tumours.recipe_cache import RecipeCache
from nnunetv2_tf.working_space.intensity import Intensity
from tests.environments import REPOSITORY, Environment
from tests.methods.tf_aug.test_coarse import donated, site
from tests.scenes import CPU
from tests.workspace import QUIET, tree

KEPT = Path(__file__).parent / "kept"
EARLIER = "a739f9a"
DATASET = Dataset("Dataset501_StandIns")
SHORT = {"epochs", "iterations"}  # of the kept fits


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, str(KEPT / variable))


def fit_folder(method: str) -> Path:
    return KEPT / "nnUNet_results" / DATASET.name / f"{method}_default_h601__nnUNetPlansTiny__3d_fullres" / "fold_0"


def test_a_set_and_what_it_was_made_by():
    part = SetPart(DATASET, "tfgandefault", 0)
    manifest = part.manifest()
    config = read_record(SetConfig, part.config_path, "")
    assert manifest.config_hash == config.hash  # nothing that decides a set is digested in another way
    assert manifest.recipe_hash == digest([to_json(line) for line in read_recipe(part.folder / "recipe.jsonl")])
    assert (config.method, config.preset, config.healthy) == ("tf_gan", "default", "Dataset601_Healthy")
    for entry, line in zip(manifest.cases, read_recipe(part.folder / "recipe.jsonl"), strict=True):
        sidecar = part.sidecar(entry.case)
        assert (sidecar.host, sidecar.donors, sidecar.seed) == (line.host, line.donors, line.seed)
        assert sidecar.controls["transforms"] == to_json(line.tumours)


@pytest.mark.parametrize("method", ["tf_aug", "tf_gan"])
def test_a_fit_is_finished_by_the_same_digests(method):
    folder = fit_folder(method)
    config, done = read_record(SetConfig, folder / "config.json", ""), read_json(folder / "fitted.json", "")
    assert done["order"] == config.hash
    files = {name: value for name, value in done["files"].items() if not name.endswith(".pth")}
    assert files == {name: file_digest(folder / name) for name in files}
    if method == "tf_aug":
        now, kept = to_json(TF_AUG["default"]), config.config
        changed = {"sigma", "edge_mm", "grain", "texture_mm", "anchored", "through_edges"}
        assert {key for key in now.keys() | kept.keys() if now.get(key) != kept.get(key)} - SHORT == changed
        assert set(to_json(TF_AUG["paper"])) == set(kept)  # a preset that has not changed goes on


def test_a_preset_that_has_not_changed_goes_on():
    """As a config.json of a739f9a has it: what differs in one field is refused."""
    assert to_json(TF_AUG["paper"]) == {
        "sigma": 2.0, "in_voxels": True, "within_organ": False, "edge_mm": 0.0, "edge_voxels": 0.0, "grain": 0.0,
        "texture": 0.0, "texture_mm": 2.0, "moments": False, "positive": False, "prototypes": False, "pool": None,
        "epochs": 200, "iterations": 250, "batch": 2, "learning_rate": 1e-2, "falling": False, "jitter_a": 0.0,
        "jitter_b": 0.0,
    }  # fmt: skip


def test_what_was_learnt_makes_tumours():
    """With one channel of the two that the site has."""
    host = donated(site())
    host = type(host)(
        **{
            **vars(host),
            "image": host.image[:1],
            "donors": tuple(type(donor)(**{**vars(donor), "image": donor.image[:1]}) for donor in host.donors),
        }
    )
    stage1 = TFAug(TF_AUG["default"], CPU, {})
    stage1.load(fit_folder("tf_aug"))
    refining = TFGAN(TF_GAN["default"], CPU, {"tf_aug": stage1})
    refining.load(fit_folder("tf_gan"))
    for method in (stage1, refining):
        (edited,) = method.edit([host], [np.random.default_rng(0)])
        inside = host.tumour > 0
        assert torch.isfinite(edited.image).all()
        assert (edited.image != host.image)[0][inside].float().mean() > 0.9
        assert torch.equal(edited.label[inside], host.tumour[inside])


def test_lines_that_were_drawn_are_kept_on():
    (path,) = (KEPT / "nnUNet_preprocessed" / DATASET.name / "tf" / "recipes").glob("*.json")
    name, _, seed = path.stem.partition("_seed")

    cache = RecipeCache(None, {}, {}, int(seed), path.parent)  # type: ignore[arg-type]
    vars(cache)["digest"] = name + "0" * 48  # of the cohort, which is not here
    assert cache.first(2, 1) == read_recipe(SetPart(DATASET, "tfgandefault", 0).folder / "recipe.jsonl")


def test_records_of_cases(tmp_path: Path):
    folder = KEPT / "nnUNet_preprocessed" / DATASET.name / "tf"
    looks = Path(shutil.copy(folder / "looks" / "nnUNetPlans_3d_fullres" / "case_006.json", tmp_path))
    now = Appearance((), (), "source")  # by other rules: measured again
    assert kept_file.kept(looks, Appearance, "source", lambda: now) == now
    intensity = read_record(Intensity, folder / "intensity" / "nnUNetPlans_3d_fullres" / "case_006.json", "")
    assert intensity.sd[0] > 0


@pytest.mark.exhaustive
def test_a_workspace_goes_on_after_the_upgrade(tmp_path: Path):
    """By pip and commands: what is made as before grows, trainings go on, and what is made otherwise now is refused."""
    environment = Environment.make(tmp_path)
    environment.install_nnunet()
    environment.pip("install", "--no-deps", earlier_source(tmp_path))
    settings: Any = {**QUIET, **environment.places(), "PATH": f"{environment.root / 'bin'}:{os.environ['PATH']}"}
    where = ("501", "3d_fullres", "0", "-p", "nnUNetPlansTiny")

    def call(*command: str) -> str:
        return environment.run(*command, **settings).stdout

    def train(trainer: str, *options: str) -> None:
        # the script of nnU-Net that this environment installed
        call("nnUNetv2_train", *where, "-tr", trainer, "-device", "cpu", *options)

    def refused(*command: str) -> str:
        return environment.run(*command, expect=2, **settings).stderr

    coarse = ("-m", "tf_aug", "-preset", "paper", "-healthy", "601")
    mixed = ("nnUNetv2_tf_synthesize", *where, "-m", "carvemix", "-s", "cm", "-num_cases")
    placed = ("nnUNetv2_tf_synthesize", *where, *coarse, "-s", "ta", "-num_cases")
    fit = ("nnUNetv2_tf_fit", *where, *coarse, "-tr", "TFBaselineTrainer_1epochs_seed0")
    for name, *options in (("Dataset501_StandIns",), ("Dataset601_Healthy", "--healthy")):
        shape = ("-shape", "40", "48", "40")
        call("python", "-m", "nnunetv2_tf.standin", "dataset", "-name", name, *shape, *options)
    call("nnUNetv2_plan_and_preprocess", "-d", "501", "-c", "3d_fullres", "-npfp", "1", "-np", "1")
    call("python", "-m", "nnunetv2_tf.standin", "plans", "-d", "501")
    train("TFBaselineTrainer_1epochs_seed0")
    call("nnUNetv2_tf_preprocess_healthy", "-d", "501", "-healthy", "601", "-p", "nnUNetPlansTiny", "-c", "3d_fullres")
    call(*fit, "-device", "cpu")
    call(*mixed, "2")
    call(*placed, "2")
    train("TFEnrichedTrainer_cm_1epochs")

    environment.pip("install", "--no-deps", REPOSITORY)
    assert environment.finds_trainers()
    sets = Path(environment.places()["nnUNet_raw"]) / DATASET.name / "tf"
    (fitted,) = (Path(environment.places()["nnUNet_results"]) / DATASET.name).glob("tf_aug_*")
    learnt, made = tree(fitted), {name: tree(sets / name) for name in ("cm", "ta")}
    assert "fit again with --overwrite" in refused(*fit, "-device", "cpu")  # brightness follows other rules now
    assert "--overwrite" in refused(*placed, "4")
    assert tree(fitted) == learnt
    assert tree(sets / "ta") == made["ta"]
    call(*mixed, "4")
    now = tree(sets / "cm")
    cases = [path for path in made["cm"] if path.endswith(".nii.gz")]
    assert len(cases) == 4  # two images, two labels
    assert all(now[path] == made["cm"][path] for path in cases)
    assert len([path for path in now if path.endswith(".nii.gz")]) == 8
    assert "cm" in call("nnUNetv2_tf_sets", "-d", "501")
    train("TFEnrichedTrainer_cm_1epochs", "--val")
    train("TFEnrichedTrainer_ta_1epochs")  # a set that is there can be trained with
    call(*fit, "-device", "cpu", "--overwrite")
    assert tree(fitted) != learnt


def earlier_source(folder: Path) -> Path:
    """The source of the earlier commit, out of this repository's history."""
    archive = subprocess.run(["git", "archive", "--format=zip", EARLIER], cwd=REPOSITORY, capture_output=True)
    if archive.returncode:
        pytest.skip(f"{EARLIER} is not in the history of this checkout")
    with zipfile.ZipFile(io.BytesIO(archive.stdout)) as file:
        file.extractall(folder / "earlier")
    return folder / "earlier"
