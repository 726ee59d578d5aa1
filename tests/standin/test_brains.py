"""Stand-ins: what they promise to be, at any size, and the same bytes for the same seed."""

import hashlib

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import binary_dilation, gaussian_filter

from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.standin.anatomy import anatomy, individual
from nnunetv2_tf.standin.brains import REGIONS, Brains, healthy
from nnunetv2_tf.standin.cohort import StandinCohort
from nnunetv2_tf.standin.foreign import write_foreign_cases
from nnunetv2_tf.standin.growth import classes_of, grow, pushed_aside
from nnunetv2_tf.standin.livers import Livers
from nnunetv2_tf.standin.sheet import contact_sheet
from tests.workspace import tree

KINDS = ["procedural", "mni152"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(24, 24, 24), (32, 40, 36), (48, 56, 50)])
def test_a_tumour_in_a_brain_on_exact_zeros(kind, shape):
    image, label = Brains(shape=shape, kind=kind, channel_names=("t1n", "t2f")).draw(np.random.default_rng(1))
    assert (image.shape, image.dtype) == ((2, *shape), np.int16)
    assert set(np.unique(label)) == {0, 1, 2, 3}
    inside = image[0] > 0
    assert np.array_equal(inside, image[1] > 0)
    assert 0.2 < inside.mean() < 0.55
    assert not inside[[0, -1]].any()
    assert inside[label > 0].all()
    assert image[1][label == 2].mean() > 1.1 * image[1][inside & (label == 0)].mean()  # edema is bright on FLAIR


@pytest.mark.parametrize("seed", range(5))
def test_tumours_are_nested_and_of_1_to_6_percent(seed):
    rng = np.random.default_rng(seed)
    brain = individual(anatomy("procedural", (40, 48, 44)), rng)
    tumour = grow(brain, rng)
    assert 0.008 < (tumour.label > 0).sum() / brain.brain.sum() < 0.07
    assert not (tumour.density[~brain.brain] > 0).any()
    for inner, outer in ((1, 3), (3, 2)):
        assert tumour.density[tumour.label == inner].min() >= tumour.density[tumour.label == outer].max()


def test_tumours_are_not_spheres():
    """Their surface is larger than that of a ball of their volume."""
    excess = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        mask = grow(individual(anatomy("mni152", (64, 76, 64)), rng), rng).label > 0
        surface = int(np.asarray(binary_dilation(mask)).sum() - mask.sum())
        radius = (3 * mask.sum() / (4 * np.pi)) ** (1 / 3)
        ball = np.linalg.norm(np.indices((41, 41, 41)) - 20, axis=0) <= radius
        excess.append(surface / int(np.asarray(binary_dilation(ball)).sum() - ball.sum()))
    assert np.median(excess) > 1.15


def test_classes_follow_density():
    density = np.linspace(0, 1, 101)
    label = classes_of(density, 0.5, 0.8)
    assert label.tolist() == sorted(label.tolist(), key=[0, 2, 3, 1].index)
    shares = [(label == value).sum() / (label > 0).sum() for value in (2, 3, 1)]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.02)


def test_the_tumour_pushes_tissue_outward():
    rng = np.random.default_rng(3)
    brain = individual(anatomy("procedural", (40, 48, 44)), rng)
    tumour = grow(brain, rng)
    pushed = pushed_aside(tumour, strength=2.0)
    assert np.abs(pushed).max() == pytest.approx(2.0)
    centre = np.argwhere(tumour.label > 0).mean(0)
    outward = np.indices(brain.brain.shape) - centre[:, None, None, None]
    rim = np.asarray(binary_dilation(tumour.label > 0, iterations=2)) & (tumour.label == 0)
    assert ((pushed * outward).sum(0)[rim] < 0).mean() > 0.9  # what is there now came from nearer the tumour


def test_the_two_scanners_differ_as_cohorts_do():
    """The research scanner is sharper, measured as the share of fine detail in the brain."""

    def detail(cohort: Brains) -> float:
        shares = []
        for seed in range(4):
            volume = cohort.draw(np.random.default_rng(seed))[0][0].astype(float)
            inside = gaussian_filter((volume > 0).astype(float), 2) > 0.99
            fine = gaussian_filter(volume, 0.7) - gaussian_filter(volume, 2)
            shares.append(fine[inside].std() / volume[inside].mean())
        return float(np.mean(shares))

    size = (48, 56, 48)
    assert detail(healthy(shape=size, kind="mni152")) > 1.2 * detail(Brains(shape=size, kind="mni152"))


