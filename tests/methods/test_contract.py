"""What every method must keep, whatever it does: the promises, on every kind of data.

Methods of the package are found by name; `examples` adds two that edit as carvemix does not, `contributed` the one that
CONTRIBUTING.md shows. For methods with healthy hosts patients stand in for them.
"""

import gzip
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.dataset.cases import channel_names
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.methods.base import FitData
from nnunetv2_tf.methods.lookup import find_method, method_names
from nnunetv2_tf.synthesis.case_maker import make_case, synthesize_case
from nnunetv2_tf.synthesis.fit_result import build_method, learns
from nnunetv2_tf.working_space.preprocess import preprocess_cases
from nnunetv2_tf.working_space.stored import OpenCase
from tests.scenes import CPU, SCENES, Built
from tests.workspace import tree

PLAIN, TINT = "tests.methods.examples:Stamp", "tests.methods.examples:Tint"
SHOWN = "tests.methods.contributed:MyMethod"  # the example in CONTRIBUTING.md
METHODS = [*method_names(), PLAIN, TINT, SHOWN]
# in which `make test` runs methods; a plain one runs in all scenes, and `make test-exhaustive` does all
TYPICAL = ("one channel", "four channels, two classes", "CT", "thick slices, coarser")
# whose patches are alike whatever the slices' thickness, and where several channels work, one does: one scene each
NETWORKS = {"difftumor": TYPICAL[2], "freetumor": TYPICAL[2], "pix2pix": TYPICAL[1], "tf_gan": TYPICAL[1]}
ONCE = {**NETWORKS, SHOWN: TYPICAL[0]}
BRIEF = {"epochs": 1, "iterations": 1, "pool": 2, "features": (2, 2), "levels": 2}  # of fits
PAIRS = [(0, 1), (1, 2), (3, 0)]  # hosts and donors


def combinations() -> list:
    """Every method in every scene, those marked that only `make test-exhaustive` runs."""

    def marks(scene: str, method: str) -> list:
        typical = (ONCE[method],) if method in ONCE else TYPICAL
        return [] if method == PLAIN or scene in typical else [pytest.mark.exhaustive]

    return [
        pytest.param(scene, method, marks=marks(scene, method), id=f"{method}-{scene}")
        for scene in SCENES
        for method in METHODS
    ]


pytestmark = pytest.mark.parametrize(("scene", "method"), combinations(), indirect=["scene"])


def read(path: Path) -> np.ndarray:
    return np.asanyarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


def made(
    scene: Built, method: str, host: int, donor: int, folder: Path
) -> tuple[list[np.ndarray], np.ndarray, float | None]:
    """Native images and label of a case, and how far its edit may reach."""
    task = scene.task(host, donor, method)
    composed, sidecar = synthesize_case(task)
    composed.write(folder, "made", ".nii.gz")
    images = [read(path) for path in sorted((folder / "imagesTr").iterdir())]
    return images, read(folder / "labelsTr" / "made.nii.gz"), sidecar.reach_mm


@pytest.mark.parametrize(("host", "donor"), PAIRS[:2])
def test_the_host_is_untouched_beyond_the_reach(scene: Built, method, host, donor, tmp_path):
    images, label, reach = made(scene, method, host, donor, tmp_path)
    case = scene.cases[host]
    before, own = [read(path) for path in case.files.images], read(case.files.label)
    changed = np.any([new != old for new, old in zip(images, before, strict=True)], axis=0)
    assert changed.any()
    assert ((label != own) & np.isin(label, case.roles.tumour)).any()
    if case.roles.organ:
        assert not (changed & ~np.isin(own, (*case.roles.organ, *case.roles.tumour))).any()
    elif case.has_background and not case.grid.resampled:
        assert not (changed & (before[0] == 0)).any()
    if reach is not None:
        distance = np.asarray(distance_transform_edt(~np.isin(label, case.roles.tumour), sampling=scanned(case)))
        assert distance[changed].max() <= reach
        assert not (label != own)[distance > reach].any()


def scanned(case: OpenCase) -> list[float]:
    """The scan's spacing in the order of nibabel's axes."""
    return [float(size) for size in nibabel.load(case.files.label).header.get_zooms()]  # type: ignore[attr-defined]


def test_background_and_organ_stay_what_they_are(scene: Built, method, tmp_path):
    images, label, _ = made(scene, method, 0, 1, tmp_path)
    case = scene.cases[0]
    own = read(case.files.label)
    no_tumour = ~np.isin(label, case.roles.tumour) & ~np.isin(own, case.roles.tumour)
    np.testing.assert_array_equal(label[no_tumour], own[no_tumour])
    if case.has_background:
        before = np.asarray(create_nonzero_mask(np.stack([read(path) for path in case.files.images])))
        np.testing.assert_array_equal(create_nonzero_mask(np.stack(images)), before)
        assert not label[~before].any()
        assert min(image.min() for image in images) >= 0  # as in these hosts


def test_files_keep_header_and_type(scene: Built, method, tmp_path):
    made(scene, method, 0, 1, tmp_path)
    files = scene.cases[0].files
    written = [*sorted((tmp_path / "imagesTr").iterdir()), tmp_path / "labelsTr" / "made.nii.gz"]
    for old, new in zip([*files.images, files.label], written, strict=True):
        assert header(old) == header(new)


