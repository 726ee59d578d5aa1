"""What batches are made of: sites and cases of scenes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_tf.geometry.feather import feather
from nnunetv2_tf.methods.tf_gan.config import DISTANCE_CLIP_MM, PRESETS
from nnunetv2_tf.methods.tf_gan.patches import Patches, Pieces, distance_clip
from nnunetv2_tf.training.pool import Pool, PoolFolder
from tests.scenes import Built

SIZE = (16, 24, 16)
POOL = 6  # sites
STEPS = 3  # in an epoch


def patches(
    scene: Built, seed: int = 0, centred: float = 1.0, size: Sequence[int] = SIZE, kept: Path | None = None
) -> Patches:
    def sample_site(rng: np.random.Generator, *_):
        host, donor = rng.permutation(len(scene.cases))[:2]
        return scene.site(int(host), int(donor), "tf_aug")

    pieces = Pieces(sample_site, scene.ready("tf_aug"), scene.cases, size, 6.0, centred < 1, seed)
    folder = None if kept is None else PoolFolder(kept, "source")
    fakes = Pool(pieces.fake, None if kept is None else POOL, 2, folder and folder / "sites")
    reals = Pool(pieces.real, len(scene.cases), 0, folder and folder / "real")
    return Patches(pieces, fakes, reals, range(len(scene.cases)), centred, 2, range(2), STEPS)


def real(source: Patches, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return source.real(rng, source.learnt)


def fake(source: Patches, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return source.fake(source.pieces.new_fake(rng), rng)


@pytest.mark.parametrize("scene", ["one channel", "four channels, two classes", "CT"], indirect=True)
def test_a_batch(scene: Built):
    made = patches(scene)(3)
    channels = len(scene.plan.dataset_json["channel_names"])
    for name in ("host", "coarse", "real_image"):
        assert made[name].shape == (2, channels, 16, 24, 16)
        assert made[name].dtype == np.float32
    for name in ("tumour", "body", "organ", "distance", "real_tumour", "real_body"):
        assert made[name].shape == (2, 16, 24, 16)
    for index in range(2):
        assert made["tumour"][index].any()
        assert made["real_tumour"][index].any()
        assert (made["coarse"][index] != made["host"][index])[:, made["tumour"][index] > 0].any()
        assert not made["distance"][index][made["tumour"][index] > 0].any()
        far = made["distance"][index] >= 6.0
        np.testing.assert_allclose(made["coarse"][index][:, far], made["host"][index][:, far], atol=1e-3)


def test_what_lies_beyond_a_patch_counts_where_the_case_is_normalised_anew(scene: Built):
    """The sums over a small patch and those beyond it are those of the whole site."""
    small, large = (patches(scene, size=(size,) * 3) for size in (8, 64))
    for index in range(5):
        part, whole = (fake(source, np.random.default_rng([3, index])) for source in (small, large))
        assert np.abs(whole["beyond"]).max() < 1e-3  # all of it is in the patch
        sums = []
        for patch in (part, whole):
            made = patch["coarse"]
            both = (made - patch["host"], made**2 - patch["host"] ** 2)
            sums.append(np.stack([one.sum(axis=(1, 2, 3)) for one in both]) + patch["beyond"])
        np.testing.assert_allclose(sums[0], sums[1], rtol=1e-3, atol=1e-2)


def test_a_step_is_the_same_whenever_it_is_made_and_every_step_is_new(scene: Built):
    one, again, other = patches(scene)(5), patches(scene)(5), patches(scene)(6)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["host"], other["host"])
    assert not np.array_equal(patches(scene, seed=1)(5)["host"], one["host"])


def test_processes_share_a_batch(scene: Built):
    """Each fills every other place, with what one process would put there."""
    whole = patches(scene)(3)
    for rank in (0, 1):
        part = replace(patches(scene), places=range(rank, 2, 2))(3)
        assert part["place"].tolist() == [rank]
        assert all(np.array_equal(part[name][0], whole[name][rank]) for name in whole)


def test_real_and_fake_lie_alike_in_their_patches(scene: Built):
    """The middle of the tumour is within a fourth of the patch of its middle, unless the scan ends there."""
    source = patches(scene)
    for draw, name in ((partial(fake, source), "tumour"), (partial(real, source), "real_tumour")):
        middles = []
        for index in range(30):
            tumour = draw(np.random.default_rng([7, index]))[name]
            places = np.argwhere(tumour > 0)
            middles.append(((places.min(axis=0) + places.max(axis=0) + 1) / 2 - np.array([8, 12, 8])) / [16, 24, 16])
        assert np.std(middles) > 0.05
        assert np.abs(np.mean(middles, axis=0)).max() < 0.2


def test_some_patches_lie_anywhere(scene: Built):
    source = patches(scene, centred=0.0, size=(8, 8, 8))
    empty = [not real(source, np.random.default_rng(index))["real_tumour"].any() for index in range(40)]
    assert any(empty)


def test_a_pool_gives_the_same_batches_kept_or_made_anew_before_and_after_an_interruption(scene: Built, tmp_path):
    kept = patches(scene, kept=tmp_path)
    batches = [kept(step) for step in range(4 * STEPS)]
    sites, real = ({int(path.stem) for path in (tmp_path / name).iterdir()} for name in ("sites", "real"))
    assert 3 < len(sites) <= POOL + 3 * 2
    assert sites <= set(range(POOL + 3 * 2))
    assert real
    assert real <= set(range(len(scene.cases)))
    again = patches(scene, kept=tmp_path)  # what another process finds there
    for other in (again, replace(kept, fakes=replace(kept.fakes, folder=None))):
        for step in (0, 7, 11):
            made = other(step)
            assert all(np.array_equal(made[name], batches[step][name]) for name in made)
    hosts = {batch["host"].tobytes() for batch in batches}
    assert len(hosts) == len(batches)  # places in a site are drawn anew at each use


def test_values_that_half_precision_cannot_hold_are_kept_in_single_precision(scene: Built):
    pieces = patches(scene).pieces
    large = replace(scene.site(0, 1, "tf_aug"), image=scene.site(0, 1, "tf_aug").image * 1e5)
    found = replace(pieces, sample_site=lambda _: large).new_fake(np.random.default_rng(0))
    assert (found["host"].dtype, found["distance"].dtype) == (np.float32, np.float16)
    assert np.isfinite(found["sums"]).all()
    assert pieces.real(0)["image"].dtype == np.float16


def test_patches_of_a_piece_are_those_of_the_whole_case(scene: Built):
    """Also at the scan's edge, where patches are shifted."""
    small, whole = (patches(scene, centred=centred, size=(16, 16, 16)) for centred in (1.0, 0.5))
    for number in range(4):
        parts = [source.pieces.fake(number) for source in (small, whole)]
        assert parts[0]["host"].size < parts[1]["host"].size
        for index in range(8):
            cuts = [replace(small, centred=1.0).fake(part, np.random.default_rng([number, index])) for part in parts]
            assert all(np.array_equal(cuts[0][name], cuts[1][name]) for name in cuts[0])


@pytest.mark.parametrize("step", [0.7, 1.0, 1.55, 1.6, 1.8, 2.2, 2.5, 3.1])
def test_what_is_far_is_beyond_the_reach_also_in_half_precision(step):
    config = PRESETS["default"]
    reach = config.reach((step,) * 3)
    assert reach == max(3.0, 2 * step)
    far = np.array([distance_clip(reach, (step,) * 3)], np.float16).astype(np.float32)
    assert feather(far, reach)[0] == 0
    assert distance_clip(None, (step,) * 3) == DISTANCE_CLIP_MM


def test_real_patches_are_not_of_those_held_out(scene: Built):
    source = replace(patches(scene), learnt=[2])
    drawn = np.concatenate([source(step)["real_image"] for step in range(4)])
    voxels = set(source.pieces.real(2)["image"].astype(np.float32).ravel().tolist()) | {0.0}
    assert set(drawn.ravel().tolist()) <= voxels
    everybody = np.concatenate([patches(scene)(step)["real_image"] for step in range(4)])
    assert not set(everybody.ravel().tolist()) <= voxels
