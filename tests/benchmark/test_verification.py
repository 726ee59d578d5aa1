"""Every way in which a benchmark may not be what it says, on folders as nnU-Net leaves them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch

from nnunetv2_tf.benchmark.matrix import Training
from nnunetv2_tf.benchmark.verification import problems
from nnunetv2_tf.dataset.code_version import CodeVersion, write_code_versions
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.sets.enrichment import Enrichment
from tests.benchmark.examples import CARVEMIX, NNUNET, matrix
from tests.synthesis.making import make_set
from tests.workspace import TINY, Workspace

CLEAN = CodeVersion("1.0", "a" * 40, ())
PAIR = matrix(NNUNET, seeds=(0, 1))


def make_result(workspace: Workspace, training: Training, number: float) -> None:
    """A finished training, but for its network."""
    identifiers = [f"case_{index:03d}" for index in range(10)]
    split = fold_split(workspace.dataset, training.fold, identifiers)
    folder, truths = training.folder / "validation", workspace.dataset.preprocessed / "gt_segmentations"
    folder.mkdir(parents=True)
    metrics = []
    for case in split.val:
        shutil.copy(truths / f"{case}.nii.gz", folder)
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(truths / f"{case}.nii.gz")))
        of_class = {str(value): {"n_pred": int((voxels == value).sum())} for value in (1, 2, 3)}
        metrics.append({"prediction_file": str(folder / f"{case}.nii.gz"), "metrics": of_class})
    write_json(folder / "summary.json", {"metric_per_case": metrics})
    plans = read_json(workspace.dataset.preprocessed / f"{TINY}.json", "")
    checkpoint = {
        "network_weights": {"w": torch.tensor([number])},
        "current_epoch": 1,
        "init_args": {"plans": plans, "dataset_json": read_json(workspace.dataset.preprocessed / "dataset.json", "")},
        "tf_training": {"split": split.digest, "enrichment": None},
    }
    torch.save(checkpoint, training.folder / "checkpoint_final.pth")
    write_code_versions([CLEAN], training.folder)


@pytest.fixture
def results(workspace: Workspace) -> list[Training]:
    trainings = list(PAIR.trainings())
    for number, training in enumerate(trainings):
        make_result(workspace, training, float(number))
    return trainings


def test_what_is_right_has_no_problem(results: list[Training]):
    assert list(problems(PAIR)) == []


def change(**entries: object) -> Callable[[Workspace, Training], None]:
    def act(workspace: Workspace, training: Training) -> None:
        path = training.folder / "checkpoint_final.pth"
        torch.save({**torch.load(path, weights_only=False), **entries}, path)

    return act


def code(*entries: CodeVersion) -> Callable[[Workspace, Training], None]:
    return lambda workspace, training: write_code_versions(entries, training.folder)


def plans(workspace: Workspace, training: Training) -> None:
    path = workspace.dataset.preprocessed / f"{TINY}.json"
    content = read_json(path, "")
    content["configurations"]["3d_fullres"]["batch_size"] = 7
    write_json(path, content)


def labels(workspace: Workspace, training: Training) -> None:
    path = workspace.dataset.preprocessed / "dataset.json"
    write_json(path, read_json(path, "") | {"channel_names": {"0": "other"}})


def split(workspace: Workspace, training: Training) -> None:
    path = workspace.dataset.preprocessed / "splits_final.json"
    write_json(path, read_json(path, "")[1:])


def segmentation(workspace: Workspace, training: Training) -> None:
    one, other = sorted((training.folder / "validation").glob("*.nii.gz"))
    one.write_bytes(other.read_bytes())


def cut_segmentation(workspace: Workspace, training: Training) -> None:
    path = min((training.folder / "validation").glob("*.nii.gz"))
    path.write_bytes(path.read_bytes()[:100])


def copied(workspace: Workspace, training: Training) -> None:
    other = list(PAIR.trainings())[1]
    shutil.copy(other.folder / "checkpoint_final.pth", training.folder)


def file(name: str, content: str) -> Callable[[Workspace, Training], None]:
    def act(workspace: Workspace, training: Training) -> None:
        path: Path = training.folder / name
        path.write_text(content, encoding="utf-8")

    return act


def without(name: str) -> Callable[[Workspace, Training], None]:
    return lambda workspace, training: (training.folder / name).unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (change(current_epoch=5), "it trained for 5 epochs, not 1"),
        (change(tf_training=None), "it trained and validated on other cases than splits_final.json has now"),
        (
            change(tf_training={"split": "", "enrichment": {"set": "x"}}),
            "it trained with synthetic cases ({'set': 'x'}), and should have real cases only",
        ),
        (code(), "nobody noted which code trained it"),
        (without("tf_code.json"), "nobody noted which code trained it"),
        (code(CodeVersion("1.0", "a" * 40, ("x.py",))), "it was trained by a changed checkout (x.py)"),
        (code(CLEAN, CodeVersion("1.0", "b" * 40, ())), "it was trained by 2 versions of the code one after another"),
        (code(CodeVersion("1.0", "b" * 40, ())), "trainings come from different code"),
        (plans, f"{TINY} has changed since it was trained"),
        (labels, "channels or labels in dataset.json have changed"),
        (split, "it trained and validated on other cases"),
        (split, "its validation folder does not hold the cases of the fold"),
        (segmentation, "is not the one that nnU-Net scored"),
        (cut_segmentation, "is damaged or cut short"),
        (copied, "its checkpoint is a copy of that of"),
        (without("checkpoint_final.pth"), "is not trained yet (missing)"),
        (file("checkpoint_latest.pth", ""), "is not trained yet (begun)"),
        (file("checkpoint_final.pth", "no checkpoint"), "is damaged or no checkpoint of nnU-Net's"),
        (file("validation/summary.json", "{}"), "summary.json is not nnU-Net's"),
        (file("validation/summary.json", ""), "summary.json is not valid JSON"),
        (file("tf_code.json", "[{}]"), "lacks or does not know"),
    ],
)
def test_what_is_wrong_is_found(workspace: Workspace, results: list[Training], damage, sentence):
    damage(workspace, results[0])
    assert any(sentence in problem for problem in problems(PAIR)), list(problems(PAIR))


def test_other_synthetic_cases_than_the_set_holds_now(workspace: Workspace):
    plain, carvemix = matrix(NNUNET, CARVEMIX).trainings()
    make_set(workspace, carvemix.part.set_name, seed=0)
    for training in (plain, carvemix):
        make_result(workspace, training, 0.0)
    path = carvemix.folder / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    enrichment = Enrichment.choose(carvemix.dataset, carvemix.fold, carvemix.options)
    record = to_json(enrichment.record(len(carvemix.split.train), None))
    for entries, problem in ((record["hash"], None), ("of others", "it trained with other synthetic cases")):
        checkpoint["tf_training"]["enrichment"] = {**record, "hash": entries}
        torch.save(checkpoint, path)
        found = [each for each in problems(matrix(NNUNET, CARVEMIX)) if "changed checkout" not in each]
        assert [each.partition(": ")[2].partition(" (")[0] for each in found] == ([problem] if problem else [])
