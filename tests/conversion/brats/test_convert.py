"""BraTS releases in, nnU-Net datasets out: numbers, channels, places, patients, splits."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.conversion.brats.convert import convert_back, convert_brats
from nnunetv2_tf.conversion.brats.dataset import ConvertBratsRequest
from nnunetv2_tf.conversion.brats.labels import MODALITIES, SOURCES
from nnunetv2_tf.conversion.brats.link_files import LinkMode
from nnunetv2_tf.conversion.brats.relabel_predictions import RelabelRequest
from nnunetv2_tf.dataset.cases import dataset_json, raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.files import read_json
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.scanner import RESEARCH
from tests.conversion.releases import NAMES, RAS, SMALL, write_release
from tests.workspace import Workspace, tree


def convert(folders: Sequence[Path], number: int = 501, **changes: Any) -> Dataset:
    convert_brats(ConvertBratsRequest(tuple(folders), number, "BraTS", **changes))
    return Dataset(f"Dataset{number}_BraTS")


def arrays(dataset: Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A case as nnU-Net's own reader for this dataset gives it."""
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    case = raw_cases(dataset)[name]
    description = read_json(dataset.raw / "dataset.json", "")
    reader = determine_reader_writer_from_dataset_json(description, str(case.images[0]), verbose=False)()
    return reader.read_images([str(image) for image in case.images])[0], reader.read_seg(str(case.label))[0][0]


def every_release() -> list:
    """Each release by reference; other ways to place files with three that end or are joined in their own way."""
    own = ("brats2020", "2023-gli", "msd")
    return [
        pytest.param(source, how, marks=[] if how == "reference" or source in own else [pytest.mark.exhaustive])
        for source in SOURCES
        for how in ("reference", "symlink", "copy")
    ]


@pytest.mark.parametrize(("source", "how"), every_release())
def test_every_release_comes_out_alike(nnunet: Path, source: str, how: str):
    truths = write_release(nnunet / "release", source)
    dataset = convert([nnunet / "release"], sources=(source,), how=how)
    description = read_json(dataset.raw / "dataset.json", "")
    assert description["channel_names"] == {"0": "t1n", "1": "t1c", "2": "t2w", "3": "t2f"}
    assert set(raw_cases(dataset)) == set(truths)
    for index, (name, truth) in enumerate(truths.items()):
        images, label = arrays(dataset, name)
        expected, _ = SMALL.draw(np.random.default_rng([0, index]))
        assert np.array_equal(images, expected)
        assert np.array_equal(label, truth)
    assert ("dataset" in description) is (how == "reference")
    links = [path for path in (dataset.raw / "imagesTr").iterdir() if path.is_symlink()]
    assert bool(links) is (how == "symlink" and source not in ("msd", "brats2020"))  # both must be written anew


def test_nothing_is_copied_that_need_not_be(nnunet: Path):
    """By default images are references, and labels too where their numbers are ours already."""
    write_release(nnunet / "a", "2023-ssa")
    dataset = convert([nnunet / "a"])
    assert set(tree(dataset.raw)) == {"dataset.json", "groups.json", "conversion_report.json", "passed_over.json"}
    write_release(nnunet / "b", "brats2021")
    dataset = convert([nnunet / "b"], 502)
    assert {name for name in tree(dataset.raw) if "/" in name} == {
        f"labelsTr/{name}.nii.gz" for name in NAMES["brats2021"]
    }


def test_folders_that_are_passed_over_are_named(nnunet: Path, capsys):
    """Cases without label, and scans that are named like BraTS' and not quite."""
    names = write_release(nnunet / "a" / "Training", "2023-ssa")
    for kind in ("t1n", "t2w"):
        shutil.copytree(nnunet / "a" / "Training" / next(iter(names)), nnunet / "a" / "Other" / kind / "case")
    for label in (nnunet / "a" / "Other").rglob("*-seg.nii.gz"):
        label.rename(label.with_name("labels.nii.gz"))
    dataset = convert([nnunet / "a"])
    assert len(raw_cases(dataset)) == len(names)
    said = capsys.readouterr().out
    assert f"Passed over, since no label file in them is named like a case:\n  {nnunet / 'a' / 'Other'}\n" in said
    assert read_json(dataset.raw / "passed_over.json", "") == [str(nnunet / "a" / "Other")]


