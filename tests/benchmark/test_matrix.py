from pathlib import Path

import pytest

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.checks import claim_folder
from nnunetv2_tf.benchmark.fits import fits_of
from nnunetv2_tf.benchmark.matrix import Matrix, read_matrix
from nnunetv2_tf.io.digests import digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.sets.names import parse_trainer_name
from tests.benchmark.examples import CARVEMIX, DATASET, NNUNET, matrix
from tests.workspace import HEALTHY, Workspace

GOOD = to_json(matrix())
CARVE = {"name": "carvemix", "method": "carvemix", "num_cases": 4}
REAL = {"name": "nnunet", "method": None}


def test_what_may_be_left_out_and_ids_for_names(workspace: Workspace, tmp_path):
    write_json(tmp_path / "m.json", {**GOOD, "datasets": [501], "arms": [REAL, CARVE]})
    assert read_matrix(tmp_path / "m.json") == matrix()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"extra": 1}, "Matrix lacks or does not know: extra"),
        ({"arms": [REAL, {**CARVE, "cases": 3}]}, "lacks or does not know: cases"),
        ({"arms": [REAL, {"name": "x", "method": "carvemix"}]}, "arm x needs num_cases"),
        ({"arms": [REAL, {**REAL, "name": "x", "num_cases": 0}]}, "arm x has no method, so it cannot have num_cases"),
        ({"arms": [REAL, {**REAL, "name": "x", "preset": "paper"}]}, "arm x has no method, so it cannot have preset"),
        ({"arms": [REAL, {**CARVE, "percent": 0}]}, "percent goes from 1 to 100, not 0"),
        ({"arms": [REAL, {**CARVE, "name": "a b"}]}, "an arm cannot be called 'a b'"),
        ({"arms": [REAL, REAL]}, "arms names one twice"),
        ({"arms": []}, "arms is empty"),
        ({"seeds": [0, 0]}, "seeds names one twice"),
        ({"seeds": [-1]}, "seeds and folds at 0"),
        ({"seeds": [0.5]}, r"Matrix.seeds[0] must be a whole number, not 0.5"),
        ({"epochs": 0}, "epochs start at 1"),
        ({"arms": [REAL, {**CARVE, "online": True}]}, "is online: it has no set, so it cannot have num_cases"),
        (
            {"arms": [REAL, {"name": "x", "method": "a:X", "online": True}]},
            "methods of this package can be, and not a:X",
        ),
        ({"arms": [{**REAL, "online": True}]}, "arm nnunet has no method, so it cannot have online"),
        ({"arms": [REAL, {**CARVE, "mixup": True}]}, "arm carvemix blends real cases, so it cannot have a method"),
        ({"train_cases": [0]}, "train_cases and draws start at 1"),
        ({"train_cases": [6, 6]}, "train_cases names one number twice"),
        ({"draws": 2}, "draws needs train_cases"),
        ({"precision": "fp8"}, "Matrix.precision must be"),
        ({"postprocessing": "ours"}, "Matrix.postprocessing must be"),
        ({"pretrained_weights": "none.pth"}, "none.pth do not exist"),
        ({"folds": ["all"]}, "Matrix.folds[0] must be a whole number, not 'all'"),
        ({"folds": [-1]}, "seeds and folds at 0"),
        ({"arms": [REAL, {**REAL, "name": "x"}]}, "arms nnunet and x are the same training"),
        ({"arms": [REAL, CARVE, {**CARVE, "name": "x"}]}, "arms carvemix and x are the same training"),
        ({"arms": [REAL, {**CARVE, "name": "x" * 41}]}, "up to 40 letters"),
        ({"arms": [REAL, {**CARVE, "method": ""}]}, "A set cannot be called"),
        ({"baseline": "other"}, "baseline is 'other', which is none of the arms"),
        ({"datasets": [501, DATASET]}, "names Dataset501_StandIns twice"),
        ({"datasets": [777]}, "There is no dataset 777"),
        ({"arms": [REAL, {**CARVE, "method": "a:X"}, {**CARVE, "name": "y", "method": "b:X"}]}, "called like another"),
    ],
)
def test_what_is_wrong_is_said(workspace: Workspace, tmp_path, change, sentence):
    write_json(tmp_path / "m.json", {**GOOD, **change})
    with pytest.raises(UserError) as caught:
        read_matrix(tmp_path / "m.json")
    assert sentence in str(caught.value)


