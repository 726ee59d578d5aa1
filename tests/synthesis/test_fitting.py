"""Fitting by command and in process, and making sets with what was learnt."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunetv2_tf.commands import fit
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.digests import file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.methods import tf_aug
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_aug import fitting
from nnunetv2_tf.methods.tf_aug.config import PRESETS
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis import requests
from nnunetv2_tf.synthesis.fitting import CONFIG, DONE, FitJob, fit_folder
from nnunetv2_tf.training.distributed import Team
from tests.baseline.models import baseline
from tests.conftest import Once, entered_copy, extended
from tests.synthesis.making import cases_in, cohort_of, healthy_hosts_of, make_set
from tests.workspace import HEALTHY, TINY, TRAINER, Workspace, tree

pytestmark = pytest.mark.slow

BRIEF = {"epochs": 3, "iterations": 2, "pool": 4}
SHORT = {
    name: replace(preset, **(BRIEF if preset.pool else BRIEF | {"pool": None})) for name, preset in PRESETS.items()
}


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch):
    """Presets that are fitted in seconds."""
    monkeypatch.setattr(tf_aug, "PRESETS", SHORT)


@pytest.fixture
def with_fit(trained_template: Workspace, once: Once, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """`trained`, and the method fitted by `default`."""
    return entered_copy(extended(once, "tf_aug in seconds", trained_template, fitted), tmp_path, monkeypatch)


def fitted(workspace: Workspace, preset: str = "default", **changes):
    settings = {"healthy": "601", "preset": preset, "plans": TINY, "trainer": TRAINER, "device": "cpu", **changes}
    requests.fit(requests.FitRequest(workspace.id, "3d_fullres", (0,), "tf_aug", **settings))
    return fit_folder(cohort_of(workspace), find_method("tf_aug", preset))


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_fit_and_a_set_made_with_it(trained: Workspace, preset, capsys):
    folder = fitted(trained, preset)
    assert folder.parent.name == f"tf_aug_{preset}_h601__{TINY}__3d_fullres"
    found = read_json(folder / "tf_aug.json", "")
    assert (found["classes"], found["names"], found["channels"]) == ([1, 2, 3], ["NCR", "ED", "ET"], ["t1n"])
    assert len(found["losses"]) == len(found["path_a"]) == 3
    assert (folder / "progress.png").read_bytes().startswith(b"\x89PNG")
    (log,) = folder.glob("training_log_*.txt")
    assert "Epoch 2: loss" in log.read_text(encoding="utf-8")
    assert "s per iteration" in log.read_text(encoding="utf-8")
    if preset == "default":
        assert min(min(row) for row in found["a"]) > 0
    part = make_set(trained, "ta", num_cases=2, method="tf_aug", preset=preset, healthy="601")
    manifest = part.manifest()
    assert manifest.baseline is not None
    assert manifest.baseline.trainer == TRAINER
    train = fold_split(trained.dataset, 0, [f"case_{index:03d}" for index in range(10)]).train
    for name in cases_in(part):
        sidecar = part.sidecar(name)
        assert set(sidecar.ancestors) == set(train)
        assert np.shape(sidecar.controls["a"]) == (3, 1)
        if preset == "paper":
            assert sidecar.controls["a"] == found["a"]
            assert sidecar.reach_mm == 0.0
    assert "Set ta, fold 0: 2 cases" in capsys.readouterr().out


@pytest.mark.parametrize("preset", ["default", pytest.param("paper", marks=pytest.mark.exhaustive)])
def test_a_killed_fit_goes_on_with_the_same_result(trained: Workspace, monkeypatch, preset):
    whole = (fitted(trained, preset) / "tf_aug.json").read_bytes()
    original = fitting.IntensityMapFit._epoch

    def killed(self, state):
        if len(state.losses) == 2:
            raise KeyboardInterrupt
        return original(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(fitting.IntensityMapFit, "_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            fitted(trained, preset, overwrite=True)
    with pytest.raises(
        UserError, match=r"The fit .* has not ended, or .*; run: nnUNetv2_tf_fit 501 3d_fullres 0 -m tf_aug"
    ):
        make_set(trained, "ta", num_cases=1, method="tf_aug", preset=preset, healthy="601")
    folder = fitted(trained, preset)
    assert (folder / "tf_aug.json").read_bytes() == whole
    assert not (folder / "checkpoint_latest.json").exists()
    before = tree(folder)
    fitted(trained, preset)
    assert tree(folder) == before


def test_fitting_brings_coarse_tumours_nearer_to_real_ones(trained: Workspace, monkeypatch):
    """On the same pool of images, step by step."""
    longer = replace(tf_aug.PRESETS["default"], epochs=6)
    monkeypatch.setitem(tf_aug.PRESETS, "default", longer)
    losses = read_json(fitted(trained) / "tf_aug.json", "")["losses"]
    assert losses[-1] < losses[0]
    start = replace(longer, moments=False)
    monkeypatch.setitem(tf_aug.PRESETS, "default", start)
    without = read_json(fitted(trained, overwrite=True) / "tf_aug.json", "")["losses"]
    assert without[-1] < without[0]


def test_no_validation_case_is_looked_at(with_fit: Workspace):
    """Their arrays are gone, and nobody misses them."""
    split = fold_split(with_fit.dataset, 0, [f"case_{index:03d}" for index in range(10)])
    expected = (fitted(with_fit) / "tf_aug.json").read_bytes()
    for case in split.val:
        for path in with_fit.dataset.preprocessed.glob(f"*_3d_fullres/{case}*"):
            path.unlink()
    assert (fitted(with_fit, overwrite=True) / "tf_aug.json").read_bytes() == expected
    make_set(with_fit, "ta", num_cases=2, method="tf_aug", healthy="601")


def test_refusals_leave_a_finished_fit_and_no_new_one(with_fit: Workspace):
    folder = fitted(with_fit)
    before = tree(folder)
    plans = HEALTHY.preprocessed / f"{TINY}_from501.json"
    hidden = plans.rename(plans.with_suffix(".hidden"))
    with pytest.raises(UserError, match="is not preprocessed with the plans"):
        fitted(with_fit, overwrite=True)
    hidden.rename(plans)
    assert tree(folder) == before
    checkpoint = with_fit.results / f"{TRAINER}__{TINY}__3d_fullres" / "fold_0" / "checkpoint_final.pth"
    weights = checkpoint.read_bytes()
    damaged = dict(torch.load(checkpoint, map_location="cpu", weights_only=False))
    torch.save({**damaged, "network_weights": {}}, checkpoint)
    with pytest.raises(UserError, match="holds the weights of another network"):
        fitted(with_fit, "paper")
    checkpoint.write_bytes(weights)
    assert fitted(with_fit, "paper").is_dir()  # nothing of the refused one is in the way


@pytest.mark.parametrize("spoil", ["tf_aug.json", DONE])
def test_a_fit_whose_files_changed_is_not_used(with_fit: Workspace, spoil):
    folder = fitted(with_fit)
    (folder / spoil).write_text('{"order": "x"}', encoding="utf-8")
    with pytest.raises(UserError, match=f"or its files have changed since; run: nnUNetv2_tf_fit .* -tr {TRAINER}"):
        make_set(with_fit, "ta", num_cases=1, method="tf_aug", healthy="601")
    (folder / "tf_aug.json").unlink()
    fitted(with_fit)  # fits anew
    make_set(with_fit, "ta", num_cases=1, method="tf_aug", healthy="601")


def test_other_scans_are_another_fit(with_fit: Workspace):
    fitted(with_fit)
    train = fold_split(with_fit.dataset, 0, [f"case_{index:03d}" for index in range(10)]).train
    path = with_fit.dataset.raw / "imagesTr" / f"{train[0]}_0000.nii.gz"
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(sitk.Cast(image * 2, image.GetPixelID()), str(path))
    with pytest.raises(
        UserError, match=r"begun with other training scans, .*; fit again: nnUNetv2_tf_fit .*--overwrite"
    ):
        make_set(with_fit, "ta", num_cases=1, method="tf_aug", healthy="601")
    with pytest.raises(UserError, match="begun with other training scans"):
        fitted(with_fit)


def test_other_settings_do_not_continue_a_fit_nor_use_it(with_fit: Workspace, monkeypatch):
    folder = fitted(with_fit)
    with pytest.raises(UserError, match="The fit of tf_aug of fold 0 was begun with seed 0, not 3"):
        fitted(with_fit, seed=3)
    assert read_json(folder / CONFIG, "")["seed"] == 0
    monkeypatch.setitem(tf_aug.PRESETS, "default", replace(tf_aug.PRESETS["default"], sigma=3.0))
    with pytest.raises(UserError, match=r"The fit of tf_aug of fold 0 was begun with config .*'sigma': 4.0"):
        make_set(with_fit, "ta", num_cases=1, method="tf_aug", healthy="601")
    assert not SetPart(with_fit.dataset, "ta", 0).folder.exists()


def test_a_new_fit_does_not_continue_a_set(with_fit: Workspace):
    folder = fitted(with_fit)
    make_set(with_fit, "ta", num_cases=1, method="tf_aug", healthy="601")
    done = file_digest(folder / DONE)
    fitted(with_fit, seed=3, overwrite=True)
    assert file_digest(folder / DONE) != done
    with pytest.raises(
        UserError, match=r"Set ta of fold 0 was begun with another fit of the method, or of one it needs \(fit\)"
    ):
        make_set(with_fit, "ta", num_cases=2, method="tf_aug", healthy="601")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trainer": "TFBaselineTrainer"}, "checkpoint_final.pth does not exist; train it with: nnUNetv2_train"),
        ({"healthy": "777"}, "There is no dataset 777"),
        ({"preset": "wild"}, "tf_aug has no preset wild"),
    ],
)
def test_what_is_missing(trained: Workspace, changes, sentence):
    before = tree(trained.root / "nnUNet_results")
    with pytest.raises(UserError, match=sentence):
        fitted(trained, **changes)
    assert tree(trained.root / "nnUNet_results") == before


def test_what_users_type(trained: Workspace, monkeypatch, capsys):
    def typed(*options: str) -> int:
        command = ["nnUNetv2_tf_fit", "501", "3d_fullres", "0", "-healthy", "601", "-p", TINY, "-tr", TRAINER, *options]
        monkeypatch.setattr("sys.argv", command)
        return fit.main()

    assert typed("-m", "tests.methods.examples:Glow", "-device", "cpu") == 2
    assert "learns nothing, so there is nothing to fit" in capsys.readouterr().err
    assert typed("-m", "tf_aug", "-seed", "-1") == 2
    assert "A seed is 0 or more" in capsys.readouterr().err
    assert typed("-m", "tf_aug", "-device", "cpu") == 0
    assert "tf_aug_default_h601" in capsys.readouterr().out


def test_numbers_survive_the_way_through_json(with_fit: Workspace):
    folder = fitted(with_fit)
    method = tf_aug.METHOD(tf_aug.PRESETS["default"], torch.device("cpu"), {})
    method.load(folder)
    assert json.loads((folder / "tf_aug.json").read_text(encoding="utf-8"))["a"] == [list(row) for row in
                                                                                    method.fitted_to.a]  # fmt: skip


def test_what_one_process_fits_is_not_shared(trained: Workspace):
    method, hosts = find_method("tf_aug"), healthy_hosts_of(trained)
    job = FitJob(hosts, method, baseline(trained), torch.device("cpu"), Team(rank=0, size=2, local=2))
    with pytest.raises(UserError, match="tf_aug is fitted by one process; leave -num_gpus, or torchrun, out"):
        job.check(overwrite=False)