def test_modalities_in_the_order_asked_for(nnunet: Path):
    write_release(nnunet / "a", "2023-ssa")
    dataset = convert([nnunet / "a"], modalities=("t2f", "t1n"))
    image, _ = arrays(dataset, "BraTS-SSA-00002-000")
    expected, _ = SMALL.draw(np.random.default_rng([0, 0]))
    assert np.array_equal(image, expected[[3, 0]])
    assert read_json(dataset.raw / "dataset.json", "")["channel_names"] == {"0": "t2f", "1": "t1n"}


def test_years_and_orientations_merge(nnunet: Path, capsys):
    """RAS and LPS, ET 3 and 4: one numbering, and nnU-Net's reader turns both to one orientation."""
    truths = write_release(nnunet / "lps", "brats2021")
    write_release(nnunet / "ras", "2023-ssa", Brains(shape=SMALL.shape, channel_names=MODALITIES, direction=RAS))
    dataset = convert([nnunet / "lps", nnunet / "ras"])
    assert read_json(dataset.raw / "dataset.json", "")["overwrite_image_reader_writer"] == "NibabelIOWithReorient"
    assert "Scans lie in LPS and RAS" in capsys.readouterr().out
    (_, lps), (_, ras) = arrays(dataset, "BraTS2021_00000"), arrays(dataset, "BraTS-SSA-00002-000")
    assert np.array_equal(lps, ras[:, ::-1, ::-1])  # the same array, stored turned by half, is turned back
    assert {int(value) for value in np.unique(lps)} == {int(value) for value in np.unique(truths["BraTS2021_00000"])}


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("source", ["2023-ssa", "msd"])
def test_n4_writes_copies_without_the_shading(nnunet: Path, source: str):
    shading = np.exp(np.linspace(-0.6, 0.6, 34))[:, None]
    brains = Brains(shape=(30, 36, 34), spacing=(5.0, 5.0, 5.0), channel_names=MODALITIES, scanner=RESEARCH)
    write_release(nnunet / "release", source, Shaded(**{**vars(brains), "shading": shading}))
    before = tree(nnunet / "release")
    dataset = convert([nnunet / "release"], n4=True, modalities=("t1n",))
    assert tree(nnunet / "release") == before
    assert read_json(dataset.raw / "dataset.json", "")["tf"]["n4"] is True
    image, label = arrays(dataset, NAMES[source][0])
    flat, _ = brains.draw(np.random.default_rng([0, 0]))
    shaded = np.rint(flat[0] * shading.T)
    inside = flat[0] > 0
    assert np.array_equal(image[0] != 0, shaded != 0)
    likeness = [np.corrcoef(one[inside], flat[0][inside])[0, 1] for one in (image[0], shaded)]
    assert likeness[0] > likeness[1] + 0.05
    assert label.shape == image[0].shape


@dataclass(frozen=True)
class Shaded(Brains):
    """Scanned with a coil that one side lies nearer to."""

    shading: Any = 1

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, label = super().draw(rng)
        return np.rint(image * self.shading.T).astype(np.int16), label


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "2024-gli"])
def test_back_again(nnunet: Path, source: str):
    """Labels of the dataset, taken for predictions, are the release's own again."""
    write_release(nnunet / "release", source)
    dataset = convert([nnunet / "release"], sources=(source,))
    predictions = nnunet / "predictions"
    predictions.mkdir()
    for name, case in raw_cases(dataset).items():
        shutil.copy(case.label, predictions / f"{name}.nii.gz")
    convert_back(RelabelRequest(predictions, nnunet / "back", source))
    for path in (nnunet / "release").rglob("*.nii*"):
        if not path.name.endswith(("seg.nii.gz", "seg.nii", "Segm.nii")) and path.parent.name != "labelsTr":
            continue
        name = path.parent.name if path.parent.name != "labelsTr" else path.name.removesuffix(".nii.gz")
        theirs, back = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in (path, nnunet / "back" / f"{name}.nii.gz")
        )
        assert np.array_equal(theirs, back)


