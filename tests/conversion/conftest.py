import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nnunetv2_tf.commands import convert_healthy
from nnunetv2_tf.dataset.folders import VARIABLES
from nnunetv2_tf.standin.brains import Brains
from tests.conversion.people import PEOPLE, research, write_person

SIZE = {"shape": (36, 44, 36), "spacing": (4.6, 4.6, 4.6)}  # an adult's head, coarsely
COMMAND = ["-d", "601", "-name", "Healthy", "-reference", "501", "-np", "1"]


@pytest.fixture
def nnunet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """nnU-Net's three empty folders."""
    for variable in VARIABLES:
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled dataset, and a BIDS folder of healthy people on another grid; not to be changed."""
    root = tmp_path_factory.mktemp("cohorts")
    Brains(**SIZE).write_dataset(root / "nnUNet_raw" / "Dataset501_Real", 6, seed=0)  # type: ignore[arg-type]
    for index in range(PEOPLE):
        write_person(research(), root / "bids", index)
    return root


@pytest.fixture
def bids(cohorts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, to be changed, with the environment set to it."""
    for variable in VARIABLES:
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    shutil.copytree(cohorts / "nnUNet_raw", tmp_path / "nnUNet_raw", dirs_exist_ok=True)
    shutil.copytree(cohorts / "bids", tmp_path / "bids")
    return tmp_path / "bids"


Convert = Callable[..., int]


def command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Convert:
    """Runs the command on a folder; options that are given twice count the second time."""

    def run(*options: object, folders: Sequence[object] = (folder,)) -> int:
        words = ["-i", *folders, *COMMAND, *options]
        monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_convert_healthy", *map(str, words)])
        return convert_healthy.main()

    return run


@pytest.fixture
def convert(bids: Path, monkeypatch: pytest.MonkeyPatch) -> Convert:
    """Runs the command on the BIDS folder."""
    return command(bids, monkeypatch)


@pytest.fixture(scope="module")
def converted(cohorts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nnU-Net's folders once the BIDS folder has been converted; not to be changed."""
    root = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        for variable in VARIABLES:
            (root / variable).mkdir()
            patch.setenv(variable, str(root / variable))
        shutil.copytree(cohorts / "nnUNet_raw", root / "nnUNet_raw", dirs_exist_ok=True)
        assert command(cohorts / "bids", patch)() == 0
    return root


@pytest.fixture
def convert_again(converted: Path, cohorts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Convert:
    """Runs the command in a copy of that, on the BIDS folder, which is not to be changed."""
    for variable in VARIABLES:
        shutil.copytree(converted / variable, tmp_path / variable)
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return command(cohorts / "bids", monkeypatch)
