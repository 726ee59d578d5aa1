"""What is judged is what trainers will see."""

import numpy as np
import pytest

from nnunetv2_tf.synthesis.case_maker import edited_site, make_case
from nnunetv2_tf.synthesis.finished import Finished
from nnunetv2_tf.working_space.preprocess import preprocess_cases
from nnunetv2_tf.working_space.stored import OpenCase
from tests.scenes import Built

METHODS = ("carvemix", "tests.methods.examples:Glow", "tests.methods.examples:Tint")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scene", ["one channel", "four channels, two classes", "CT", "coarser"], indirect=True)
def test_it_is_what_nnunet_makes_of_the_files(scene: Built, method, tmp_path, monkeypatch):
    task = scene.task(0, 1, method)
    host = task.host.open()
    built, edited = edited_site(task, host)
    finished = Finished.of(built.site, edited, host.roles.tumour, host.plan.z_scored)
    monkeypatch.setattr(type(task.part), "folder", tmp_path)
    make_case(task)
    files = task.part.case_files(task.identifier, ".nii.gz", len(host.files.images))
    list(preprocess_cases(scene.plan, [files], tmp_path / "stored", 1))
    stored = OpenCase(host.dataset, host.plan, files, host.group, host.roles, tmp_path / "stored")
    inside = (stored.tumour() > 0) & (finished.tumour > 0)
    assert inside.sum() >= 0.8 * (finished.tumour > 0).sum()
    error = np.abs(stored.image() - finished.image)[:, inside]
    assert np.median(error) < 0.05
    assert np.median(error) < 0.25 * np.median(np.abs(stored.image() - host.image())[:, inside])
    agreement = (stored.label() == finished.label)[host.organ()].mean()
    assert agreement > (0.97 if host.grid.resampled else 0.9999)


def test_a_host_keeps_its_own_tumour_which_is_not_what_was_put_in(scene: Built):
    task = scene.task(0, 1, "carvemix")
    host = task.host.open()
    built, edited = edited_site(task, host)
    finished = Finished.of(built.site, edited, host.roles.tumour, host.plan.z_scored)
    assert edited.region is not None
    outside = ~edited.region.numpy()
    np.testing.assert_array_equal(finished.label[outside], host.label()[outside])
    assert not finished.tumour[outside].any()
    assert (finished.tumour > 0).any()
