"""Bad input gets one sentence that names the file and the cure, exit code 2, and nothing half-written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.commands.convert_brats import main
from nnunetv2_tf.dataset.folders import VARIABLES
from tests.conversion.releases import write_release
from tests.workspace import tree

CASE = "BraTS-SSA-00007-000"


def edit(path: Path, change: Callable[[np.ndarray], np.ndarray], kind: type = np.float32) -> None:
    image = sitk.ReadImage(str(path))
    new = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(image).astype(kind)))
    new.SetSpacing(image.GetSpacing())
    sitk.WriteImage(new, str(path))


def put(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[8, 10, 9] = value
        return array

    return change


def file(folder: Path, kind: str) -> Path:
    return folder / CASE / f"{CASE}-{kind}.nii.gz"


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def move(path: Path) -> None:
    image = sitk.ReadImage(str(path))
    image.SetOrigin((0, 0, 5))
    sitk.WriteImage(image, str(path))


def rename_case(folder: Path, name: str) -> None:
    for path in (folder / CASE).iterdir():
        path.rename(path.with_name(path.name.replace(CASE, name)))
    (folder / CASE).rename(folder / name)


NONE: list[str] = []
BAD: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "missing folder": (shutil.rmtree, NONE, "ssa does not exist or is no folder; give the folder that holds the cases"),
    "folder without cases": (lambda f: [shutil.rmtree(p) for p in f.iterdir()], NONE, "ssa holds no case of any BraTS"),
    "only other names": (
        lambda f: [path.unlink() for path in f.rglob("*-seg.nii.gz")], NONE, "Scans under other names lie in:\n  ",
    ),
    "missing modality": (lambda f: file(f, "t2w").unlink(), NONE, f"so {CASE} has no t2w; add it, leave the case out"),
    "truncated gzip": (lambda f: cut_off(file(f, "t1n")), NONE, "t1n.nii.gz cannot be read, it is damaged"),
    "empty file": (lambda f: file(f, "t1c").write_bytes(b""), NONE, "t1c.nii.gz cannot be read, it is damaged"),
    "no NIfTI at all": (lambda f: file(f, "seg").write_bytes(b"label"), NONE, "seg.nii.gz cannot be read"),
    "NaN": (lambda f: edit(file(f, "t2f"), put(np.nan)), NONE, "t2f.nii.gz holds NaN or infinite values; replace them"),
    "infinite": (lambda f: edit(file(f, "t2f"), put(np.inf)), NONE, "t2f.nii.gz holds NaN or infinite values"),
    "unknown label": (
        lambda f: edit(file(f, "seg"), put(4), np.uint8), NONE, "holds 4, but labels of 2023-ssa are 1 NCR, 2 ED",
    ),
    "half a label": (lambda f: edit(file(f, "seg"), put(0.5)), NONE, "seg.nii.gz holds 0.5, but labels of 2023-ssa"),
    "empty tumour map": (
        lambda f: edit(file(f, "seg"), np.zeros_like, np.uint8), NONE, "seg.nii.gz has no tumour voxel; leave the case",
    ),
    "other shape": (lambda f: edit(file(f, "t1n"), lambda a: a[1:]), NONE, "t1n.nii.gz has shape (25, 26, 23), but"),
    "other place": (lambda f: move(file(f, "seg")), NONE, "do not lie in the same place (affines differ); correct one"),
    "one name twice": (
        lambda f: shutil.copytree(f / CASE, f / "again" / CASE), NONE, f"are both called {CASE}; leave one of them out",
    ),
    "unknown name": (lambda f: rename_case(f, "Patient7"), NONE, "is not named like a case of any known source"),
    "two possible years": (
        lambda f: rename_case(f, "BraTS-GLI-00007-000"), NONE, "could be of 2023-gli or 2024-gli, whose labels mean",
    ),
    "wrong source": (lambda f: None, ["-source", "2024-ped"], "is not named like a case of 2024-ped; check -source"),
    "no such source": (lambda f: None, ["-source", "2022"], "There is no source '2022'; choose from brats2018"),
    "sources for other folders": (
        lambda f: None, ["-source", "2021", "2023-ssa"], "-source names 2 sources for 1 folders; give one",
    ),
    "no such modality": (lambda f: None, ["-modalities", "t1"], "-modalities takes each of t1n t1c t2w t2f once"),
    "a modality twice": (lambda f: None, ["-modalities", "t1n", "t1n"], "once at most, not t1n t1n"),
    "groups of strangers": (
        lambda f: (f.parent / "g.csv").write_bytes(b"case,group\nnobody,P\n"),
        ["-groups", "g.csv"],
        "g.csv names nobody",
    ),
    "groups without header": (
        lambda f: (f.parent / "g.csv").write_bytes(b"a,b\nc,d\n"), ["-groups", "g.csv"], "must have a first line case",
    ),
    "no groups file": (lambda f: None, ["-groups", "g.csv"], "g.csv cannot be read; give a CSV file"),
    "more than there are": (lambda f: None, ["-num_train", "2", "-num_val", "1"], "are more than the 2 cases"),
    "half a split": (lambda f: None, ["-num_train", "1"], "-num_train and -num_val go together"),
    "only what nobody draws": (lambda f: None, ["--only_drawn"], "--only_drawn goes with -num_train and -num_val"),
    "no such number": (lambda f: None, ["-d", "1000"], "A dataset's number goes from 1 to 999; 1000 does not"),
    "name with a slash": (lambda f: None, ["-name", "a/b"], "A dataset cannot be called 'a/b'"),
}  # fmt: skip


@pytest.fixture
def folder(nnunet: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(nnunet)
    write_release(nnunet / "ssa", "2023-ssa")
    return nnunet / "ssa"


def converted(folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    arguments = ["nnUNetv2_tf_convert_brats", "-i", str(folder), "-d", "501", "-name", "BraTS", "-np", "1", *options]
    monkeypatch.setattr("sys.argv", arguments)
    return main()


def nothing_written(root: Path) -> bool:
    return not any(path for variable in VARIABLES for path in (root / variable).rglob("*"))


@pytest.mark.parametrize("kind", BAD)
def test_one_sentence_and_no_trace(folder: Path, monkeypatch, capsys, kind: str):
    spoil, options, sentence = BAD[kind]
    spoil(folder)
    assert converted(folder, monkeypatch, *options) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("Error: ") == 1
    assert nothing_written(folder.parent)


def test_a_taken_number_and_a_target_that_cannot_be_written(folder: Path, monkeypatch, capsys):
    assert converted(folder, monkeypatch) == 0
    before = tree(folder.parent / "nnUNet_raw")
    assert converted(folder, monkeypatch, "-name", "Other") == 2
    assert "There is a dataset Dataset501_BraTS already; choose another number" in capsys.readouterr().err
    assert tree(folder.parent / "nnUNet_raw") == before
    (folder.parent / "occupied").write_text("a file", encoding="utf-8")
    monkeypatch.setenv("nnUNet_raw", str(folder.parent / "occupied" / "raw"))
    assert converted(folder, monkeypatch, "-d", "502") == 2
    assert "a part of this path is a file and no folder" in capsys.readouterr().err
    monkeypatch.delenv("nnUNet_raw")
    assert converted(folder, monkeypatch, "-d", "502") == 2
    assert "The environment variable nnUNet_raw is not set" in capsys.readouterr().err


BACK = {
    "no predictions": ([], "predictions holds no .nii.gz file; give the folder nnUNetv2_predict wrote"),
    "a class the source lacks": ([4], "holds 4, for which 2023-ssa has no number"),
    "damaged": (["damaged"], "cannot be read, it is damaged or cut short"),
    "output in use": ([1, "used"], "out is not empty; name a new folder for -o"),
}


@pytest.mark.parametrize("kind", BACK)
def test_back_is_all_or_nothing(nnunet: Path, monkeypatch, capsys, kind: str):
    content, sentence = BACK[kind]
    folder, out = nnunet / "predictions", nnunet / "out"
    folder.mkdir()
    for index, value in enumerate(value for value in content if isinstance(value, int)):
        sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 4, 4), value, np.uint8)), str(folder / f"{index}.nii.gz"))
    if "damaged" in content:
        (folder / "9.nii.gz").write_bytes(b"x")
    if "used" in content:
        out.mkdir()
        (out / "mine").touch()
    before = tree(nnunet)
    arguments = ["--back", "-i", str(folder), "-o", str(out), "-source", "2023-ssa", "-np", "1"]
    monkeypatch.setattr("sys.argv", ["nnUNetv2_tf_convert_brats", *arguments])
    assert main() == 2
    assert sentence in capsys.readouterr().err
    assert tree(nnunet) == before