def header(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())[:352]


def test_same_line_same_bytes(scene: Built, method, tmp_path):
    for name in ("one", "two"):
        make_case_in(scene, method, tmp_path / name)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    make_case_in(scene, method, tmp_path / "three", seed=1)
    assert tree(tmp_path / "one") != tree(tmp_path / "three")


def make_case_in(scene: Built, method: str, folder: Path, seed: int = 0) -> None:
    with pytest.MonkeyPatch.context() as patch:
        task = scene.task(0, 1, method, seed)
        patch.setattr(type(task.part), "folder", folder)
        make_case(task)


def test_a_batch_is_edited_like_one_by_one(scene: Built, method):
    edits = scene.ready(method)
    sites = [scene.site(host, donor, method) for host, donor in PAIRS]
    generators = lambda: [np.random.default_rng(index) for index in range(len(sites))]  # noqa: E731
    together = edits.edit(sites, generators())
    alone = [edits.edit([site], [rng])[0] for site, rng in zip(sites, generators(), strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.label, other.label)
        assert (one.reach_mm, one.controls) == (other.reach_mm, other.controls)


def test_editing_leaves_the_site_alone(scene: Built, method):
    site = scene.site(0, 1, method)
    fields = ("image", "label", "organ", "tumour")
    before = {name: getattr(site, name).clone() for name in fields}
    (edited,) = scene.ready(method).edit([site], [np.random.default_rng(0)])
    assert all(torch.equal(getattr(site, name), before[name]) for name in fields)
    assert (edited.image.dtype, edited.image.shape) == (torch.float32, site.image.shape)
    assert (edited.label.dtype, edited.label.shape) == (torch.int16, site.label.shape)
    assert torch.equal(edited.image[:, ~site.organ], site.image[:, ~site.organ])


def test_what_was_fitted_is_what_is_loaded(scene: Built, method, tmp_path):
    brief = find_method(method)
    if learns(brief):
        short = {name: value for name, value in BRIEF.items() if hasattr(brief.config, name)}
        brief = replace(brief, config=replace(brief.config, **short))
    fit = scene.fit(brief)
    fitted, loaded = (build_method(brief, CPU, () if fit is None else fit.needed) for _ in range(2))
    data = FitData(
        real=scene.cases,
        healthy=[],
        sample_site=lambda rng, *_: scene.site(int(rng.integers(2)), 2, method),
        baseline=scene.baseline(),
        plan=scene.plan,
        roles=scene.cases[0].roles,
        channels=channel_names(scene.dataset),
        class_names=class_values(scene.dataset),
        rng=np.random.default_rng(0),
    )
    fitted.fit(data, tmp_path)
    loaded.load(tmp_path)
    site = data.sample_site(data.rng)
    image, same, other = (
        ready_method.edit([site], [np.random.default_rng(0)])[0].image
        for ready_method in (fitted, loaded, scene.ready(method))
    )
    assert torch.equal(image, same)
    assert torch.equal(image, other) is not learns(brief)  # another fit makes another image


def test_nnunet_sees_the_edit(scene: Built, method, tmp_path):
    """What nnU-Net makes of the finished case is the edited site, normalised anew; exactly, if nothing is resampled."""
    case = scene.cases[0]
    task = scene.task(0, 1, method)
    make_case_in(scene, method, tmp_path)
    files = task.part.case_files(task.identifier, ".nii.gz", len(case.files.images))
    files = type(files)(
        files.identifier, tuple(tmp_path / "imagesTr" / path.name for path in files.images),
        tmp_path / "labelsTr" / files.label.name,
    )  # fmt: skip
    list(preprocess_cases(scene.plan, [files], tmp_path / "stored", 1))
    result = OpenCase(case.dataset, case.plan, files, case.group, case.roles, tmp_path / "stored")
    site = task.site_builder.build(case, scene.ready(method).pastes).site
    (edited,) = scene.ready(method).edit([site], [np.random.default_rng(0)])
    where = edited.region if edited.region is not None else site.tumour > 0
    where = (where & site.organ).numpy()
    mean, sd = (np.array(values)[:, None] for values in (result.intensity.mean, result.intensity.sd))
    own_mean, own_sd = (np.array(values)[:, None] for values in (case.intensity.mean, case.intensity.sd))
    native, expected = result.image()[:, where] * sd + mean, edited.image.numpy()[:, where] * own_sd + own_mean
    low, high = (0.5, np.inf) if case.has_background else (-150, 250)
    error = np.abs(native - np.clip(expected, low, high))
    if case.grid.resampled:
        assert np.median(error / own_sd) < 0.15  # there and back again
        return
    assert error.max() <= 1.0  # rounded to whole numbers, and never to 0
    if edited.region is not None:
        assert (result.label()[where] == edited.label.numpy()[where]).all()
        if scene.plan.manager.normalization_schemes[0] == "ZScoreNormalization":
            moved = (edited.image - site.image).numpy().sum(axis=(1, 2, 3)) / site.n_norm
            np.testing.assert_allclose(own_mean[:, 0] + own_sd[:, 0] * moved, mean[:, 0], atol=0.2)
