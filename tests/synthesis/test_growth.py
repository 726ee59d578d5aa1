"""Growth of a tumour in its host: the site's map, the host around it, and the same in the files."""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.geometry.displacement import displaced
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.base import Edited, Site
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.standin.livers import Livers
from nnunetv2_tf.synthesis.compose import compose
from nnunetv2_tf.synthesis.growth import Grown, grow
from nnunetv2_tf.synthesis.host_files import crop_of
from nnunetv2_tf.synthesis.native_volume import read_volume
from nnunetv2_tf.synthesis.site_builder import placed_site
from nnunetv2_tf.tumours.bank import Bank, bank_from_cases
from nnunetv2_tf.tumours.fluid import wide
from nnunetv2_tf.tumours.place import HostAnatomy, place_tumours, read_host
from nnunetv2_tf.tumours.recipe import DonorTumour, read_recipe
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED, FRONT, USUAL
from nnunetv2_tf.working_space.stored import OpenCase
from tests.conftest import enter
from tests.methods import examples
from tests.scenes import Builder, Built, Scene
from tests.synthesis.making import make_glowing, written
from tests.tumours.hosts import GRID, SHAPE, bank, lesion_map, organ
from tests.tumours.test_fluid import head
from tests.workspace import Workspace

SPACING = (3.0, 3.0, 3.0)
ALL = FRONT


def site() -> tuple[Site, HostAnatomy]:
    """A lesion beside the ventricle of a brain of 3 mm."""
    image, ventricle = head(dark=True)
    tumour = np.where(ventricle, 0, lesion_map((20, 24, 33), 8)).astype(np.int16)
    arrays = [torch.from_numpy(array) for array in (image[None], np.zeros(SHAPE, np.int16), organ(), tumour)]
    made = Site(*arrays[:4], donors=(), spacing=SPACING, body=torch.from_numpy(organ()), n_norm=int(organ().sum()))
    return made, HostAnatomy("host", organ(), ventricle, GRID, ("t1n",))


def test_a_tumour_grows_and_its_classes_stay_as_large_as_they_were():
    before, anatomy = site()
    grown = grow(before, anatomy, bank(), ALL, 0.8)
    for value in (1, 2, 3):
        sizes = [int((one.tumour == value).sum()) for one in (before, grown.site)]
        assert sizes[1] == pytest.approx(sizes[0], rel=0.05)
    assert grown.displacement is not None
    assert not torch.equal(grown.site.image, before.image)
    assert torch.equal(grown.site.image[:, ~before.organ], before.image[:, ~before.organ])
    assert not (grown.site.tumour > 0)[~before.organ].any()
    assert grown.record["mass_effect"]["largest_mm"] > 1


def test_each_part_of_it_can_be_left_out_and_without_any_nothing_changes():
    before, anatomy = site()
    off = grow(before, anatomy, bank(), AS_PUBLISHED, 0.8)
    assert torch.equal(off.site.image, before.image)
    assert torch.equal(off.site.tumour, before.tumour)
    assert (off.displacement, off.record) == (None, {})
    assert grow(before, anatomy, bank(), replace(AS_PUBLISHED, mass_effect=True), 0.0).displacement is None
    pushed = grow(before, anatomy, bank(), replace(AS_PUBLISHED, mass_effect=True), 0.8)
    assert torch.equal(pushed.site.tumour, before.tumour)
    assert not torch.equal(pushed.site.image, before.image)
    smooth = grow(before, anatomy, bank(), replace(AS_PUBLISHED, rounded=True), 0.8)
    assert torch.equal(smooth.site.image, before.image)
    front = grow(before, anatomy, bank(), replace(AS_PUBLISHED, front=True), 0.8)
    assert torch.equal(front.site.image, before.image)
    assert torch.equal((front.site.tumour == 2).sum(), (before.tumour == 2).sum())
    assert torch.equal(front.site.tumour == 1, before.tumour == 1)


def test_edema_closes_over_narrow_sulci_and_stays_out_of_ventricles():
    before, anatomy = site()
    assert anatomy.fluid is not None
    narrow = np.zeros(SHAPE, bool)
    narrow[20, :, 30:38] = True  # one voxel of 3 mm
    tumour = np.where(narrow & (before.tumour.numpy() == 2), 0, before.tumour.numpy())
    cut = replace(before, tumour=torch.from_numpy(tumour))
    grown = grow(cut, replace(anatomy, fluid=anatomy.fluid | narrow), bank(), replace(AS_PUBLISHED, rounded=True), 0.0)
    closed = (grown.site.tumour.numpy() > 0) & narrow & (before.tumour.numpy() == 2)
    assert closed.sum() > 0.5 * (narrow & (before.tumour.numpy() == 2)).sum()
    assert not (grown.site.tumour.numpy() > 0)[wide(anatomy.fluid, SPACING)].any()