def test_healthy_people_have_a_brain_and_no_tumour():
    image, label = healthy().draw(np.random.default_rng(0))
    assert np.array_equal(label > 0, image[0] > 0)
    assert healthy().description(1)["labels"] == {"background": 0, "brain": 1}


def test_the_ct_like_stand_in():
    image, label = Livers().draw(np.random.default_rng(0))
    assert (image.min(), image.max()) == (-1000, 400)
    assert set(np.unique(label)) == {0, 1, 2}
    assert image[0][label == 2].mean() < image[0][label == 1].mean() - 20


@pytest.mark.parametrize("cohort", [Brains(), Brains(kind="mni152"), healthy(), Livers()], ids=["p", "m", "h", "l"])
def test_same_seed_same_bytes_and_cases_depend_on_their_index_only(tmp_path, cohort: StandinCohort):
    cohort.write_dataset(tmp_path / "a", 2, seed=4)
    cohort.write_dataset(tmp_path / "b", 2, seed=4)
    cohort.write_dataset(tmp_path / "longer", 3, seed=4)
    a, b, longer = (tree(tmp_path / name) for name in ("a", "b", "longer"))
    assert a == b
    assert {name: data for name, data in a.items() if name != "dataset.json"}.items() <= longer.items()
    images = {hashlib.sha256(data).hexdigest() for name, data in longer.items() if name.startswith("images")}
    assert len(images) == 3


def test_descriptions(tmp_path):
    Brains(labels=REGIONS, ignore=4).write_dataset(tmp_path, 1, seed=0)
    description = read_json(tmp_path / "dataset.json", "")
    assert description["labels"]["ignore"] == 4
    assert description["regions_class_order"] == [2, 1, 3]
    assert "regions_class_order" not in Brains().description(1)


def test_a_contact_sheet_is_a_picture(tmp_path):
    contact_sheet([("patient", Brains(), 0), ("healthy", healthy(), 0), ("CT", Livers(), 0)], tmp_path / "s.png")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_stand_ins_never_join_an_existing_dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    Brains().new_dataset(Dataset("Dataset999_StandIns"), 1, seed=0)
    before = tree(tmp_path)
    with pytest.raises(UserError, match="exists already, and stand-ins would be mixed with it"):
        Brains().new_dataset(Dataset("Dataset999_StandIns"), 2, seed=1)
    with pytest.raises(UserError, match="'foo' is no name for a dataset"):
        Brains().new_dataset(Dataset("foo"), 1, seed=0)
    assert tree(tmp_path) == before


def test_foreign_stand_ins_are_like_their_dataset(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(name, str(tmp_path / name))
    dataset = Dataset("Dataset502_Liver")
    turned = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
    source = Brains(channel_names=("a", "b"), labels={"background": 0, "liver": 1, "tumour": 2}, direction=turned)
    source.write_dataset(dataset.raw, 5, seed=0)
    write_foreign_cases(dataset, 0, tmp_path / "foreign", 1, seed=0)
    assert len(list(tmp_path.glob("foreign/imagesTr/*"))) == 2
    label = sitk.ReadImage(str(tmp_path / "foreign/labelsTr/synthetic_0000.nii.gz"))
    assert set(np.unique(sitk.GetArrayFromImage(label))) == {0, 1, 2}
    assert (label.GetDirection(), label.GetSize()) == (turned, source.shape[::-1])
    description = read_json(dataset.raw / "dataset.json", "")
    write_json(dataset.raw / "dataset.json", {**description, "file_ending": ".nrrd"})
    with pytest.raises(UserError, match="holds no training case"):
        write_foreign_cases(dataset, 0, tmp_path / "other", 1, seed=0)


def test_one_fold_of_so_many_training_cases(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(name, str(tmp_path / name))
    dataset = Dataset("Dataset999_StandIns")
    with pytest.raises(UserError, match="-num_train 3 of 3 cases leaves one side empty"):
        Brains().new_dataset(dataset, 3, 0, num_train=3)
    assert not dataset.raw.exists()
    Brains().new_dataset(dataset, 3, 0, num_train=2)
    fold = {"train": ["case_000", "case_001"], "val": ["case_002"]}
    assert read_json(dataset.preprocessed / "splits_final.json", "") == [fold]
