"""TF-GAN by the commands' code: fitted after TF-Aug, and sets made with both."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nnunetv2_tf.dataset.folders import FIT_POOLS
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io import array_cache
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods import tf_aug, tf_gan
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.methods.tf_gan import fitting
from nnunetv2_tf.methods.tf_gan.networks import WEIGHTS
from nnunetv2_tf.synthesis import requests
from nnunetv2_tf.synthesis.fitting import fit_folder
from nnunetv2_tf.training import loop
from tests.conftest import Once, entered_copy, extended
from tests.synthesis.making import cases_in, cohort_of, make_set
from tests.workspace import TINY, TRAINER, Workspace, tree

pytestmark = pytest.mark.slow

SMALL = {
    "features": (4, 4, 4), "discriminator_features": (4, 4, 4), "epochs": 4, "iterations": 2, "preview_every": 2,
    "pool": 3, "renewed": 1,
}  # fmt: skip


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Presets that are fitted in seconds."""
    first = {name: replace(one, epochs=1, iterations=1, pool=2) for name, one in tf_aug.PRESETS.items()}
    second = {name: replace(one, **SMALL) for name, one in tf_gan.PRESETS.items()}
    patch.setattr(tf_aug, "PRESETS", first)
    patch.setattr(tf_gan, "PRESETS", second)
    patch.setattr(loop, "SAVED_AFTER", -1.0)
    patch.setattr(fitting, "SHOWN", 2)
    patch.setattr(fitting, "DRAWS", 1)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)


@pytest.fixture(scope="module")
def both_template(trained_template: Workspace, once: Once) -> Workspace:
    """`trained_template` with both stages fitted; not to be changed."""

    def fit_both(copy: Workspace) -> None:
        with pytest.MonkeyPatch.context() as patch:
            shorten(patch)
            fitted(copy, "tf_aug")
            fitted(copy, "tf_gan")

    return extended(once, "both stages", trained_template, fit_both)


