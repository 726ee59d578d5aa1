import json
import shutil

import pytest

from nnunetv2_tf.benchmark.arm import Arm
from nnunetv2_tf.benchmark.hours import HOUR, Estimate
from nnunetv2_tf.benchmark.job import Job
from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.benchmark.times import note_seconds, times_file
from tests.benchmark.examples import CARVEMIX, NNUNET, matrix
from tests.synthesis.making import make_set
from tests.workspace import HEALTHY, Workspace

EPOCHS = matrix(NNUNET, CARVEMIX, epochs=50)


def trained(training: Training, *seconds: float, device: str = "cpu") -> None:
    """What nnU-Net leaves of a training, as far as hours go."""
    training.folder.mkdir(parents=True)
    stamp = "2026-01-01 00:00:00.000000:"
    lines = "".join(
        f"{stamp} Epoch {epoch} \n{stamp} Epoch time: {time} s \n{stamp}  \n" for epoch, time in enumerate(seconds)
    )
    (training.folder / "training_log_2026_1_1_00_00_00.txt").write_text(lines, encoding="utf-8")
    (training.folder / "debug.json").write_text(json.dumps({"device": device}, indent=4), encoding="utf-8")


def test_trainings_are_judged_by_epochs_of_any_training_with_the_same_plans(workspace: Workspace):
    plain, carvemix = EPOCHS.trainings()
    assert Estimate("cpu").hours(plain) is None
    trained(next(matrix(NNUNET, epochs=3).trainings()), 10, 20, 300)
    assert Estimate("cpu").hours(plain) == pytest.approx(50 * 20 / HOUR)
    assert Estimate("cpu").hours(carvemix) is None  # of its set nothing is known
    assert Estimate("cuda").hours(plain) is None
    in_bf16 = next(matrix(NNUNET, epochs=50, precision="bf16").trainings())
    assert Estimate("cpu").hours(in_bf16) is None
    trained(in_bf16, 5)
    assert Estimate("cpu").hours(in_bf16) == pytest.approx(50 * 5 / HOUR)  # killed before its first checkpoint
    (in_bf16.folder / "checkpoint_latest.pth").touch()
    assert Estimate("cpu").hours(in_bf16) == pytest.approx(49 * 5 / HOUR)  # one epoch is done
    (log,) = in_bf16.folder.glob("training_log_*.txt")
    shutil.copy(log, log.with_stem("training_log_2026_1_2_00_00_00"))  # the same epoch, after --c
    assert Estimate("cpu").hours(in_bf16) == pytest.approx(49 * 5 / HOUR)


def test_sets_are_judged_by_the_cases_that_were_made(workspace: Workspace):
    carvemix = list(EPOCHS.trainings())[1]
    trained(next(EPOCHS.trainings()), 0.0)
    (synthesize, _), path = carvemix.commands("cpu"), times_file()
    assert Estimate("cpu").hours(carvemix) is None
    note_seconds(path, [word if word != "4" else "40" for word in synthesize], "cpu", 400)
    note_seconds(path, synthesize, "cpu", 1)  # all was there
    note_seconds(path, [word if word != "carvemix" else "other" for word in synthesize], "cpu", 9)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"host": ')  # killed
    estimate = Estimate("cpu")
    assert estimate.hours(carvemix) == pytest.approx(4 * 10 / HOUR)
    assert estimate.hours(carvemix) == pytest.approx(0)  # the set is counted once
    make_set(workspace, carvemix.part.set_name, 3, seed=0)
    assert Estimate("cpu").hours(carvemix) == pytest.approx(10 / HOUR)  # a case is missing


def test_scans_that_are_preprocessed_are_not_counted_again(with_healthy: Workspace):
    (training,) = matrix(Arm("syntumor", "syntumor", healthy=601, num_cases=1), baseline="syntumor").trainings()
    trained(training, 0.0)
    preprocess, synthesize, _ = training.commands("cpu")
    for command, seconds in ((preprocess, 500), (synthesize, 7)):
        note_seconds(times_file(), command, "cpu", seconds)
    assert Estimate("cpu").hours(training) == pytest.approx(7 / HOUR)
    arrays = next(HEALTHY.preprocessed.glob("*_3d_fullres"))
    next(arrays.glob("*_seg.b2nd")).unlink()
    assert Estimate("cpu").hours(training) == pytest.approx((500 / 6 + 7) / HOUR)
    shutil.rmtree(arrays)
    assert Estimate("cpu").hours(training) == pytest.approx(507 / HOUR)


def test_the_sum_says_what_is_not_in_it(workspace: Workspace):
    jobs: list[Job] = list(EPOCHS.trainings())
    estimate = Estimate("cpu")
    for job in jobs:
        estimate.hours(job)
    assert estimate.total.endswith(f"has measured no like of {jobs[0].key}, {jobs[1].key} yet.")
    trained(next(matrix(NNUNET, epochs=3).trainings()), 72)
    estimate.hours(next(EPOCHS.trainings()))
    assert estimate.total.startswith("In all about 1 hours")
    assert f"2 jobs that it has measured no like of ({jobs[0].key}, {jobs[1].key})" in estimate.total
