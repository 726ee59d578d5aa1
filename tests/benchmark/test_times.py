"""What is noted of one command counts for others of its kind."""

from nnunetv2_tf.benchmark.postprocessing import Postprocessing
from nnunetv2_tf.benchmark.times import note_seconds, noted_seconds, times_file
from tests.benchmark.examples import NNUNET, matrix
from tests.workspace import Workspace


def test_what_nnunet_predicts_of_one_dataset_tells_nothing_of_another(workspace: Workspace):
    (training,) = matrix(NNUNET, postprocessing="nnunet").trainings()
    *_, command = Postprocessing(training).commands("cpu")
    note_seconds(times_file(), command, "cpu", 30)
    assert noted_seconds(command, "cpu") == 30
    assert noted_seconds([word.replace("seed0", "seed1") for word in command], "cpu") == 30
    assert noted_seconds([word.replace("Dataset501_StandIns", "Dataset502_Other") for word in command], "cpu") is None