def test_the_resection_cavity_is_a_class_of_its_own(nnunet: Path):
    write_release(nnunet / "a", "2024-gli")
    dataset = convert([nnunet / "a"], sources=("2024-gli",), regions=True)
    description = read_json(dataset.raw / "dataset.json", "")
    assert description["labels"]["RC"] == [4]
    assert 4 not in description["labels"]["WT"]
    assert description["regions_class_order"] == [2, 1, 3, 4]


class TestPatients:
    def test_time_points_files_and_equal_voxels_make_groups(self, nnunet: Path, capsys):
        write_release(nnunet / "a", "2023-gli")  # two time points of one patient
        write_release(nnunet / "b", "brats2021")  # the same scans again, named otherwise
        write_release(nnunet / "c", "2023-ssa", seed=1)
        (nnunet / "groups.csv").write_text(
            "case,group\nBraTS-SSA-00002-000,P1\nBraTS-SSA-00007-000,P1\n", encoding="utf-8"
        )
        folders = [nnunet / name for name in "abc"]
        sources = ("2023-gli", "brats2021", "2023-ssa")
        dataset = convert(folders, sources=sources, groups_file=nnunet / "groups.csv")
        groups = read_json(dataset.raw / "groups.json", "")
        together = {name for name, group in groups.items() if group == groups["BraTS-GLI-00000-000"]}
        assert together == {*NAMES["2023-gli"], *NAMES["brats2021"]}
        assert groups["BraTS-SSA-00002-000"] == groups["BraTS-SSA-00007-000"] == "P1"
        said = capsys.readouterr().out
        assert "The same scan voxel by voxel, so one patient: BraTS-GLI-00000-000, BraTS2021_00000" in said

    def test_the_same_scan_is_found_however_it_is_stored(self, nnunet: Path):
        write_release(nnunet / "a", "brats2021")
        case = nnunet / "b" / "BraTS-SSA-00099-000"
        for path in (nnunet / "a" / "BraTS2021_00000").iterdir():
            image = sitk.Flip(sitk.ReadImage(str(path)), [True, True, False])  # other storage order, same place
            names = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"}
            kind = names[path.name.removesuffix(".nii.gz").split("_")[-1]]
            case.mkdir(parents=True, exist_ok=True)
            pixels = sitk.ChangeLabel(image, {4: 3}) if kind == "seg" else sitk.Cast(image, sitk.sitkFloat32)
            sitk.WriteImage(pixels, str(case / f"{case.name}-{kind}.nii.gz"))
        dataset = convert([nnunet / "a", nnunet / "b"])
        groups = read_json(dataset.raw / "groups.json", "")
        assert groups["BraTS-SSA-00099-000"] == groups["BraTS2021_00000"] != groups["BraTS2021_01666"]

    def four_patients(self, folder: Path) -> Path:
        """Each with two scans."""
        for index in range(4):
            write_release(folder / str(index), "2023-gli", seed=index)
            for name in NAMES["2023-gli"]:
                self.rename(folder / str(index) / name, name.replace("00000", f"{index:05d}"))
        return folder

    def test_the_papers_split(self, nnunet: Path):
        folder = self.four_patients(nnunet / "all")
        dataset = convert([folder], sources=("2023-gli",), one_fold=(4, 2, 0))
        (split,) = read_json(dataset.preprocessed / "splits_final.json", "")
        groups = read_json(dataset.raw / "groups.json", "")
        assert (len(split["train"]), len(split["val"])) == (4, 2)
        assert not {groups[case] for case in split["train"]} & {groups[case] for case in split["val"]}
        again = convert([folder], 502, sources=("2023-gli",), one_fold=(4, 2, 0))
        assert read_json(again.preprocessed / "splits_final.json", "") == [split]
        other = convert([folder], 503, sources=("2023-gli",), one_fold=(4, 2, 5))
        assert read_json(other.preprocessed / "splits_final.json", "") != [split]

    @pytest.mark.parametrize("how", ["reference", "copy"])
    def test_what_was_not_drawn_may_be_left_out(self, nnunet: Path, how: LinkMode):
        folder = self.four_patients(nnunet / "all")
        asked = {"sources": ("2023-gli",), "one_fold": (4, 2, 0)}
        (split,) = read_json(convert([folder], **asked).preprocessed / "splits_final.json", "")
        fewer = convert([folder], 502, **asked, only_drawn=True, how=how)
        assert read_json(fewer.preprocessed / "splits_final.json", "") == [split]
        drawn = sorted([*split["train"], *split["val"]])
        assert sorted(raw_cases(fewer)) == sorted(read_json(fewer.raw / "groups.json", "")) == drawn
        assert dataset_json(fewer)["numTraining"] == 6
        images = sorted(path.name[: -len("_0000.nii.gz")] for path in (fewer.raw / "imagesTr").glob("*_0000.nii.gz"))
        assert images == ([] if how == "reference" else drawn)
        assert len(list(folder.rglob("*-seg.nii.gz"))) == 8  # the source's files are all there

    @staticmethod
    def rename(case: Path, name: str) -> None:
        for path in case.iterdir():
            path.rename(case / path.name.replace(case.name, name))
        case.rename(case.with_name(name))

    def test_otherwise_five_folds_that_keep_patients_together(self, nnunet: Path):
        for index in range(3):
            write_release(nnunet / "all" / f"{index}", "2023-gli", seed=index)
            for name in NAMES["2023-gli"]:
                self.rename(nnunet / "all" / f"{index}" / name, name.replace("00000", f"{index:05d}"))
        for index in range(2):
            write_release(nnunet / "more" / f"{index}", "2023-ssa", seed=10 + index)
            for name in NAMES["2023-ssa"]:
                self.rename(nnunet / "more" / f"{index}" / name, name.replace("SSA-0", f"SSA-{index + 1}"))
        dataset = convert([nnunet / "all", nnunet / "more"], sources=("2023-gli", "2023-ssa"))
        splits = read_json(dataset.preprocessed / "splits_final.json", "")
        groups = read_json(dataset.raw / "groups.json", "")
        assert len(splits) == 5
        for split in splits:
            assert not {groups[case] for case in split["train"]} & {groups[case] for case in split["val"]}


