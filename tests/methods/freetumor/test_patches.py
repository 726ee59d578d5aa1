"""What batches are made of: sites and cases of scenes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nnunetv2_tf.methods.freetumor.patches import HOST_VOLUMES, Host, Patches, Pieces
from nnunetv2_tf.training.loading import as_tensors
from nnunetv2_tf.training.pool import Pool, PoolFolder
from nnunetv2_tf.training.real_patches import REAL
from tests.scenes import Built

SIZE, POOL, STEPS = (16, 24, 16), 6, 3


def patches(scene: Built, seed: int = 0, kept: Path | None = None) -> Patches:
    def sample_site(rng: np.random.Generator):
        host, donor = rng.permutation(len(scene.cases))[:2]
        site = scene.site(int(host), int(donor), "freetumor")
        own = torch.from_numpy(scene.cases[host].label())
        return replace(site, label=own)

    pieces = Pieces(sample_site, (1.0, 2.0), scene.cases[0].roles.tumour, scene.cases, SIZE, seed)
    folder = None if kept is None else PoolFolder(kept, "source")
    hosts = Pool(pieces.host, None if kept is None else POOL, 2, folder and folder / "sites")
    return Patches(pieces, hosts, Pool(pieces.real, len(scene.cases), 0, folder and folder / "real"), 2, STEPS)


@pytest.mark.parametrize("scene", ["one channel", "four channels, two classes", "CT"], indirect=True)
def test_a_batch_holds_hosts_with_room_for_tumours_and_real_ones(scene: Built):
    drawn = patches(scene)(0)
    channels = len(scene.plan.dataset_json["channel_names"])
    assert drawn["host"].shape == drawn["real_image"].shape == (2, channels, *SIZE)
    assert set(drawn) == {*HOST_VOLUMES, "n_norm", *REAL, "place"}
    for place in range(2):
        assert drawn["tumour"][place].any()
        assert drawn["real_tumour"][place].any()
        assert not (drawn["own"][place].astype(bool) & drawn["tumour"][place].astype(bool)).any()
        assert set(np.unique(drawn["own"][place])) <= {0, *scene.cases[0].roles.tumour}
    assert drawn["own"].any()


def test_batches_depend_on_the_step_alone_also_from_a_pool(scene: Built, tmp_path):
    for kept in (None, tmp_path / "pool"):
        one, again, other = patches(scene, kept=kept)(4), patches(scene, kept=kept)(4), patches(scene, kept=kept)(5)
        for name, array in one.items():
            np.testing.assert_array_equal(array, again[name])
        assert not np.array_equal(one["real_image"], other["real_image"])
    assert not np.array_equal(patches(scene, seed=1)(4)["host"], patches(scene)(4)["host"])


def test_augmentation_moves_all_volumes_of_a_host_together(scene: Built):
    batch = as_tensors(patches(scene)(0))
    plain, moved = (Host.of(batch, torch.device("cpu"), (1.0, 1.0, 1.0), stream) for stream in (None, [0]))
    assert not torch.equal(plain.image, moved.image)
    there = moved.tumour > 0
    assert moved.soft[there].mean() > 0.4 > 0.1 > moved.soft[~there].mean()
    assert not (moved.own.bool() & there).any()
    assert not (there & ~moved.organ).any()
    same = {**batch, "texture": batch["host"][:, 0].clone(), "body": batch["tumour"] > 0}
    turned = Host.of(same, torch.device("cpu"), (1.0, 1.0, 1.0), [0])
    torch.testing.assert_close(turned.texture, turned.image[:, 0])
    assert torch.equal(turned.body, turned.tumour > 0)
    again = Host.of(batch, torch.device("cpu"), (1.0, 1.0, 1.0), [0])
    assert torch.equal(again.image, moved.image)