def test_cores_may_lie_in_ventricles_and_edema_that_has_no_room_stays():
    before, anatomy = site()
    assert anatomy.fluid is not None
    inside = np.where(anatomy.fluid, 1, 0).astype(np.int16)
    rounding = replace(AS_PUBLISHED, rounded=True)
    core = grow(replace(before, tumour=torch.from_numpy(inside)), anatomy, bank(), rounding, 0.0).site.tumour.numpy()
    assert 2 * ((core > 0) & anatomy.fluid).sum() / ((core > 0).sum() + anatomy.fluid.sum()) > 0.9
    flooded = replace(anatomy, fluid=anatomy.organ)
    edema = grow(replace(before, tumour=torch.from_numpy(2 * inside)), flooded, bank(), rounding, 0.0).site.tumour
    assert (edema > 0).any()


def test_presets_that_choose_nothing_are_rounded_and_push():
    assert find_method("tf_aug").sampling == find_method("tf_gan", "brief").sampling == USUAL
    assert find_method("tf_aug", "paper").sampling == AS_PUBLISHED
    assert (USUAL.rounded, USUAL.mass_effect, USUAL.front) == (True, True, False)


def test_another_image_of_the_host_moves_alike():
    before, anatomy = site()
    grown = grow(before, anatomy, bank(), ALL, 0.8)
    assert grown.displacement is not None
    np.testing.assert_array_equal(grown.displacement.moved(before.image.numpy(), 3), grown.site.image)


SCENES = {
    "native": Scene(Brains(shape=(40, 48, 44), spacing=(3.0, 3.0, 3.0)), spacing=(3.0, 3.0, 3.0), num_cases=3),
    "resampled": Scene(Brains(shape=(40, 48, 44), spacing=(3.0, 3.0, 3.0)), spacing=(4.0, 4.0, 4.0), num_cases=3),
    "thick slices": Scene(Brains(shape=(24, 48, 44), spacing=(6.0, 3.0, 3.0)), spacing=(6.0, 3.0, 3.0), num_cases=3),
    "CT": Scene(
        Livers(shape=(40, 48, 44), spacing=(3.0, 3.0, 3.0)),
        (3.0, 3.0, 3.0),
        "CTNormalization",
        masked=False,
        num_cases=3,
    ),
}


@pytest.fixture(scope="module")
def scene_of(build_scene: Builder) -> Callable[[str], Built]:
    """Those of SCENES by name, each built once; not to be changed."""
    return functools.cache(lambda name: build_scene(SCENES[name]))


@pytest.mark.parametrize("name", SCENES)
def test_files_are_displaced_as_the_site_is(name, scene_of: Callable[[str], Built], monkeypatch):
    """What does not move keeps its values bit for bit; the rest is the file's own voxels, moved."""
    built = scene_of(name)
    enter(built.workspace, monkeypatch)
    case, known = built.cases[0], bank_from_cases(built.cases, {})
    grown, before = _grown(case, known)
    assert grown.displacement is not None
    label = torch.where(grown.site.tumour > 0, grown.site.tumour, grown.site.label)
    composed = compose(case, grown.site, Edited(grown.site.image, label, 3.0), displacement=grown.displacement)
    reader, axes = case.plan.plans["image_reader_writer"], case.plan.plans_manager.transpose_forward
    stored = read_volume(case.files.images[0], reader).file_voxels.transpose(axes)
    made = composed.images[0].file_voxels.transpose(axes)
    moving = grown.displacement.on(np.linalg.inv(case.grid.to_native), case.grid.native_shape)
    assert moving is not None
    box, shift = moving
    expected = stored.astype(float)
    expected[box] = displaced(stored, box, shift, case.grid.native_spacing, 3)
    still = np.ones(stored.shape, bool)
    still[box] = ~shift.any(axis=0)
    np.testing.assert_array_equal(made[still], stored[still])
    assert np.abs(made - expected)[~still & (stored != 0)].max() <= 1
    if case.has_background:
        np.testing.assert_array_equal(made == 0, stored == 0)
    assert before.spacing == pytest.approx(grown.displacement.spacing)