def planned(nnunet: Path, wanted: list[tuple[tuple[str, ...], bool]], *options: str) -> None:
    """Each dataset through nnU-Net's own command, integrity checked; all in one call."""
    numbers = list(range(501, 501 + len(wanted)))
    for number, (sources, regions) in zip(numbers, wanted, strict=True):
        for source in sources:
            if not (nnunet / source).exists():
                write_release(nnunet / source, source)
        folders = [nnunet / source for source in sources]
        convert(folders, number, sources=sources, regions=regions, modalities=("t1n", "t2f"))
    workspace = Workspace(nnunet, Dataset("Dataset501_BraTS"))
    arguments = ["-d", *numbers, "-c", "3d_fullres", "-np", 1, "-npfp", 1, "--verify_dataset_integrity", *options]
    done = workspace.run("nnUNetv2_plan_and_preprocess", *arguments)
    assert done.stdout.count("verify_dataset_integrity Done") == len(numbers)
    for number, (sources, _) in zip(numbers, wanted, strict=True):
        folder = nnunet / "nnUNet_preprocessed" / f"Dataset{number}_BraTS"
        assert (folder / "nnUNetPlans.json").exists()
        stored = list(folder.glob("nnUNetPlans_3d_fullres/*.pkl"))
        assert len(stored) == (0 if "--no_pp" in options else 2 * len(sources))


@pytest.mark.slow
def test_nnunet_plans_what_comes_out(nnunet: Path):
    """Two releases in one dataset, one of them 4D files, as regions."""
    planned(nnunet, [(("msd", "2023-ssa"), True)], "--no_pp")


@pytest.mark.exhaustive
def test_nnunet_plans_every_release_with_classes_and_regions(nnunet: Path):
    """Uncompressed references and a fourth class among them."""
    planned(nnunet, [((source,), regions) for source in SOURCES for regions in (False, True)])
