import pickle

import numpy as np
import pytest

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.working_space.stored import Case, OpenCase, training_cases
from tests.scenes import SCENES, Built
from tests.workspace import Workspace


def cases_of(workspace: Workspace) -> list[Case]:
    return training_cases(
        raw_cases(workspace.dataset), workspace.dataset, workspace.plan("3d_fullres", "nnUNetPlans"), 0
    )


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_arrays_agree_with_each_other(scene: Built):
    case = scene.cases[0]
    assert case.image().shape[1:] == case.label().shape == case.organ().shape == case.grid.shape
    assert (case.image().dtype, case.label().dtype, case.organ().dtype) == (np.float32, np.int16, bool)
    assert set(np.unique(case.tumour())) == {0, *case.roles.tumour}
    assert case.has_tumour()
    assert not (case.tumour() > 0)[~case.organ()].any()
    assert case.has_background is (scene.plan.manager.normalization_schemes[0] != "CTNormalization")


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_what_is_normalised_over(scene: Built):
    """Where nothing is resampled it has a mean of 0 and an sd of 1; traces around it do not belong to it."""
    case = scene.cases[0]
    body = case.body()
    assert body.shape == case.grid.shape
    if not scene.plan.masked:
        assert body.all()
    elif scene.plan.manager.normalization_schemes[0] == "ZScoreNormalization" and not case.grid.resampled:
        inside = case.image()[:, body]
        np.testing.assert_allclose([inside.mean(), inside.std()], [0, 1], atol=1e-3)


def test_a_box_without_the_rest(scene: Built):
    box = (slice(2, 7), slice(0, 9), slice(5, 11))
    np.testing.assert_array_equal(scene.cases[0].image(box), scene.cases[0].image()[(slice(None), *box)])


def test_the_validation_cases_are_not_among_them(scene: Built):
    assert len(scene.cases) == 4
    assert "case_004" not in {case.identifier for case in scene.cases}


def test_a_case_without_tumour_is_known_without_reading_it(scene: Built):
    other = Case(**{**vars_of(scene.cases[0]), "roles": type(scene.cases[0].roles)((9,))})
    assert not other.has_tumour()


def test_looking_for_tumours_keeps_nothing_open(scene: Built):
    """Cohorts have more cases than a system allows open files."""
    fresh = [OpenCase(**vars_of(case)) for case in scene.cases]
    assert all(case.has_tumour() for case in fresh)
    assert not any("_read" in vars(case) for case in fresh)
    _ = fresh[0].grid
    assert "_read" in vars(fresh[0])


def test_own_numbers_become_the_targets(scene: Built):
    case = OpenCase(**{**vars_of(scene.cases[0]), "numbering": {1: 0, 2: 5}})
    own = scene.cases[0].label()
    np.testing.assert_array_equal(case.label(), np.select([own == 1, own == 2], [0, 5], own))


def vars_of(case: Case) -> dict:
    names = ("dataset", "plan", "files", "group", "roles", "folder", "numbering")
    return {name: getattr(case, name) for name in names}


def test_travels_without_what_it_has_read(scene: Built):
    case = Case(**vars_of(scene.cases[0]))
    case.open().image()
    assert len(pickle.dumps(case)) < 60_000
    assert pickle.loads(pickle.dumps(case)) == case


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda folder, name: (folder / f"{name}.pkl").unlink(),
            "is not preprocessed for 3d_fullres .*; run nnUNetv2_pre",
        ),
        (
            lambda folder, name: (folder / f"{name}.pkl").write_bytes(b"x"),
            "cannot be read .*, it is damaged; run nnUNet",
        ),
        (lambda folder, name: (folder / f"{name}_seg.b2nd").write_bytes(b"x"), "cannot be read .*, it is damaged"),
        (lambda folder, name: (folder / f"{name}.b2nd").unlink(), "cannot be read .*, it is damaged"),
    ],
)
def test_missing_and_damaged_arrays_are_refused(workspace: Workspace, spoil, sentence):
    case = cases_of(workspace)[0]
    spoil(case.folder, case.identifier)
    with pytest.raises(UserError, match=f"{case.identifier} .*{sentence}"):
        _ = case.open().grid


def test_arrays_of_other_plans_are_refused(workspace: Workspace):
    path = workspace.dataset.preprocessed / "nnUNetPlans.json"
    plans = read_json(path, "")
    plans["configurations"]["3d_fullres"]["spacing"] = [2.0, 2.0, 2.0]
    write_json(path, plans)
    with pytest.raises(UserError, match="is not what nnUNetPlans makes of it, so it was preprocessed by other plans"):
        _ = cases_of(workspace)[0].open().grid


def test_a_split_with_strangers_is_refused(workspace: Workspace):
    write_json(workspace.dataset.preprocessed / "splits_final.json", [{"train": ["nobody"], "val": ["case_000"]}])
    with pytest.raises(UserError, match="names nobody, which .* does not have; correct it"):
        cases_of(workspace)