@pytest.mark.parametrize("name", ["native", "thick slices", "CT"])
def test_a_harmonised_and_grown_host_is_written_from_its_site(name, scene_of: Callable[[str], Built], monkeypatch):
    """file = mean + sd (z_host + w (z_edited - z_host)) in the organ; all else is the file's own voxels."""
    built = scene_of(name)
    enter(built.workspace, monkeypatch)
    case, known = built.cases[0], bank_from_cases(built.cases, {})
    anatomy, before = _placed(case, known)
    harmonised = torch.where(before.organ, 0.8 * before.image + 0.1, before.image)
    grown = grow(replace(before, image=harmonised), anatomy, known, ALL, 1.0)
    site = grown.site
    edited = torch.where(site.tumour > 0, site.image + 0.7, site.image)
    label = torch.where(site.tumour > 0, site.tumour, site.label)
    composed = compose(case, site, Edited(edited, label, 6.0), before.image, grown.displacement)
    reader, axes = case.plan.plans["image_reader_writer"], case.plan.plans_manager.transpose_forward
    stored = read_volume(case.files.images[0], reader).file_voxels.transpose(axes)
    made = composed.images[0].file_voxels.transpose(axes)
    z = (site.image + site.weight(6.0) * (edited - site.image))[0].numpy()
    expected = z * case.intensity.sd[0] + case.intensity.mean[0]
    crop, organ = crop_of(case), site.organ.numpy()
    background = stored[crop] == 0 if case.has_background else np.zeros(organ.shape, bool)
    written = organ & ~background
    np.testing.assert_allclose(
        made[crop][written], np.maximum(expected, 1 if case.has_background else -np.inf)[written], atol=0.51
    )
    outside = np.ones(stored.shape, bool)
    outside[crop] = ~organ
    np.testing.assert_array_equal(made[outside], stored[outside])
    if case.has_background:
        np.testing.assert_array_equal(made == 0, stored == 0)


def _placed(case: OpenCase, known: Bank) -> tuple[HostAnatomy, Site]:
    anatomy = read_host(case, around_fluid=True)
    placed = place_tumours((DonorTumour("case_001"),), known, anatomy)
    assert placed is not None
    return anatomy, placed_site(case, anatomy, placed, None)


def _grown(case: OpenCase, known: Bank) -> tuple[Grown, Site]:
    anatomy, before = _placed(case, known)
    return grow(before, anatomy, known, ALL, 1.0), before


def test_a_method_that_bears_less_gets_less(monkeypatch):
    monkeypatch.setattr(examples, "SAMPLING", {"default": FRONT})
    name = "tests.methods.examples:Glow"
    assert find_method(name).sampling == find_method("tf_aug", "front").sampling == FRONT
    monkeypatch.setattr(examples.Glow, "growth", "mass")
    assert find_method(name).sampling == replace(FRONT, rounded=False, front=False)
    monkeypatch.setattr(examples.Glow, "growth", "none")
    assert find_method(name).sampling == replace(FRONT, rounded=False, front=False, mass_effect=False)
    monkeypatch.setattr(examples.Glow, "growth", "some")
    with pytest.raises(UserError, match="growth must be one of all, mass, none, not 'some'"):
        find_method(name)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_sets_are_the_same_for_any_workers_and_say_how_far_tissue_moved(with_healthy: Workspace, monkeypatch):
    monkeypatch.setattr(examples, "SAMPLING", {"default": FRONT})
    part = make_glowing(with_healthy, "grown", num_cases=4, asked={"mass_effect": [1.0, 1.5]})
    alone = written(part)
    part.remove()
    together = written(
        make_glowing(with_healthy, "grown", num_cases=4, asked={"mass_effect": [1.0, 1.5]}, num_processes=2)
    )
    names = {name for name in alone if name.startswith(("imagesTr", "labelsTr", "manifest", "recipe", "sidecars"))}
    assert {name: together[name] for name in names} == {name: alone[name] for name in names}
    for line in read_recipe(part.folder / "recipe.jsonl"):
        assert 1.0 <= line.mass_effect <= 1.5
        found = part.sidecar(f"grown_{line.index:05d}").controls["mass_effect"]
        assert found["strength"] == line.mass_effect
        assert found["largest_mm"] >= 0