def test_trainings_come_seed_by_seed_so_that_an_unfinished_benchmark_is_balanced():
    trainings = list(matrix(folds=(0, 1), seeds=(0, 7)).trainings())
    assert [(training.seed, training.fold, training.arm.name) for training in trainings] == [
        (seed, fold, arm) for seed in (0, 7) for fold in (0, 1) for arm in ("nnunet", "carvemix")
    ]


def test_all_arms_train_equally_long_each_seed_with_its_own_cases(monkeypatch):
    monkeypatch.setenv("nnUNet_results", "results")
    arms = (NNUNET, CARVEMIX, Arm("half", "carvemix", num_cases=4, percent=50))
    trainings = list(matrix(*arms, seeds=(0, 1), epochs=30).trainings())
    options = [parse_trainer_name(training.trainer)[1] for training in trainings]
    assert {option.epochs for option in options} == {30}
    assert [option.seed for option in options] == [0, 0, 0, 1, 1, 1]
    assert {option.set_name for option in options} == {None, "carvemixseed0", "carvemixseed1"}
    assert len({training.folder for training in trainings}) == len({training.key for training in trainings}) == 6


def test_arms_that_differ_in_number_share_a_set_of_the_largest():
    """The paper's Table 2 from one set: counts are nested."""
    arms = [NNUNET, *(Arm(f"cm{number}", "carvemix", num_cases=number) for number in (2, 8, 4))]
    training = next(training for training in matrix(*arms).trainings() if training.arm.name == "cm4")
    synthesize, train = training.commands("cpu")
    assert synthesize[synthesize.index("-num_cases") + 1] == "8"
    assert train[train.index("-tr") + 1] == "TFEnrichedTrainer_carvemixseed0_n4_1epochs_seed0"


def test_arms_with_healthy_hosts_preprocess_them_first(workspace: Workspace):
    HEALTHY.raw.mkdir()
    arm = Arm("glow", "tests.methods.examples:Glow", num_cases=4, healthy=601)
    training = next(training for training in matrix(NNUNET, arm).trainings() if training.arm is arm)
    preprocess, synthesize, _ = training.commands("cpu")
    assert preprocess[0] == "nnUNetv2_tf_preprocess_healthy"
    assert preprocess[preprocess.index("-healthy") + 1] == synthesize[synthesize.index("-healthy") + 1]
    assert preprocess[preprocess.index("-healthy") + 1] == HEALTHY.name
    assert preprocess[preprocess.index("-p") + 1] == training.matrix.plans


def test_online_arms_have_no_sets(workspace: Workspace):
    for name in (HEALTHY.raw, HEALTHY.preprocessed):
        name.mkdir(parents=True, exist_ok=True)
    arms = [
        Arm("carved", "carvemix", online=True),
        Arm("coarse", "tf_aug", "paper", healthy=HEALTHY.name, online=True, percent=30),
    ]
    _, carved, coarse = matrix(NNUNET, *arms, seeds=(3,), precision="bf16").trainings()
    assert (carved.set_name, coarse.set_name) == (None, None)
    assert carved.trainer == "TFOnlineTrainer_carvemix_1epochs_seed3_bf16"
    (train,) = carved.commands("cpu")
    assert train[0] == "nnUNetv2_train"
    preprocess, train = coarse.commands("cpu")
    assert preprocess[0] == "nnUNetv2_tf_preprocess_healthy"
    assert train[train.index("-tr") + 1] == "TFOnlineTrainer_tf_aug_h601_paper_1epochs_seed3_p30_bf16"
    assert [fit.method.name for fit in fits_of(coarse)] == ["tf_aug"]
    assert not fits_of(carved)


