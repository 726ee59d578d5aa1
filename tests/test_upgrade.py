"""What version 0.1.0 at a739f9a left on disk is read as it was meant: a set, the fits behind it, and kept records.

`tests/kept` is part of what `benchmarks/same_bytes.py` makes by that commit: TF-GAN, trained for two steps.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from nnunetv2_tf.dataset.folders import VARIABLES, Dataset
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.io.json_dataclass import read_record, to_json
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_aug.config import PRESETS as TF_AUG
from nnunetv2_tf.methods.tf_gan.config import PRESETS as TF_GAN
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.harmonise import Appearance
from nnunetv2_tf.synthesis.set_config import SetConfig
from nnunetv2_tf.tumours.recipe import read_recipe
from nnunetv2_tf.tumours.recipe_cache import RecipeCache
from nnunetv2_tf.working_space.intensity import Intensity
from tests.methods.tf_aug.test_coarse import donated, site
from tests.scenes import CPU

KEPT = Path(__file__).parent / "kept"
DATASET = Dataset("Dataset501_StandIns")


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
    short = {"epochs", "iterations", "features", "discriminator_features", "levels"}
    presets = {"tf_aug": TF_AUG, "tf_gan": TF_GAN}[method]
    now = {key: value for key, value in to_json(presets["default"]).items() if key not in short}
    assert {key: value for key, value in config.config.items() if key not in short} == now


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
    stage1 = find_method("tf_aug").method_class(TF_AUG["default"], CPU, {})
    stage1.load(fit_folder("tf_aug"))
    refining = find_method("tf_gan").method_class(TF_GAN["default"], CPU, {"tf_aug": stage1})
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


def test_records_of_cases():
    folder = KEPT / "nnUNet_preprocessed" / DATASET.name / "tf"
    appearance = read_record(Appearance, folder / "looks" / "nnUNetPlans_3d_fullres" / "case_006.json", "")
    assert np.shape(appearance.landmarks) == (1, 23)
    intensity = read_record(Intensity, folder / "intensity" / "nnUNetPlans_3d_fullres" / "case_006.json", "")
    assert intensity.sd[0] > 0
