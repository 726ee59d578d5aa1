"""From a line to a site: what is placed where, what is shown, and what is recorded of it."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_tf.dataset.volumes import same_grid
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.synthesis.harmonise import Z_SCORED, Appearance, harmonise
from nnunetv2_tf.synthesis.site_builder import PlacedSiteBuilder, RealSiteBuilder, UnusableLineError, with_appearance
from nnunetv2_tf.tumours.bank import bank_from_cases
from nnunetv2_tf.tumours.fluid import find_fluid
from nnunetv2_tf.tumours.place import place_tumours, read_host
from nnunetv2_tf.tumours.recipe import DonorTumour, RecipeLine, read_recipe
from nnunetv2_tf.tumours.sampling_config import AS_PUBLISHED, SamplingConfig
from nnunetv2_tf.working_space import tissue
from tests.methods import examples
from tests.scenes import Built
from tests.synthesis.making import crop_of, healthy_hosts_of, make_glowing, on_scan, tumour_there, volume, without_organ
from tests.workspace import Workspace

FILES = (("labelsTr", ""), ("imagesTr", "_0000"))
NAMES = {1: "NCR", 2: "ED", 3: "ET"}
REACH = 6.0


def real_site_builder(scene: Built, host: int, *donors: int) -> RealSiteBuilder:
    names = [scene.cases[donor].identifier for donor in donors]
    line = RecipeLine(0, None, scene.cases[host].identifier, tuple(map(DonorTumour, names)), 0)
    return RealSiteBuilder(line, {name: scene.cases[donor] for name, donor in zip(names, donors, strict=True)})


def healthy_site_builder(scene: Built, host: int, *tumours: DonorTumour, **changes) -> PlacedSiteBuilder:
    """A patient stands in for a healthy host."""
    names = {tumour.donor for tumour in tumours}
    donors = {case.identifier: case for case in scene.cases if case.identifier in names}
    line = RecipeLine(0, scene.cases[host].identifier, None, tumours, 0)
    plain = PlacedSiteBuilder(
        line=line,
        bank=bank_from_cases(list(donors.values()), {}),
        donors=donors,
        appearance_source=None,
        sampling=AS_PUBLISHED,
        training=tuple(donors),
        asked={},
        class_names=NAMES,
    )
    return replace(plain, **changes)


@pytest.mark.parametrize("with_donors", [False, True])
def test_a_real_host_gets_the_donors_tumour_where_it_lay(scene: Built, with_donors):
    host, donor = scene.cases[1], scene.cases[0]
    built = real_site_builder(scene, 1, 0).build(host, with_donors)
    site, there = built.site, tumour_there(donor, host)
    assert (there[~host.organ()] > 0).any()
    np.testing.assert_array_equal(site.tumour, np.where(host.organ(), there, 0))
    for built_array, expected in (
        (site.image, host.image()), (site.label, host.label()), (site.organ, host.organ()), (site.body, host.body())
    ):  # fmt: skip
        np.testing.assert_array_equal(built_array, expected)
    assert (site.spacing, site.n_norm) == (host.grid.spacing, host.body().sum())
    assert built.ancestors == {host.identifier, donor.identifier}
    assert (dict(built.controls), built.unharmonised) == ({}, None)
    assert len(site.donors) == with_donors
    for pasted in site.donors:
        np.testing.assert_array_equal(pasted.tumour, there)
        np.testing.assert_array_equal(pasted.label, on_scan(donor, donor.label())[crop_of(host)])
        known = on_scan(donor, donor.organ())[crop_of(host)]
        np.testing.assert_array_equal(pasted.organ, known)
        there_too = on_scan(donor, donor.image()[0])[crop_of(host)]
        np.testing.assert_allclose(pasted.image[0][known], there_too[known], atol=1e-4)


def test_of_two_donors_the_later_one_counts_where_they_overlap(scene: Built):
    host = scene.cases[0]
    earlier, later = (tumour_there(scene.cases[donor], host) for donor in (2, 3))
    both = (earlier > 0) & (later > 0) & host.organ()
    assert (earlier != later)[both].sum() > 10
    site = real_site_builder(scene, 0, 2, 3).build(host, with_donors=True).site
    expected = np.where(later > 0, later, earlier)
    np.testing.assert_array_equal(site.tumour, np.where(host.organ(), expected, 0))
    np.testing.assert_array_equal(site.donors[0].tumour, earlier)
    np.testing.assert_array_equal(site.donors[1].tumour, later)


def test_a_tumour_outside_the_hosts_organ_makes_the_line_unusable(scene: Built):
    host = without_organ(scene.cases[0]).open()
    with pytest.raises(UnusableLineError, match="the tumour of case_001 falls outside the organ of case_000"):
        real_site_builder(scene, 0, 1).build(host, with_donors=False)
    away = DonorTumour("case_001", shift=(0.0, 0.0, 500.0))
    with pytest.raises(UnusableLineError, match="nothing of the tumour falls into the organ of case_000"):
        healthy_site_builder(scene, 0, away).build(scene.cases[0], with_donors=False)


def test_a_healthy_host_gets_the_tumour_shifted_as_the_line_says(scene: Built):
    """By whole voxels, so that nothing is interpolated; what falls outside the organ is left out, and how much."""
    host, donor = scene.cases[0], scene.cases[3]
    tumour = DonorTumour(donor.identifier, shift=(2.0, -3.0, 1.0))
    asked = {"side": "left"}
    builder = healthy_site_builder(scene, 0, tumour, asked=asked, training=("case_001", "case_003"))
    built = builder.build(host, with_donors=True)
    moved = np.roll(on_scan(donor, donor.tumour()), (2, -3, 1), (0, 1, 2))[crop_of(host)]
    expected = np.where(host.organ(), moved, 0)
    np.testing.assert_array_equal(built.site.tumour, expected)
    np.testing.assert_array_equal(built.site.image, host.image())
    kept = (expected > 0).sum() / (donor.tumour() > 0).sum()
    assert built.controls == {
        "transforms": to_json((tumour,)), "asked": asked, "kept": [round(float(kept), 4)], "left_out_for_fluid": 0.0
    }  # fmt: skip
    assert built.ancestors == {"case_001", "case_003"}
    assert built.unharmonised is None
    (pasted,) = built.site.donors
    np.testing.assert_array_equal(pasted.tumour, moved)
    assert builder.build(host, with_donors=False).site.donors == ()


def test_diffuse_classes_leave_out_the_fluid_and_it_is_recorded(scene: Built):
    host, diffuse = scene.cases[3], scene.cases[3].roles.diffuse
    fluid = find_fluid(host.image(), host.organ(), ["t1n"], host.grid.spacing)
    assert fluid is not None
    plain = healthy_site_builder(scene, 3, DonorTumour("case_000"))
    before = plain.build(host, with_donors=False).site.tumour.numpy()
    left_out = fluid & np.isin(before, diffuse)
    assert left_out.any()
    built = replace(plain, sampling=replace(AS_PUBLISHED, around_fluid=True)).build(host, with_donors=False)
    np.testing.assert_array_equal(built.site.tumour, np.where(left_out, 0, before))
    assert built.controls["left_out_for_fluid"] == round(left_out.sum() / (before > 0).sum(), 4)


def test_a_host_takes_over_a_models_looks_and_the_stored_one_is_kept(scene: Built):
    host, model = scene.cases[0], scene.cases[1]
    built = healthy_site_builder(scene, 0, DonorTumour("case_002"), appearance_source=model).build(
        host, with_donors=False
    )
    expected = harmonise(host.image(), host.organ(), host.grid.spacing, Appearance.of(model), [Z_SCORED])
    np.testing.assert_array_equal(built.site.image, expected.image)
    assert built.unharmonised is not None
    np.testing.assert_array_equal(built.unharmonised, host.image())
    assert (built.unharmonised != built.site.image).any()
    blurred = np.array(expected.blurred)
    assert blurred.any()
    assert built.controls["harmonised"] == {"to": model.identifier, "blurred_mm": blurred.round(3).tolist()}
    stretched = replace(built.site, image=built.unharmonised, spacing=(2.0, 3.0, 4.0))  # as if voxels were as large
    wide = harmonise(host.image(), host.organ(), (2.0, 3.0, 4.0), Appearance.of(model), [Z_SCORED])  # another depth
    expected_mm = (np.array(wide.blurred) * (2, 3, 4)).round(3).tolist()
    assert with_appearance(stretched, host, model, keep=False)[1] == expected_mm


def test_what_is_shown_says_whose_tumour_it_is(scene: Built):
    host, donor = scene.cases[1], scene.cases[3]
    real = real_site_builder(scene, 1, 3, 2).view(host)
    assert real.title == "donor case_003"
    np.testing.assert_array_equal(real.tumour, tumour_there(donor, host))
    known = on_scan(donor, donor.organ())[crop_of(host)]
    np.testing.assert_array_equal(real.organ, known)
    np.testing.assert_allclose(real.image[0][known], on_scan(donor, donor.image()[0])[crop_of(host)][known], atol=1e-4)
    first, second = DonorTumour("case_003"), DonorTumour("case_002")
    alone = healthy_site_builder(scene, 1, first).view(host)
    assert alone.title == "tumour of case_003"
    np.testing.assert_array_equal(alone.tumour, np.where(host.organ(), tumour_there(donor, host), 0))
    np.testing.assert_array_equal(alone.image, host.image())
    np.testing.assert_array_equal(alone.organ, host.organ())
    assert healthy_site_builder(scene, 1, first, second).view(host).title == "tumour of case_003 and 1 more"


def test_a_finished_tumour_is_measured_in_the_terms_it_is_asked_for(scene: Built):
    """Two blocks on a grid of 2 mm; x grows to the left."""
    tumour = np.zeros((20, 20, 20), np.int16)
    tumour[4:8, 4:8, 10:14] = 2
    tumour[4, 4, 10] = 3
    tumour[12:16, 4:8, 10:14] = 7  # a class that nobody named
    grid = np.array([[0.0, 0, 2, -30], [0, 2, 0, 5], [2, 0, 0, 1], [0, 0, 0, 1]])
    builder = healthy_site_builder(scene, 0, DonorTumour("case_001"))
    midline = replace(builder, bank=replace(builder.bank, midline=-8.0))
    assert midline.measure(tumour, grid) == {
        "placed": {
            "volume_ml": 1.024,
            "class_fraction": {"ED": round(63 / 128, 4), "ET": round(1 / 128, 4), "7": 0.5},
            "components": 2,
            "center": [2 * 11.5 - 30, 2 * 5.5 + 5, 2 * 9.5 + 1],
            "side": "left",
        }
    }
    other = replace(builder, bank=replace(builder.bank, midline=-6.0))
    assert other.measure(tumour, grid)["placed"]["side"] == "right"
    assert real_site_builder(scene, 0, 1).measure(tumour, grid) == {}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "default"])
def test_labels_are_the_placed_tumours_and_hosts_stay_as_they_are(with_healthy: Workspace, preset, monkeypatch):
    """As they are, or as they are harmonised; without growth."""
    monkeypatch.setattr(examples, "SAMPLING", {"paper": AS_PUBLISHED, "default": SamplingConfig()})
    part, hosts = make_glowing(with_healthy, num_cases=6, preset=preset), healthy_hosts_of(with_healthy)
    for line in read_recipe(part.folder / "recipe.jsonl"):
        name, case = f"glow_{line.index:05d}", hosts.cases[line.host].open()
        placed = place_tumours(line.tumours, hosts.cohort.bank, read_host(case, around_fluid=preset == "default"))
        assert placed is not None
        expected = np.zeros(case.grid.native_shape, np.int16)
        crop = tuple(slice(a, a + size) for a, size in zip(case.grid.start, case.grid.cropped, strict=True))
        expected[crop] = placed.label(case.grid.shape)
        label, image = (volume(part.folder / f"{where}/{name}{end}.nii.gz") for where, end in FILES)
        np.testing.assert_array_equal(label, expected)
        before = volume(case.files.images[0])
        if preset == "default":
            model = part.sidecar(name).controls["harmonised"]["to"]
            assert model in hosts.cohort.training
            looks = Appearance.of(hosts.cohort.training[model])
            harmonised = harmonise(case.image(), case.organ(), case.grid.spacing, looks, [Z_SCORED]).image[0]
            assert harmonised[case.organ()].mean() == pytest.approx(case.image()[0][case.organ()].mean(), abs=1e-3)
            lighter = np.zeros(before.shape)
            lighter[crop] = (harmonised - case.image()[0]) * case.intensity.sd[0]
            assert np.abs(lighter).max() > 20
            before = np.where(before == 0, 0, np.maximum(np.rint(before + lighter), 1))
        distance = sitk.GetArrayFromImage(
            sitk.SignedMaurerDistanceMap(
                sitk.GetImageFromArray((expected > 0).astype(np.uint8)), squaredDistance=False, insideIsPositive=False
            )
        )
        np.testing.assert_array_equal(image[distance >= REACH], before[distance >= REACH])
        assert (image != before).any()
        np.testing.assert_array_equal(image == 0, before == 0)
        made = sitk.ReadImage(str(part.folder / f"imagesTr/{name}_0000.nii.gz"))
        assert same_grid(made, sitk.ReadImage(str(case.files.images[0])))
        record = part.sidecar(name).controls["placed"]
        values, counts = np.unique(expected[expected > 0], return_counts=True)
        names = {1: "NCR", 2: "ED", 3: "ET"}
        shares = {names[int(value)]: count / counts.sum() for value, count in zip(values, counts, strict=True)}
        assert record["class_fraction"] == pytest.approx(shares, abs=1e-4)
        assert record["volume_ml"] == pytest.approx(counts.sum() / 1000, abs=1e-3)
        assert min(part.sidecar(name).controls["kept"]) >= 0.8


def test_donors_stand_out_from_a_hosts_tissue_as_they_did_from_their_own(with_healthy: Workspace, monkeypatch):
    """A patient is normalised with its tumour in it, a healthy host is not."""
    pool = healthy_hosts_of(with_healthy)
    line = pool.lines(1)[0]
    host, moments = pool.cases[line.host].open(), {line.host: [[0.0], [1.0]]}
    monkeypatch.setattr(tissue, "tissue", lambda case: np.array(moments.get(case.identifier, [[0.0], [1.0]])))
    plain = pool.site_builder(line).build(host, with_donors=True).site.donors[0].image
    moments[line.donors[0]] = [[-0.5], [0.8]]
    scaled = pool.site_builder(line).build(host, with_donors=True).site.donors[0].image
    assert plain.std() > 0
    np.testing.assert_allclose(scaled, (plain + 0.5) / 0.8, atol=1e-5)