@pytest.fixture
def both_stages(both_template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `both_template`, with the environment set to it."""
    return entered_copy(both_template, tmp_path, monkeypatch)


def fitted(workspace: Workspace, method: str, preset: str = "default", **changes):
    settings = {"healthy": "601", "preset": preset, "plans": TINY, "trainer": TRAINER, "device": "cpu", **changes}
    requests.fit(requests.FitRequest(workspace.id, "3d_fullres", (0,), method, **settings))
    return fit_folder(cohort_of(workspace), find_method(method, preset))


def pieces(workspace: Workspace) -> list[Path]:
    """What pools of fits have left on disk."""
    return sorted(path for path in (workspace.dataset.preprocessed / "tf" / FIT_POOLS).rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "preset", ["default", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("paper", "brief"))]
)
def test_both_stages_and_a_set(trained: Workspace, preset, capsys):
    if preset == "default":
        with pytest.raises(UserError, match=r"nnUNetv2_tf_fit 501 3d_fullres 0 -m tf_aug -healthy 601 .*-tr TRAINER"):
            fitted(trained, "tf_gan")
    fitted(trained, "tf_aug", "default" if preset == "brief" else preset)
    folder = fitted(trained, "tf_gan", preset)
    expected = {WEIGHTS, "checkpoint_final.pth", "config.json", "fitted.json", "previews", "progress.png"}
    assert {path.name for path in folder.iterdir() if path.suffix != ".txt"} == expected
    assert [path.name for path in sorted((folder / "previews").iterdir())] == ["epoch_0002.png", "epoch_0004.png"]
    (log,) = folder.glob("training_log_*.txt")
    text = log.read_text(encoding="utf-8")
    assert "levels, not 6: each halves it" in text
    assert "Epoch 3: D patch" in text
    part = make_set(trained, "tf", num_cases=2, method="tf_gan", preset=preset, healthy="601")
    coarse = make_set(trained, "ta", num_cases=2, method="tf_aug", preset="default" if preset == "brief" else preset,
                      healthy="601")  # fmt: skip
    train = fold_split(trained.dataset, 0, [f"case_{index:03d}" for index in range(10)]).train
    for refined, before in zip(cases_in(part), cases_in(coarse), strict=True):
        sidecar = part.sidecar(refined)
        assert set(sidecar.ancestors) == set(train)
        assert sidecar.reach_mm == (None if preset == "paper" else 6.0)
        assert sidecar.controls["a"] == coarse.sidecar(before).controls["a"]
    assert "Set tf, fold 0: 2 cases" in capsys.readouterr().out


def test_a_killed_training_goes_on_to_the_same_weights(both_stages: Workspace, monkeypatch):
    """Four epochs are two, and two after a kill."""
    whole = fitted(both_stages, "tf_gan")
    expected, state = (whole / WEIGHTS).read_bytes(), torch.load(whole / "checkpoint_final.pth", weights_only=True)
    assert pieces(both_stages) == []
    (log,) = whole.glob("training_log_*.txt")
    assert "sites with coarse tumours: 3, 1 new ones an epoch, about 0.00 GB in " in log.read_text()
    original = loop.Loop._epoch

    def killed(self, epoch, stream):
        if epoch == 2:
            raise KeyboardInterrupt
        return original(self, epoch, stream)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            fitted(both_stages, "tf_gan", overwrite=True)
    with pytest.raises(UserError, match=r"has not ended, or .*; run: nnUNetv2_tf_fit .* -m tf_gan"):
        make_set(both_stages, "tf", num_cases=1, method="tf_gan", healthy="601")
    left = pieces(both_stages)
    assert 2 <= len([path for path in left if path.parent.name == "sites"]) <= 4
    left[0].write_bytes(left[0].read_bytes()[:-5])  # as if the disk had failed
    folder = fitted(both_stages, "tf_gan")
    assert (folder / WEIGHTS).read_bytes() == expected
    assert pieces(both_stages) == []
    again = torch.load(folder / "checkpoint_final.pth", weights_only=True)
    assert again["curves"] == state["curves"]
    for name, value in state["learner"]["discriminator"].items():
        assert torch.equal(value, again["learner"]["discriminator"][name])
    before = tree(folder)
    fitted(both_stages, "tf_gan")
    assert tree(folder) == before


def test_workers_change_nothing(both_stages: Workspace, monkeypatch):
    expected = (fitted(both_stages, "tf_gan") / WEIGHTS).read_bytes()
    monkeypatch.setenv("nnUNet_n_proc_DA", "2")
    assert (fitted(both_stages, "tf_gan", overwrite=True) / WEIGHTS).read_bytes() == expected


def test_the_disk_of_pools_may_be_full(both_stages: Workspace, monkeypatch, capsys):
    """The same weights; it is said once."""
    expected = (fitted(both_stages, "tf_gan") / WEIGHTS).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(array_cache, "write_arrays", full)
    assert (fitted(both_stages, "tf_gan", overwrite=True) / WEIGHTS).read_bytes() == expected
    said = capsys.readouterr().out
    assert said.count("sites (No space left on device); going on without.") == 1


def test_another_first_stage_wants_another_second(both_stages: Workspace):
    make_set(both_stages, "tf", num_cases=1, method="tf_gan", healthy="601")
    fitted(both_stages, "tf_aug", seed=1, overwrite=True)
    for again in (
        lambda: fitted(both_stages, "tf_gan"),
        lambda: make_set(both_stages, "tf", 1, method="tf_gan", healthy="601"),
    ):
        with pytest.raises(UserError, match=r"another fit of the method, or of one it needs \(fit\)"):
            again()


def test_no_validation_case_is_looked_at(both_stages: Workspace):
    """Their arrays are gone, and nobody misses them."""
    expected = (fitted(both_stages, "tf_gan") / WEIGHTS).read_bytes()
    split = fold_split(both_stages.dataset, 0, [f"case_{index:03d}" for index in range(10)])
    for case in split.val:
        for path in both_stages.dataset.preprocessed.glob(f"*_3d_fullres/{case}*"):
            path.unlink()
    assert (fitted(both_stages, "tf_gan", overwrite=True) / WEIGHTS).read_bytes() == expected


def test_a_damaged_generator_is_named(both_stages: Workspace):
    folder = fitted(both_stages, "tf_gan")
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="or its files have changed since"):
        make_set(both_stages, "tf", num_cases=1, method="tf_gan", healthy="601")


def test_the_curves_are_numbers(trained: Workspace):
    fitted(trained, "tf_aug", "paper")
    state = torch.load(fitted(trained, "tf_gan", "paper") / "checkpoint_final.pth", weights_only=True)
    assert {len(values) for values in state["curves"].values()} == {4}
    assert np.isfinite(list(state["curves"].values())).all()
    assert state["curves"]["lambda_c"] == [10.0, 7.0, 4.0, 1.0]
    assert state["curves"]["rate of G"] == pytest.approx([2e-4, 1.5e-4, 1e-4, 0.5e-4])
    assert state["curves"]["rate of D"] == pytest.approx([1e-4, 0.75e-4, 0.5e-4, 0.25e-4])