def test_mixup_is_an_arm_without_a_method_and_no_baseline_of_others():
    arms = [Arm("mixup", mixup=True), NNUNET, Arm("coarse", "tf_aug", healthy=601, num_cases=4, filter=True)]
    mixup, alone, coarse = matrix(*arms, precision="bf16").trainings()
    assert mixup.trainer == "TFMixupTrainer_1epochs_seed0_bf16"
    assert mixup.set_name is None
    ((command, *_),) = mixup.commands("cpu")
    assert command == "nnUNetv2_train"
    assert coarse.baseline.trainer == alone.trainer == "TFBaselineTrainer_1epochs_seed0_bf16"


def test_sets_may_be_named():
    arms = (NNUNET, CARVEMIX, Arm("other", "carvemix", num_cases=4, set="coarse"))
    names = [training.set_name for training in matrix(*arms).trainings()]
    assert names == [None, "carvemixseed0", "coarseseed0"]


def test_the_hash_is_that_of_the_settings():
    assert matrix().hash == matrix().hash
    assert matrix().hash != matrix(seeds=(1,)).hash
    assert CARVEMIX.given == {"name": "carvemix", "method": "carvemix", "num_cases": 4}
    first_keys = ("datasets", "configuration", "plans", "folds", "seeds", "epochs", "baseline")
    plain = {key: to_json(matrix())[key] for key in first_keys} | {"arms": [NNUNET.given, CARVEMIX.given]}
    assert matrix().hash == digest(plain)  # keys that later versions add, with their defaults, do not change it
    assert matrix(precision="bf16").hash != matrix().hash


def test_all_arms_are_trained_in_one_precision_and_begin_alike(workspace: Workspace, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"first")
    trainings = list(matrix(precision="bf16", pretrained_weights=str(weights)).trainings())
    assert all(training.trainer.endswith("_bf16") for training in trainings)
    begun = trainings[0]
    assert begun.commands("cpu")[-1][-2:] == ["-pretrained_weights", str(weights)]
    begun.folder.mkdir(parents=True)
    begun.prepare()
    (begun.folder / "checkpoint_best.pth").touch()
    assert begun.commands("cpu")[-1][-1] == "--c"  # nnU-Net does not take both
    begun.check_same_beginning()
    weights.write_bytes(b"second")
    with pytest.raises(UserError, match="whose content has changed"):
        begun.check_same_beginning()
    plain = next(matrix(precision="bf16").trainings())
    with pytest.raises(UserError, match=r"began with .*weights\.pth, and the matrix asks for random weights"):
        plain.check_same_beginning()
    (begun.folder / "checkpoint_best.pth").unlink()  # ended before its first checkpoint, and begun without weights
    plain.prepare()
    (begun.folder / "checkpoint_best.pth").touch()
    plain.check_same_beginning()


def test_weights_may_move_to_another_disk(workspace: Workspace, tmp_path):
    """Their path is seen from the file that names it, and is no setting; their content is noted with each training."""
    found = []
    for disk in ("one", "other"):
        (tmp_path / disk).mkdir()
        (tmp_path / disk / "weights.pth").write_bytes(b"weights")
        write_json(tmp_path / disk / "m.json", {**GOOD, "pretrained_weights": "weights.pth"})
        found.append(read_matrix(tmp_path / disk / "m.json"))
    assert found[0].pretrained_weights == str(tmp_path / "one" / "weights.pth")
    assert found[0].hash == found[1].hash != read_matrix_without(tmp_path).hash
    claim_folder(tmp_path / "results", found[0])
    claim_folder(tmp_path / "results", found[1])
    with pytest.raises(UserError, match="holds results of a matrix with other pretrained_weights"):
        claim_folder(tmp_path / "results", read_matrix_without(tmp_path))


def read_matrix_without(folder: Path) -> Matrix:
    write_json(folder / "m.json", GOOD)
    return read_matrix(folder / "m.json")


def test_states(workspace: Workspace):
    training = next(matrix().trainings())
    assert training.state == "missing"
    training.folder.mkdir(parents=True)
    (training.folder / "checkpoint_best.pth").touch()
    assert training.state == "begun"
    (training.folder / "checkpoint_final.pth").touch()
    assert training.state == "begun"
    write_json(training.folder / "validation" / "summary.json", {})
    assert training.state == "done"
    (training.folder / "checkpoint_latest.pth").touch()  # somebody trains it anew
    assert training.state == "begun"
