"""Hosts that take over the looks of real scans: brightness, sharpness, and what is written of it."""

import os
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter

from nnunetv2_tf.dataset.folders import LOOKS
from nnunetv2_tf.geometry.distances import depth_in
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.sets.names import check_set_name
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.synthesis import harmonise as module
from nnunetv2_tf.synthesis.brightness import RIM
from nnunetv2_tf.synthesis.case_maker import synthesize_case
from nnunetv2_tf.synthesis.compose import compose
from nnunetv2_tf.synthesis.fit_result import build_method
from nnunetv2_tf.synthesis.harmonise import Z_SCORED, Appearance, Harmonised, appearance_of, harmonise
from nnunetv2_tf.working_space.preprocess import preprocess_cases
from nnunetv2_tf.working_space.stored import OpenCase
from tests.conftest import enter
from tests.scenes import CPU, SAME_GRID, SCENES, Builder, Built, Scene

SHAPE = (48, 56, 52)
GLOW = "tests.methods.examples:Glow"
CT = "CTNormalization"
MM = (1.0, 1.0, 1.0)


def structured(seed: int, sigma: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """(1, Z, Y, X): blobs of many sizes with a sharp side, seen by a scanner that smears."""
    rng = np.random.default_rng(seed)
    blobs = [gaussian_filter(rng.normal(size=SHAPE), width) * width**1.5 for width in (0.8, 1.5, 3, 6)]
    return gaussian_filter(np.sum(blobs, axis=0), sigma)[None].astype(np.float32)


def ball() -> np.ndarray:
    places = np.indices(SHAPE) - np.reshape(SHAPE, (3, 1, 1, 1)) / 2
    return (places**2).sum(axis=0) < 23**2


def looks_of(image: np.ndarray, healthy: np.ndarray | None = None) -> Appearance:
    """Of the ball, or a part of it."""
    return appearance_of(image, ball() if healthy is None else healthy, depth_in(ball(), MM))


def given(image: np.ndarray, looks: Appearance, scheme: str = Z_SCORED, organ: np.ndarray | None = None) -> Harmonised:
    """A ball with such looks."""
    return harmonise(image, ball() if organ is None else organ, MM, looks, [scheme] * len(image))


@pytest.mark.parametrize("sigma", [(0.8, 0.0, 0.0), (0.7, 0.6, 1.2), (1.5, 0.0, 0.7)])
def test_how_much_a_scanner_smears_is_found_out(sigma):
    """On another anatomy, differently contrasted."""
    found = given(structured(2), looks_of(np.tanh(structured(1, sigma)) * 3 + 1))
    np.testing.assert_allclose(found.blurred[0], sigma, atol=0.3, rtol=0.1)


def test_nothing_is_made_sharper():
    found = given(structured(2, (1.0, 1.0, 1.0)), looks_of(structured(1)))
    assert found.blurred == ((0.0, 0.0, 0.0),)


def deeper_is_darker(image: np.ndarray) -> np.ndarray:
    """With a bright rim, as scans of patients have."""
    depth = depth_in(ball(), MM)
    remnants = (depth <= RIM) & (np.random.default_rng(5).random(SHAPE) < 0.2)
    return np.where(remnants, 12, image - depth / 12).astype(np.float32)


def test_brightness_is_that_of_the_model_at_each_depth():
    """Outside the organ nothing changes; blur takes nothing from it."""
    organ, depth = ball(), depth_in(ball(), MM)
    host, fine = (
        gaussian_filter(np.random.default_rng(seed).normal(size=(1, *SHAPE)), (0, 1, 1, 1)).astype(np.float32)
        for seed in (1, 2)
    )
    model = deeper_is_darker(np.exp(fine * 3) * 4)
    found = given(host, replace(looks_of(model), spectra=(((0.0,) * 9,) * 3,)), CT).image[0]
    np.testing.assert_array_equal(found[~organ], host[0][~organ])
    for low, high in ((7, 10), (10, 15), (15, 20)):
        shell = organ & (depth > low) & (depth <= high)
        wanted, reached = (np.percentile(one[shell], (50, 75)) for one in (model[0], found))
        np.testing.assert_allclose(reached, wanted, atol=0.15 * np.std(model[0][organ]))
    blurred = given(host, looks_of(structured(1, (1.0, 1.0, 1.0))), CT).image[0]
    np.testing.assert_allclose(np.std(blurred[organ]), np.std(structured(1, (1.0, 1.0, 1.0))[0][organ]), rtol=0.02)


def test_z_scored_channels_keep_mean_and_sd():
    host = np.concatenate([structured(2), structured(3)])
    host = (host - host[:, ball()].mean(axis=1)[:, None, None, None]) * ball()
    looks = looks_of(np.concatenate([structured(1), structured(4)]) * 7 + 50)
    found = harmonise(host, ball(), MM, looks, [Z_SCORED, CT]).image
    assert found[0][ball()].mean() == pytest.approx(host[0][ball()].mean(), abs=1e-3)
    assert found[0][ball()].std() == pytest.approx(host[0][ball()].std(), rel=1e-4)
    assert found[1][ball()].mean() == pytest.approx(50, abs=2)


@pytest.mark.parametrize("image", [np.zeros(SHAPE), np.round(structured(2)[0])], ids=["one value", "few values"])
def test_scans_of_few_values(image):
    looks = looks_of(structured(1))
    assert np.isfinite(given(image[None].astype(np.float32), looks).image).all()
    nothing = given(structured(2), looks, organ=np.zeros(SHAPE, bool))
    np.testing.assert_array_equal(nothing.image, structured(2))
    small = (slice(20, 30),) * 3  # for a stretch
    found = given(structured(2)[(slice(None), *small)], looks, organ=ball()[small])
    assert found.blurred == ((0.0, 0.0, 0.0),)


def test_a_tumour_and_what_is_next_to_it_have_no_part_in_looks(scene: Built, monkeypatch):
    case = scene.cases[0]
    taken = Appearance.of(case)
    lighter = case.image()
    near = np.asarray(distance_transform_edt(case.tumour() == 0, sampling=case.grid.spacing)) <= module.AWAY
    lighter[:, near] += 5
    monkeypatch.setattr(OpenCase, "image", lambda *_: lighter)
    path = scene.dataset.preprocessed / "tf" / LOOKS / scene.plan.data_identifier / f"{case.identifier}.json"
    path.unlink()
    assert Appearance.of(case) == taken


def test_looks_are_kept_for_as_long_as_arrays_and_labels_stay(scene: Built, monkeypatch):
    case = scene.cases[1]
    taken = Appearance.of(case)
    again = pytest.raises(pytest.fail.Exception, match="taken again")
    monkeypatch.setattr(module, "appearance_of", lambda *_: pytest.fail("taken again"))
    assert Appearance.of(case) == taken
    with again:
        Appearance.of(replace(case, roles=replace(case.roles, organ=(1, 2))))
    array = next(case.folder.glob(f"{case.identifier}.b2nd"))
    os.utime(array, ns=(array.stat().st_atime_ns, array.stat().st_mtime_ns + 1))
    with again:
        Appearance.of(case)
    with pytest.raises(UserError, match="A set cannot be called 'looks'"):
        check_set_name("looks")


def test_too_little_healthy_tissue_is_no_model():
    few = np.zeros(SHAPE, bool)
    few[20:25, 20:25, 20:25] = True
    looks = looks_of(structured(1), few)
    assert looks.brightness == ()
    np.testing.assert_array_equal(given(structured(2), looks).image, structured(2))
    np.testing.assert_array_equal(given(structured(2), looks_of(structured(1)), organ=few).image, structured(2))


def test_channels_that_are_rescaled_stay_as_they_are():
    image = np.concatenate([structured(2), structured(3)])
    looks = looks_of(np.concatenate([structured(1), structured(4)]) * 3)
    found = harmonise(image, ball(), MM, looks, ["RescaleTo01Normalization", Z_SCORED])
    np.testing.assert_array_equal(found.image[0], image[0])
    assert (found.image[1] != image[1]).any()


def test_zeros_within_an_organ_stay_zero(build_scene: Builder, monkeypatch):
    """Another field of view in one of two channels, say."""
    built = build_scene(Scene(HalfSeen(), num_cases=4))
    enter(built.workspace, monkeypatch)
    case = built.cases[0]
    task = built.task(0, 1, GLOW, model=built.cases[2])
    composed, _ = synthesize_case(task)
    before = [np.asanyarray(nibabel.load(path).dataobj) for path in case.files.images]  # type: ignore[attr-defined]
    after = [volume.file_voxels.transpose(2, 1, 0) for volume in composed.images]
    gone = (before[1] == 0) & (before[0] != 0)
    distance = np.asarray(distance_transform_edt(composed.label.file_voxels.transpose(2, 1, 0) == 0))
    assert gone.sum() > 500
    np.testing.assert_array_equal(after[1][gone & (distance >= 6)], 0)
    assert (after[0] != before[0])[gone].mean() > 0.5


class HalfSeen(Brains):
    """Brains of two channels, the second of which shows nothing of the lower third."""

    def __init__(self) -> None:
        super().__init__(channel_names=("t1n", "t2w"))

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, label = super().draw(rng)
        image[1, : image.shape[1] // 3] = 0
        return image, label


@pytest.mark.parametrize("scene", SAME_GRID, indirect=True)
def test_an_edit_counts_from_the_harmonised_host_on(scene: Built):
    """native = host + sd * (harmonised - host + w * (edited - harmonised)), by hand."""
    case = scene.cases[0]
    task = scene.task(0, 1, GLOW, model=scene.cases[2])
    made = task.site_builder.build(case, False)
    assert made.unharmonised is not None
    (edited,) = build_method(task.method, CPU).edit([made.site], [np.random.default_rng(0)])
    composed = compose(case, made.site, edited, made.unharmonised)
    plain = compose(case, made.site, replace(edited, image=made.site.image), made.unharmonised)
    z_before, z_host, organ = (part.numpy() for part in (made.unharmonised, made.site.image, made.site.organ))
    schemes = scene.plan.manager.normalization_schemes
    assert (z_before != z_host).any() == ("RescaleTo01Normalization" not in schemes)  # which undoes it
    axes, sd = case.plan.plans_manager.transpose_forward, case.intensity.sd
    crop = tuple(slice(a, a + size) for a, size in zip(case.grid.start, case.grid.cropped, strict=True))
    for channel, (with_edit, without) in enumerate(zip(composed.images, plain.images, strict=True)):
        one, other = (volume.file_voxels.transpose(axes)[crop].astype(float) for volume in (with_edit, without))
        expected = z_host[channel] * sd[channel] + case.intensity.mean[channel]
        low, high = (1, np.inf) if case.has_background else (-np.inf, np.inf)
        if schemes[channel] == CT:
            low, high = -150, 250  # nnU-Net sees no further
            one, other = np.clip(one, low, high), np.clip(other, low, high)
        np.testing.assert_allclose(other[organ], np.clip(expected[organ], low, high), atol=0.51)
        inside = (made.site.tumour > 0).numpy()
        more = (edited.image - made.site.image)[channel].numpy() * sd[channel]
        np.testing.assert_allclose(one[inside], np.clip((expected + more)[inside], low, high), atol=0.51)
        away = organ & ~torch.nn.functional.max_pool3d((made.site.tumour > 0).float()[None], 15, 1, 7)[0].bool().numpy()
        if min(case.grid.spacing) >= 1:  # the reach is at most six voxels
            np.testing.assert_array_equal(one[away], other[away])


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_what_nnunet_makes_of_it_has_the_looks(scene: Built, tmp_path):
    """In all scenes: background, header and size stay, and nnU-Net's own preprocessing shows the harmonised host."""
    case, model = scene.cases[0], scene.cases[2]
    task = scene.task(0, 1, GLOW, model=model)
    composed, sidecar = synthesize_case(task)
    assert sidecar.controls["harmonised"]["to"] == model.identifier
    composed.write(tmp_path, "made", ".nii.gz")
    names = [f"imagesTr/made_{channel:04d}.nii.gz" for channel in range(len(case.files.images))]
    files = replace(
        case.files, identifier="made", label=tmp_path / "labelsTr" / "made.nii.gz",
        images=tuple(tmp_path / name for name in names),
    )  # fmt: skip
    for before, after in zip(case.files.images, files.images, strict=True):
        old, new = (np.asanyarray(nibabel.load(path).dataobj) for path in (before, after))  # type: ignore[attr-defined]
        if case.has_background:
            np.testing.assert_array_equal(old == 0, new == 0)
    list(preprocess_cases(scene.plan, [files], tmp_path / "stored", 1))
    result = OpenCase(case.dataset, case.plan, files, case.group, case.roles, tmp_path / "stored")
    made = task.site_builder.build(case, False)
    seen = result.image() * np.reshape(result.intensity.sd, (-1, 1, 1, 1))
    seen = (seen + np.reshape(result.intensity.mean, (-1, 1, 1, 1)))[:, made.site.organ.numpy()]
    z = made.site.image.numpy() * np.reshape(case.intensity.sd, (-1, 1, 1, 1))
    expected = (z + np.reshape(case.intensity.mean, (-1, 1, 1, 1)))[:, made.site.organ.numpy()]
    near = gaussian_filter((made.site.tumour > 0).numpy().astype(float), 3) > 1e-4
    away = ~near[made.site.organ.numpy()]
    assert made.unharmonised is not None
    asked = (made.site.image - made.unharmonised).numpy()[:, made.site.organ.numpy()] * np.reshape(
        case.intensity.sd, (-1, 1)
    )
    given = seen - (expected - asked)
    if not case.grid.resampled:
        assert np.median(np.abs(seen - expected)[:, away]) <= 0.51
    elif (asked[:, away] != 0).any():  # interpolated there and back, but no less of it
        slope = (asked * given)[:, away].sum() / (asked**2)[:, away].sum()
        assert 0.75 < slope < 1.25
