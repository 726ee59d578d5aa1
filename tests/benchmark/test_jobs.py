from dataclasses import replace

import pytest

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.fits import fits_of
from nnunetv2_tf.benchmark.jobs import last_job, needs_of, with_needs
from nnunetv2_tf.benchmark.matrix import Matrix
from nnunetv2_tf.benchmark.postprocessing import Postprocessing
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from tests.benchmark.examples import CARVEMIX, NNUNET, matrix
from tests.workspace import Workspace

AUG = Arm("aug", "tf_aug", healthy=601, num_cases=4)
GAN = Arm("gan", "tf_gan", "brief", healthy=601, num_cases=4)
MATRIX = matrix(NNUNET, CARVEMIX, AUG, GAN, seeds=(3, 4))


def keys(of: Matrix) -> list[str]:
    return [job.key.removeprefix("Dataset501_StandIns_fold0_") for job in with_needs(of.trainings())]


@pytest.fixture(autouse=True)
def with_healthy(workspace: Workspace) -> None:
    (workspace.root / "nnUNet_raw" / "Dataset601_Healthy").mkdir(exist_ok=True)


def test_fits_come_between_the_baseline_and_what_is_made_with_them():
    assert keys(MATRIX) == [
        "seed3_nnunet", "seed3_carvemix", "fit_tf_aug_default_h601", "seed3_aug", "fit_tf_gan_brief_h601", "seed3_gan",
        "seed4_nnunet", "seed4_carvemix", "seed4_aug", "seed4_gan",
    ]  # fmt: skip


def test_a_baseline_comes_first_wherever_it_stands():
    assert keys(replace(MATRIX, arms=(AUG, NNUNET), seeds=(3,))) == [
        "seed3_nnunet",
        "fit_tf_aug_default_h601",
        "seed3_aug",
    ]


def test_fits_go_through_the_matrix_own_baseline_of_the_first_seed():
    training = next(training for training in MATRIX.trainings() if training.seed == 4 and training.arm is GAN)
    coarse, refined = fits_of(training)
    assert coarse.baseline == refined.baseline == training.baseline
    assert refined.baseline.trainer == "TFBaselineTrainer_1epochs_seed3"
    preprocess, fit = refined.commands("cpu")
    assert preprocess[0] == "nnUNetv2_tf_preprocess_healthy"
    assert fit[fit.index("-tr") + 1] == refined.baseline.trainer
    assert [job.key for job in needs_of(refined)] == [refined.baseline.key, coarse.key]


def test_a_filter_asks_the_matrix_own_baseline_which_comes_first():
    filtered = replace(CARVEMIX, name="filtered", filter=True)
    matrix = replace(MATRIX, arms=(filtered, NNUNET), seeds=(3, 4))
    assert keys(matrix) == ["seed3_nnunet", "seed3_filtered", "seed4_filtered", "seed4_nnunet"]
    training = next(training for training in matrix.trainings() if training.seed == 4 and training.arm is filtered)
    synthesize, train = training.commands("cpu")
    assert synthesize[synthesize.index("-filter") :][:3] == ["-filter", "-tr", "TFBaselineTrainer_1epochs_seed3"]
    assert synthesize[synthesize.index("-s") + 1] == "carvemixfilteredseed4"
    assert "TFEnrichedTrainer_carvemixfilteredseed4" in train[train.index("-tr") + 1]
    with pytest.raises(UserError, match="filters by one, and no arm"):
        replace(training, matrix=replace(matrix, arms=(filtered,), baseline="filtered")).commands("cpu")


def test_what_is_done_is_not_asked_for():
    training = next(training for training in MATRIX.trainings() if training.arm is AUG)
    (fit,) = fits_of(training)
    write_json(fit.folder / "fitted.json", {})
    assert [job.key for job in with_needs([training])] == [training.key]


def test_a_fit_through_another_baseline_is_refused():
    (fit,) = fits_of(next(training for training in MATRIX.trainings() if training.arm is AUG))
    fit.check_same()
    write_json(fit.folder / "config.json", {"baseline": {"trainer": "TFBaselineTrainer_9epochs"}})
    assert fit.state == "begun"
    with pytest.raises(UserError, match="was fitted through TFBaselineTrainer_9epochs, and the matrix trains"):
        fit.check_same()


def test_methods_that_learn_need_an_arm_that_is_a_baseline():
    alone = replace(MATRIX, arms=(AUG, CARVEMIX), baseline="carvemix")
    with pytest.raises(UserError, match="no arm of the matrix trains it; add"):
        list(with_needs(alone.trainings()))


def test_postprocessing_comes_after_its_training():
    training = next(replace(MATRIX, postprocessing="nnunet").trainings())
    job = last_job(training)
    assert isinstance(job, Postprocessing)
    assert [each.key for each in with_needs([job])] == [training.key, f"{training.key}_postprocessing"]
    assert last_job(next(MATRIX.trainings())).kind == "training"


def test_an_arm_asks_for_volumes_and_its_set_is_called_so():
    small = replace(CARVEMIX, name="small", method="syntumor", healthy=601, volume_ml=(0.1, 4.0))
    usual = replace(small, name="usual", volume_ml=None)
    matrix = replace(MATRIX, arms=(NNUNET, small, usual))
    sets = {}
    for training in matrix.trainings():
        if training.arm.method is not None:
            *_, synthesize, _ = training.commands("cpu")
            sets[training.arm.name] = training.set_name
            assert ("-volume_ml" in synthesize) is (training.arm is small)
    assert synthesize_volumes(matrix, small) == ["0.1", "4"]
    assert sets["small"].startswith("syntumorml0p1to4seed")
    assert sets["usual"].startswith("syntumorseed")
    for wrong in ((4.0, 0.1), (0.0, 1.0)):
        with pytest.raises(ValueError, match="volume_ml takes two volumes"):
            replace(small, volume_ml=wrong)


def synthesize_volumes(matrix: Matrix, arm: Arm) -> list[str]:
    training = next(training for training in matrix.trainings() if training.arm is arm)
    *_, synthesize, _ = training.commands("cpu")
    at = synthesize.index("-volume_ml")
    return synthesize[at + 1 : at + 3]
