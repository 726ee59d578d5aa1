"""Adding other programs' cases: what joins a set, and what is refused with one sentence and no trace."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.commands.sets import main
from nnunetv2_tf.dataset.folds import fold_split
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.sets import manage
from nnunetv2_tf.sets.store import SetPart, all_parts
from tests.disks import files_no_larger_than
from tests.workspace import TINY, Workspace, tree

pytestmark = pytest.mark.slow

IMAGE = "imagesTr/synthetic_0001_0000.nii.gz"
LABEL = "labelsTr/synthetic_0001.nii.gz"


def add(workspace: Workspace, folder: Path, name: str = "demo", folds=(0,), ancestors: bool = True) -> None:
    file = folder / "ancestors.json" if ancestors else None
    manage.add(manage.AddRequest(workspace.id, folder, name, tuple(folds), file, ("3d_fullres",), TINY, 1))


def test_a_set_on_disk(workspace: Workspace):
    """The layout of the design: raw files, sidecars, manifest; preprocessed arrays and nothing beside them."""
    folder = workspace.foreign_cases()
    add(workspace, folder)
    part = SetPart(workspace.dataset, "demo", 0)
    assert part.folder == workspace.dataset.raw / "tf" / "demo" / "fold_0"
    written, given = tree(part.folder), tree(folder, ignore=["ancestors.json"])
    assert {name: written[name] for name in given} == given
    names = [f"synthetic_{index:04d}" for index in range(4)]
    assert set(written) - set(given) == {"manifest.json", *(f"sidecars/{name}.json" for name in names)}
    ancestors = read_json(folder / "ancestors.json", "")
    assert {name: list(part.sidecar(name).ancestors) for name in names} == ancestors
    endings = ("_seg.b2nd", ".b2nd", ".pkl")
    preprocessed = workspace.dataset.preprocessed / "tf" / "demo" / "fold_0" / "nnUNetPlans_3d_fullres"
    assert {path.name for path in preprocessed.iterdir()} == {name + ending for name in names for ending in endings}


def test_parts_of_two_folds_and_a_second_helping(workspace: Workspace):
    splits = [fold_split(workspace.dataset, fold, case_names()) for fold in (0, 1)]
    both = sorted(set(splits[0].train) & set(splits[1].train))
    folder = workspace.foreign_cases()
    write_json(folder / "ancestors.json", {f"synthetic_{index:04d}": both[:2] for index in range(4)})
    add(workspace, folder, folds=(0, 1))
    assert [(part.set_name, part.fold) for part in all_parts(workspace.dataset)] == [("demo", 0), ("demo", 1)]
    more = renamed(workspace.foreign_cases(seed=1), "synthetic", "more")
    add(workspace, more, ancestors=False)
    entries = SetPart(workspace.dataset, "demo", 0).manifest().cases
    assert [entry.case for entry in entries] == [f"{kind}_{i:04d}" for kind in ("synthetic", "more") for i in range(4)]
    assert manage.table("501").splitlines() == [
        "set   method   folds  cases  accepted",
        "demo  foreign  0 1    8 4    8 4",
    ]


def case_names() -> list[str]:
    return [f"case_{index:03d}" for index in range(10)]


def renamed(folder: Path, old: str, new: str) -> Path:
    for path in folder.glob("*/*"):
        path.rename(path.with_name(path.name.replace(old, new)))
    return folder


def test_one_wrong_ancestor_is_refused(workspace: Workspace):
    folder = workspace.foreign_cases()
    held_out = fold_split(workspace.dataset, 0, case_names()).val[0]
    ancestors = read_json(folder / "ancestors.json", "")
    for wrong, sentence in ((held_out, "which validates in this fold"), ("case_0", "is no case of this dataset")):
        write_json(folder / "ancestors.json", {**ancestors, "synthetic_0003": ["case_001", wrong]})
        refused_without_a_trace(workspace, folder, sentence)
    del ancestors["synthetic_0003"]
    write_json(folder / "ancestors.json", ancestors)
    refused_without_a_trace(workspace, folder, "says nothing about case synthetic_0003")
    write_json(folder / "ancestors.json", {**ancestors, "synthetic_0003": "case_001"})
    refused_without_a_trace(workspace, folder, "must be a JSON object")


def refused_without_a_trace(workspace: Workspace, folder: Path, sentence: str, **options) -> None:
    before = tree(workspace.dataset.raw), tree(workspace.dataset.preprocessed)
    with pytest.raises(UserError, match=".") as caught:
        add(workspace, folder, **options)
    assert sentence in str(caught.value)
    assert (tree(workspace.dataset.raw), tree(workspace.dataset.preprocessed)) == before
    assert not (workspace.dataset.raw / "tf").exists() or any(all_parts(workspace.dataset))


def edit(path: Path, change: Callable[[np.ndarray], np.ndarray | None], kind: type = np.float32) -> None:
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).astype(kind)
    changed = change(array)
    new = sitk.GetImageFromArray(array if changed is None else changed)
    new.SetSpacing(image.GetSpacing())
    sitk.WriteImage(new, str(path))


def geometry(path: Path, setter: str, value) -> None:
    image = sitk.ReadImage(str(path))
    getattr(image, setter)(value)
    sitk.WriteImage(image, str(path))


def set_voxel(value: float) -> Callable[[np.ndarray], None]:
    return lambda array: array.__setitem__((16, 20, 18), value)


def turn(folder: Path) -> None:
    for name in (IMAGE, LABEL):
        geometry(folder / name, "SetDirection", (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD = {
    "missing image": (lambda f: (f / IMAGE).unlink(), "0001_0000.nii.gz does not exist, but its label does"),
    "missing label": (lambda f: (f / LABEL).unlink(), "belongs to no label"),
    "one channel too many": (
        lambda f: shutil.copy(f / IMAGE, str(f / IMAGE).replace("_0000.nii", "_0001.nii")), "the dataset does not have",
    ),
    "truncated image": (lambda f: truncate(f / IMAGE), "0001_0000.nii.gz cannot be read, it is damaged or cut short"),
    "not an image": (lambda f: (f / LABEL).write_text("label", encoding="utf-8"), "0001.nii.gz cannot be read"),
    "empty file": (lambda f: (f / IMAGE).write_bytes(b""), "cannot be read"),
    "NaN": (lambda f: edit(f / IMAGE, set_voxel(np.nan)), "holds NaN or infinite values"),
    "infinite": (lambda f: edit(f / IMAGE, set_voxel(np.inf)), "holds NaN or infinite values"),
    "other shape": (lambda f: edit(f / IMAGE, lambda a: a[1:]), "has shape 31 x 40 x 36, but synthetic_0001.nii"),
    "other spacing": (lambda f: geometry(f / IMAGE, "SetSpacing", (1, 1, 1.1)), "do not share spacing"),
    "other origin": (lambda f: geometry(f / LABEL, "SetOrigin", (5, 0, 0)), "do not share spacing, origin"),
    "turned": (turn, "is turned against the real cases"),
    "unknown label": (lambda f: edit(f / LABEL, set_voxel(9), np.uint8), "that dataset.json does not know: 9"),
    "half a label": (lambda f: edit(f / LABEL, set_voxel(1.5)), "that dataset.json does not know: 1.5"),
    "no foreground": (lambda f: edit(f / LABEL, np.zeros_like, np.uint8), "has no foreground voxel"),
    "negative voxels": (lambda f: edit(f / IMAGE, lambda a: a - 1), "of the voxels are below 0; set the background"),
    "background above 0": (lambda f: edit(f / IMAGE, lambda a: a + 1), "has no background of exactly 0"),
    "tumour in the background": (
        lambda f: edit(f / LABEL, lambda a: a.__setitem__((0, 0, slice(5)), 1), np.uint8), "has 5 foreground voxels",
    ),
    "no labelsTr": (lambda f: shutil.rmtree(f / "labelsTr"), "labelsTr does not exist"),
    "nothing in labelsTr": (lambda f: [p.unlink() for p in f.glob("labelsTr/*")], "holds no file ending in .nii.gz"),
    "no ancestors file": (lambda f: (f / "ancestors.json").unlink(), "ancestors.json does not exist"),
    "a folder for the ancestors file": (
        lambda f: ((f / "ancestors.json").unlink(), (f / "ancestors.json").mkdir()), "ancestors.json is not a file",
    ),
    "dataset.json of another kind": (lambda f: write_json(f / "dataset.json", [1]), "must be a JSON object"),
    "broken ancestors file": (lambda f: (f / "ancestors.json").write_text("{", encoding="utf-8"), "is not valid JSON"),
    "swapped channels": (
        lambda f: write_json(f / "dataset.json", {"channel_names": {"0": "t2w"}}), "says channel_names {'0': 't2w'}",
    ),
    "other numbering": (lambda f: write_json(f / "dataset.json", {"labels": {"ED": 1}}), "says labels {'ED': 1}, but"),
}  # fmt: skip


@pytest.mark.parametrize("spoil", BAD)
def test_bad_input_gets_a_sentence_and_leaves_no_trace(workspace: Workspace, spoil: str):
    folder = workspace.foreign_cases()
    spoiler, sentence = BAD[spoil]
    spoiler(folder)
    refused_without_a_trace(workspace, folder, sentence)


def test_all_bad_cases_are_listed_at_once(workspace: Workspace):
    folder = workspace.foreign_cases()
    edit(folder / IMAGE, set_voxel(np.nan))
    edit(folder / LABEL.replace("0001", "0003"), set_voxel(7), np.uint8)
    refused_without_a_trace(workspace, folder, "2 of 4 cases cannot be used, so nothing was added:\n")


def test_names_that_are_taken(workspace: Workspace):
    folder = workspace.foreign_cases()
    add(workspace, folder)
    other = workspace.foreign_cases(seed=1)
    refused_without_a_trace(workspace, other, "Another case synthetic_0000 is in set demo (fold 0) already")
    refused_without_a_trace(workspace, folder, "Another case synthetic_0000 is in", ancestors=False)
    renamed(folder, "synthetic_0001", "case_001")
    refused_without_a_trace(workspace, folder, "Case case_001 is called like a real case", name="other")
    refused_without_a_trace(workspace, folder, "A set cannot be called 'p50'", name="p50")


def test_the_same_command_again_finishes_what_was_interrupted(workspace: Workspace):
    """Fold 0 has joined, fold all has not; then nothing is left to do."""
    folder = workspace.foreign_cases()
    add(workspace, folder)
    before = tree(workspace.dataset.set_part("demo", 0))
    add(workspace, folder, folds=(0, "all", 0))
    assert [part.fold for part in all_parts(workspace.dataset)] == [0, "all"]
    add(workspace, folder, folds=(0, "all"))
    assert tree(workspace.dataset.set_part("demo", 0)) == before
    assert [len(part.manifest().cases) for part in all_parts(workspace.dataset)] == [4, 4]


def test_a_set_of_another_method_is_left_alone(workspace: Workspace):
    folder = workspace.foreign_cases()
    add(workspace, folder)
    part = SetPart(workspace.dataset, "demo", 0)
    manifest = part.manifest()
    type(manifest)(**{**vars(manifest), "method": "carvemix"}).write(part.manifest_path)
    renamed(folder, "synthetic", "more")
    refused_without_a_trace(workspace, folder, "Set demo was made by carvemix", ancestors=False)


def test_cases_below_zero_are_fine_where_real_ones_are(workspace: Workspace):
    """Datasets that were z-scored before nnU-Net saw them."""
    folder = workspace.foreign_cases()
    for path in (folder / IMAGE, next(workspace.dataset.raw.glob("imagesTr/case_000*"))):
        edit(path, lambda array: np.where(array > 0, (array - array[array > 0].mean()) / 50, 0))
    add(workspace, folder)


def test_where_nothing_is_masked_zero_means_nothing(workspace: Workspace):
    """CT-like plans: negative voxels and no background are as good as any."""
    path = workspace.dataset.preprocessed / f"{TINY}.json"
    plans = read_json(path, "")
    plans["configurations"]["3d_fullres"]["use_mask_for_norm"] = [False]
    write_json(path, plans)
    folder = workspace.foreign_cases()
    edit(folder / IMAGE, lambda array: array - 1000)
    add(workspace, folder)


def test_a_few_voxels_below_zero_are_interpolation(workspace: Workspace):
    """Real BraTS scans have them inside the brain."""
    folder = workspace.foreign_cases()
    edit(folder / IMAGE, lambda array: array.__setitem__((16, 20, slice(16, 20)), -50))
    add(workspace, folder)


@pytest.mark.parametrize("step", ["copying", pytest.param("preprocessing", marks=pytest.mark.exhaustive)])
def test_a_full_disk_loses_nothing(workspace: Workspace, step: str, monkeypatch, capfd):
    """While copying, or later while preprocessing."""
    folder = workspace.foreign_cases()
    largest = max(path.stat().st_size for path in folder.glob("imagesTr/*"))
    limit = largest // 2 if step == "copying" else largest + 1000
    words = f"nnUNetv2_tf_sets -d 501 --add {folder} -s demo -f 0 --trust -c 3d_fullres -p {TINY} -np 1"
    monkeypatch.setattr("sys.argv", words.split())
    with files_no_larger_than(limit):
        assert main() == 2
    said = capfd.readouterr().err
    assert said.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in said
    if step == "copying":
        assert "larger than this system allows" in said
        assert not any(all_parts(workspace.dataset))
        assert not any((workspace.dataset.raw / "tf").iterdir())
        assert main() == 0
    else:
        assert "is the disk full" in said
        manage.preprocess(manage.PreprocessRequest("501", "demo", None, ("3d_fullres",), TINY, 1))
    part = SetPart(workspace.dataset, "demo", 0)
    assert part.stale(workspace.plan(), part.manifest().cases) == []
    assert not list(workspace.root.rglob("*.tmp"))
