import json

import pytest

from nnunetv2_tf.benchmark.hours import HOUR, Clock, note_seconds, times_file
from nnunetv2_tf.benchmark.job import Job
from nnunetv2_tf.benchmark.matrix import Training
from tests.benchmark.examples import CARVEMIX, NNUNET, matrix
from tests.workspace import Workspace

EPOCHS = matrix(NNUNET, CARVEMIX, epochs=50)


def trained(training: Training, *seconds: float, device: str = "cpu") -> None:
    """What nnU-Net leaves of a training, as far as hours go."""
    training.folder.mkdir(parents=True)
    lines = "".join(f"2026-01-01 00:00:00.000000: Epoch time: {time} s\n" for time in seconds)
    (training.folder / "training_log_2026_1_1_00_00_00.txt").write_text(lines, encoding="utf-8")
    (training.folder / "debug.json").write_text(json.dumps({"device": device}, indent=4), encoding="utf-8")


def test_trainings_are_judged_by_epochs_of_any_training_with_the_same_plans(workspace: Workspace):
    plain, carvemix = EPOCHS.trainings()
    assert Clock("cpu").hours(plain) is None
    trained(next(matrix(NNUNET, epochs=3).trainings()), 10, 20, 300)
    assert Clock("cpu").hours(plain) == pytest.approx(50 * 20 / HOUR)
    assert Clock("cpu").hours(carvemix) is None  # of its set nothing is known
    assert Clock("cuda").hours(plain) is None
    in_bf16 = next(matrix(NNUNET, epochs=50, precision="bf16").trainings())
    assert Clock("cpu").hours(in_bf16) is None
    trained(in_bf16, 5)
    assert Clock("cpu").hours(in_bf16) == pytest.approx(49 * 5 / HOUR)  # one epoch is done


def test_sets_are_judged_by_the_cases_that_were_made(workspace: Workspace):
    carvemix = list(EPOCHS.trainings())[1]
    trained(next(EPOCHS.trainings()), 0.0)
    (synthesize, _), path = carvemix.commands("cpu"), times_file()
    assert Clock("cpu").hours(carvemix) is None
    note_seconds(path, [word if word != "4" else "40" for word in synthesize], "cpu", 400)
    note_seconds(path, synthesize, "cpu", 1)  # all was there
    note_seconds(path, [word if word != "carvemix" else "other" for word in synthesize], "cpu", 9)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"host": ')  # killed
    clock = Clock("cpu")
    assert clock.hours(carvemix) == pytest.approx(4 * 10 / HOUR)
    assert clock.hours(carvemix) == pytest.approx(0)  # the set is counted once


def test_the_sum_says_what_is_not_in_it(workspace: Workspace):
    jobs: list[Job] = list(EPOCHS.trainings())
    clock = Clock("cpu")
    for job in jobs:
        clock.hours(job)
    assert clock.total.endswith(f"has measured no like of {jobs[0].key}, {jobs[1].key} yet.")
    trained(next(matrix(NNUNET, epochs=3).trainings()), 72)
    clock.hours(next(EPOCHS.trainings()))
    assert clock.total.startswith("In all about 1 hours")
    assert f"2 jobs that it has measured no like of ({jobs[0].key}, {jobs[1].key})" in clock.total
