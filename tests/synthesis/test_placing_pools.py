"""Hosts into which tumours are placed, healthy ones and patients: their lines, their sites, what makes other lines."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.lookup import find_method
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.growth import GROWING
from nnunetv2_tf.synthesis.harmonise import HARMONISING
from nnunetv2_tf.synthesis.host_pool import RealHostPool
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool, PatientHostPool, ShapeHostPool, hosts_for
from nnunetv2_tf.synthesis.site_builder import PlacedSiteBuilder
from nnunetv2_tf.tumours.bank import Bank
from nnunetv2_tf.tumours.recipe import DonorTumour, RecipeLine, read_recipe
from nnunetv2_tf.tumours.sampler import TumourSampler
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.working_space import free_side
from nnunetv2_tf.working_space.preprocess import Plan
from nnunetv2_tf.working_space.tissue import SCALING
from tests.scenes import Built
from tests.synthesis.making import PEOPLE, cases_in, cohort_of, healthy_hosts_of, make_glowing, make_set, without_organ
from tests.workspace import HEALTHY, Workspace

MOVED = SamplingConfig(matched=False, combine=0.0, around_fluid=False, harmonised=False)


def test_a_healthy_host_is_given_what_its_line_asks_for(with_healthy: Workspace):
    asked = {"side": "left"}
    pool = replace(healthy_hosts_of(with_healthy), asked=asked)
    training = sorted(pool.cohort.training)
    for first, second in ((training[1], training[4]), (training[4], training[1])):
        line = RecipeLine(0, "person_002", None, (DonorTumour(first), DonorTumour(second)), 3)
        builder = pool.site_builder(line)
        assert isinstance(builder, PlacedSiteBuilder)
        assert builder.line == line
        assert [lesion.donor for lesion in builder.bank.lesions] == [training[1], training[4]]
        assert list(builder.donors) == [first, second]
        assert list(builder.training) == training
        assert (builder.asked, builder.sampling) == (asked, SamplingConfig())
        assert builder.class_names == {1: "NCR", 2: "ED", 3: "ET"}
        assert builder.appearance_source is not None
        assert builder.appearance_source.identifier == first


def test_sites_to_learn_from_depend_on_nothing_but_the_random_numbers(with_healthy: Workspace):
    pool = replace(healthy_hosts_of(with_healthy), sampling=SamplingConfig(harmonised=False))
    scans = {name: case.open() for name, case in pool.cases.items()}
    hosts = set()
    for seed in range(5):
        site = pool.sample_site(False, np.random.default_rng(seed))
        again = replace(pool, seed=99).sample_site(False, np.random.default_rng(seed))
        assert torch.equal(site.tumour, again.tumour)
        assert torch.equal(site.image, again.image)
        (name,) = (name for name, case in scans.items() if np.array_equal(case.image(), site.image.numpy()))
        hosts.add(name)
        np.testing.assert_array_equal(site.organ, scans[name].organ())
        assert (site.tumour > 0).any()
        assert not (site.tumour > 0)[~site.organ].any()
        assert not site.label.any()
        assert site.donors == ()
    assert len(hosts) > 1
    assert not (with_healthy.dataset.preprocessed / "tf" / "recipes").exists()


def test_a_site_to_learn_from_is_harmonised_and_has_donors_where_wanted(with_healthy: Workspace):
    pool = healthy_hosts_of(with_healthy)
    plain = replace(pool, sampling=SamplingConfig(harmonised=False))
    for seed in range(3):
        site, as_stored = (hosts.sample_site(True, np.random.default_rng(seed)) for hosts in (pool, plain))
        assert torch.equal(site.tumour, as_stored.tumour)
        assert (site.image != as_stored.image)[:, site.organ].any()
        assert torch.equal(site.image[:, ~site.organ], as_stored.image[:, ~site.organ])
        there = sum((donor.tumour > 0).long() for donor in as_stored.donors)
        assert isinstance(there, torch.Tensor)
        assert (there > 0)[site.tumour > 0].all()


def test_free_sides_to_learn_from_lie_in_training_patients_and_have_others_tumours(
    with_healthy: Workspace, monkeypatch
):
    monkeypatch.setattr(free_side, "AWAY", 2.0)  # mm: these heads are small
    pool = healthy_hosts_of(with_healthy)
    training = {name: case.open() for name, case in pool.cohort.training.items()}
    unused, hosts, donors = sorted(training)[0], set(), set()
    banks, original = [], Bank.restricted_to

    def restricted_to(bank: Bank, names: Sequence[str]) -> Bank:
        banks.append(set(names))
        return original(bank, names)

    monkeypatch.setattr(Bank, "restricted_to", restricted_to)
    for seed in range(6):
        site = pool.sample_free_side(False, np.random.default_rng(seed), [unused])
        again = pool.sample_free_side(False, np.random.default_rng(seed), [unused])
        assert torch.equal(site.tumour, again.tumour)
        (name,) = [name for name, case in training.items() if np.array_equal(case.image(), site.image.numpy())]
        own = training[name].tumour() > 0
        assert (site.tumour > 0).any()
        assert not site.organ.numpy()[own].any()
        assert not (site.tumour > 0).numpy()[~site.organ].any()
        assert name not in banks[-1]
        assert unused not in banks[-1]
        hosts.add(name)
        donors |= banks[-1]
    assert len(hosts) > 1
    assert unused not in hosts | donors


def test_hosts_without_room_are_named_when_no_site_is_found(with_healthy: Workspace):
    pool = healthy_hosts_of(with_healthy)
    bank = pool.cohort.bank
    pool.cohort.healthy_cases = {name: without_organ(case) for name, case in pool.cases.items()}
    assert pool.cohort.bank is bank  # it was read before
    with pytest.raises(
        UserError, match=r"No tumour could be placed in 20 healthy scans \(person_00\d: it has no organ;"
    ):
        pool.sample_site(False, np.random.default_rng(0))


def test_fits_are_not_made_for_what_a_user_asks_of_a_set(with_healthy: Workspace):
    pool = healthy_hosts_of(with_healthy)
    asking = replace(pool, asked={"side": "left"})
    assert asking.settings == {
        "healthy": HEALTHY.name,
        "harmonised": HARMONISING,
        "growth": None,
        "scaled": SCALING,
        "controls": {"side": "left"},
        "tumours": asking.settings["tumours"],
    }
    assert asking.settings["tumours"] != pool.settings["tumours"]
    growing = replace(pool, sampling=SamplingConfig(front=True))
    assert growing.settings["growth"] == {"rules": GROWING, "rounded": False, "mass_effect": False, "front": True}
    assert growing.settings["tumours"] == pool.settings["tumours"]  # the same tumours, grown
    fitting = asking.for_fitting(7)
    assert fitting.seed == 7
    assert fitting.cohort is pool.cohort
    assert fitting.settings == pool.settings


@pytest.mark.slow
def test_methods_share_a_recipe_and_nobody_draws_it_twice(with_healthy: Workspace, monkeypatch):
    drawn = make_glowing(with_healthy, num_cases=3)
    monkeypatch.setattr(TumourSampler, "sample", lambda *_: pytest.fail("drawn again"))
    taken_over = make_glowing(with_healthy, "other", num_cases=3, method="tests.methods.examples:Glare")
    assert (drawn.folder / "recipe.jsonl").read_bytes() == (taken_over.folder / "recipe.jsonl").read_bytes()


@pytest.mark.slow
def test_what_is_asked_for_is_made_and_recorded(with_healthy: Workspace):
    asked = {"side": "left", "volume_ml": [1.0, 4.0], "class_fraction": {"ED": [0.2, 0.8]}}
    part = make_glowing(with_healthy, asked=asked)
    for name in cases_in(part):
        controls = part.sidecar(name).controls
        assert controls["asked"] == asked
        assert controls["placed"]["side"] == "left"
        label = sitk.ReadImage(str(part.folder / "labelsTr" / f"{name}.nii.gz"))
        places = np.argwhere(sitk.GetArrayFromImage(label) > 0)
        x = np.mean([label.TransformIndexToPhysicalPoint([int(i) for i in place[::-1]])[0] for place in places])
        assert x > healthy_hosts_of(with_healthy).cohort.bank.midline
        assert 1.0 <= len(places) / 1000 <= 4.0
        assert 0.2 <= (sitk.GetArrayFromImage(label) == 2).sum() / len(places) <= 0.8
    for other, sentence in (({}, "begun with controls"), ({**asked, "side": "right"}, "begun with controls")):
        with pytest.raises(UserError, match=sentence):
            make_glowing(with_healthy, asked=other)


@pytest.mark.slow
def test_scans_that_go_make_another_recipe(with_healthy: Workspace):
    make_glowing(with_healthy, "one", num_cases=4, recipe_only=True)
    for folder, end in (("imagesTr", "_0000"), ("labelsTr", "")):
        (HEALTHY.raw / folder / f"person_003{end}.nii.gz").unlink()
    part = make_glowing(with_healthy, "two", num_cases=12, recipe_only=True)
    assert {line.host for line in read_recipe(part.folder / "recipe.jsonl")} == PEOPLE - {"person_003"}


def test_narrow_wishes_are_refused_by_their_own_reason(with_healthy: Workspace):
    hosts = healthy_hosts_of(with_healthy)
    share = sorted(lesion.classes[3] / lesion.volume for lesion in hosts.cohort.bank.lesions)[0]
    asked = {"class_fraction": {"ET": [share - 1e-9, share + 1e-9]}}
    with pytest.raises(
        UserError, match="in 5 healthy scans, .*: its classes are not in the proportions asked for. Ask"
    ):
        make_glowing(with_healthy, asked=asked)


def test_where_nobody_says_what_the_organ_is_hosts_stay_as_they_are(with_healthy: Workspace, monkeypatch):
    """A liver would come to look like a whole abdomen."""
    hosts = healthy_hosts_of(with_healthy)
    assert hosts.settings["harmonised"] == HARMONISING
    as_they_are = replace(hosts, sampling=replace(hosts.sampling, harmonised=False))
    assert as_they_are.settings["harmonised"] is None
    assert as_they_are.lines(1) == hosts.lines(1)  # harmonising changes hosts, and no line
    monkeypatch.setattr(Plan, "masked", False)
    assert hosts.settings["harmonised"] is None
    builder = hosts.site_builder(hosts.lines(1)[0])
    assert isinstance(builder, PlacedSiteBuilder)
    assert builder.appearance_source is None


def patient_hosts_of(scene: Built, **sampling) -> PatientHostPool:
    return PatientHostPool(Cohort(scene.dataset, scene.plan, 0), 3, replace(MOVED, **sampling))


def test_patients_get_others_tumours_beside_their_own(scene: Built, tmp_path):
    pool = patient_hosts_of(scene)
    lines = pool.lines(6)
    assert len({line.host for line in lines}) > 1
    pool.check_lines(lines, tmp_path)
    for line in lines:
        assert line.healthy_host is None
        assert line.host not in line.donors
        assert not line.tumours[0].untransformed
        host = pool.cohort.training[line.host].open()
        built = pool.site_builder(line).build(pool.cases[line.host].open(), with_donors=True)
        own, placed = host.tumour() > 0, built.site.tumour.numpy() > 0
        assert placed.any()
        assert not (own & placed).any()
        np.testing.assert_array_equal(built.site.organ.numpy(), host.organ() & ~own)
        np.testing.assert_array_equal(built.site.label.numpy(), host.label())  # which the tumour is written over
        assert (built.site.donors[0].tumour.numpy()[placed] > 0).all()
        assert built.ancestors == set(pool.cohort.training)
    assert pool.settings["tumours"] != patient_hosts_of(scene, turn=5.0).settings["tumours"]


def test_a_tumour_is_copied_within_its_patient_as_often_as_is_said(scene: Built):
    assert all(line.donors == (line.host,) for line in patient_hosts_of(scene, within=1.0).lines(5))
    mixed = [line.donors == (line.host,) for line in patient_hosts_of(scene, within=0.5).lines(16)]
    assert 2 <= sum(mixed) <= 14


def test_patients_whose_organ_nobody_knows_are_refused(scene: Built, monkeypatch):
    monkeypatch.setattr(Plan, "masked", False)
    with pytest.raises(UserError, match="cannot be moved in .*: which organ .* tf, organ"):
        patient_hosts_of(scene).lines(1)


def test_what_is_asked_for_is_given_in_patients_too(scene: Built):
    pool = replace(patient_hosts_of(scene), asked={"volume_ml": (0.3, 1.0)})
    for line in pool.lines(3):
        site = pool.site_builder(line).build(pool.cases[line.host].open(), with_donors=False).site
        assert 0.3 <= float((site.tumour > 0).sum()) * np.prod(site.spacing) / 1000 <= 1.0


def test_hosts_are_those_that_a_method_wants(with_healthy: Workspace):
    people, patients = cohort_of(with_healthy), Cohort(with_healthy.dataset, with_healthy.plan(), 0)
    moving, pasting = find_method("tumorcp"), find_method("carvemix")
    assert type(hosts_for(moving, patients, 0, {}, 1)) is PatientHostPool
    assert type(hosts_for(moving, people, 0, {}, 1)) is HealthyHostPool
    assert type(hosts_for(find_method("syntumor"), people, 0, {}, 1)) is ShapeHostPool
    assert type(hosts_for(pasting, patients, 0, {}, 1)) is RealHostPool


@pytest.mark.slow
def test_what_was_put_into_a_patient_is_measured_without_its_own_tumour(workspace: Workspace):
    part = make_set(workspace, "tcp", num_cases=2, method="tumorcp", asked={"volume_ml": [0.3, 1.0]})
    for name in cases_in(part):
        assert 0.25 <= part.sidecar(name).controls["placed"]["volume_ml"] <= 1.1


def test_a_wish_that_only_the_host_itself_could_meet_is_no_crash(scene: Built):
    pool = patient_hosts_of(scene)
    share = max(lesion.classes[3] / lesion.volume for lesion in pool.cohort.bank.lesions)
    lines = replace(pool, asked={"class_fraction": {"ET": (share - 1e-9, 1.0)}}).lines(4)
    assert len({line.donors for line in lines}) == 1
