"""The paper's tables, on stand-ins: arms as printed, the same shares, the paper's network."""

from dataclasses import replace

import pytest

from nnunetv2_tf.benchmark.matrix import read_matrix
from nnunetv2_tf.benchmark.paper_matrix import FEATURES, PATCH, PLANS, PaperTable, write_table
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folds import Split, fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.working_space.preprocess import Plan
from tests.benchmark.test_commands import typed
from tests.workspace import TINY, Workspace

TABLE = PaperTable(number=1, dataset="501", healthy="601", preset="paper", plans=TINY, epochs=100, seeds=3)


@pytest.mark.parametrize(
    ("number", "arms"),
    [
        (1, [(None, None), ("carvemix", 100), ("pix2pix", 100), ("tf_gan", 100)]),
        (2, [(None, None), ("tf_gan", 50), ("tf_gan", 100), ("tf_gan", 200), ("tf_gan", 300)]),
        (3, [(None, None), ("tf_aug", 100), ("tf_gan", 100)]),
    ],
)
def test_with_a_hundred_labelled_scans_arms_are_the_papers(with_healthy: Workspace, monkeypatch, number, arms):
    hundred = Split(tuple(f"case_{index}" for index in range(100)), ("case_100",))
    monkeypatch.setattr("nnunetv2_tf.benchmark.paper_matrix.fold_split", lambda *_: hundred)
    matrix = replace(TABLE, number=number).matrix()
    assert [(arm.method, arm.num_cases) for arm in matrix.arms] == arms
    assert {arm.preset for arm in matrix.arms if arm.method} == {"paper"}
    assert {arm.healthy for arm in matrix.arms if arm.method not in (None, "carvemix")} == {"Dataset601_Healthy"}
    assert (matrix.epochs, matrix.seeds, matrix.postprocessing) == (100, (0, 1, 2), "nnunet")
    made = {arm.made_by for arm in matrix.arms if arm.method == "tf_gan"}
    assert len(made) == 1  # all numbers of cases are the first of one set


def test_fewer_labelled_scans_get_the_same_shares(with_healthy: Workspace):
    number = len(fold_split(with_healthy.dataset, 0, sorted(raw_cases(with_healthy.dataset))).train)
    shares = [arm.num_cases for arm in replace(TABLE, number=2).matrix().arms if arm.num_cases]
    assert shares == [round(number * share) for share in (0.5, 1, 2, 3)]


def test_a_preset_that_a_method_has_not_leaves_its_default(with_healthy: Workspace):
    presets = {arm.method: arm.preset for arm in replace(TABLE, preset="brief").matrix().arms if arm.method}
    assert presets == {"carvemix": "default", "pix2pix": "brief", "tf_gan": "brief"}


def test_a_preset_that_no_method_has_is_refused(with_healthy: Workspace):
    with pytest.raises(UserError, match="None of carvemix, pix2pix, tf_gan has a preset papr"):
        replace(TABLE, preset="papr").matrix()


def test_nothing_is_written_where_plans_or_channels_are_wrong(with_healthy: Workspace, tmp_path):
    with pytest.raises(UserError, match="nnUNetPlanz.json does not exist"):
        write_table(replace(TABLE, plans="nnUNetPlanz"), tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()


def test_the_command_writes_the_matrix_and_the_papers_plans(with_healthy: Workspace, monkeypatch, capsys):
    monkeypatch.chdir(with_healthy.root)
    words = ["plan", "table1.json", "--paper", "1", "-d", "501", "-healthy", "601"]
    said = typed(monkeypatch, capsys, *words)
    assert "12 trainings of 100 epochs: 12 missing" in said
    assert said.count("nnUNetv2_tf_fit ") == 3  # TF-Aug's for TF-GAN, TF-GAN's, Pix2Pix's
    plan, other = (Plan.read(with_healthy.dataset, name, "3d_fullres") for name in (PLANS, "nnUNetPlans"))
    assert tuple(plan.manager.patch_size) == PATCH
    architecture = plan.manager.configuration["architecture"]["arch_kwargs"]
    assert tuple(architecture["features_per_stage"]) == FEATURES
    assert architecture["n_stages"] == 6
    assert plan.data_identifier == other.data_identifier
    before = read_json(with_healthy.root / "table1.json", "")
    typed(monkeypatch, capsys, *words)
    assert read_json(with_healthy.root / "table1.json", "") == before
    assert len(read_matrix(with_healthy.root / "table1.json").arms) == 4
    typed(monkeypatch, capsys, *words, "-epochs", "5", expect=2)
    assert read_json(with_healthy.root / "table1.json", "") == before
    for wrong in (words[:4], ["plan", "table1.json", "-d", "501"], ["run", "table1.json", "--paper", "1"]):
        typed(monkeypatch, capsys, *wrong, expect=2)
