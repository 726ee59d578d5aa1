"""A host's own files: what of them is body, whether they are still those that were preprocessed; both also if kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

from nnunetv2_tf.io.array_cache import ArrayCache
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.synthesis import host_files
from nnunetv2_tf.synthesis.case_maker import synthesize_case
from nnunetv2_tf.synthesis.host_files import (
    Channel,
    check_not_replaced,
    content_of,
    crop_of,
    filled_up,
    read_file,
    turned,
)
from nnunetv2_tf.working_space.stored import OpenCase
from tests.conftest import enter
from tests.scenes import Builder, Built, Scene


def with_cache(case: OpenCase, folder: Path) -> OpenCase:
    return replace(case, cache=ArrayCache(folder, 1.0)).open()


def test_content_is_what_nnunet_takes_for_the_body_and_is_kept(scene: Built, tmp_path, monkeypatch):
    case = with_cache(scene.cases[0], tmp_path)
    images = [read_file(path, case) for path in case.files.images]
    found = content_of(case, images)
    whole = turned(images[0], case)[crop_of(case)]
    np.testing.assert_array_equal(found, create_nonzero_mask(whole[None] != 0))

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(host_files, "filled_up", never)
    np.testing.assert_array_equal(content_of(with_cache(scene.cases[0], tmp_path), images), found)


def test_holes_are_filled_as_nnunet_fills_them():
    rng = np.random.default_rng(0)
    for chance in (0.0, 0.3, 0.6, 0.75, 0.9, 1.0):
        mask = rng.random((12, 15, 9)) < chance
        np.testing.assert_array_equal(filled_up(mask), create_nonzero_mask(mask[None]))


def test_a_file_of_another_background_is_another_scan(scene: Built, tmp_path):
    case = with_cache(scene.cases[0], tmp_path)
    images = [read_file(path, case) for path in case.files.images]
    images[0].file_voxels[0, 0, 0] = 7
    with pytest.raises(UserError, match="is not the scan that was preprocessed .its background is another"):
        content_of(case, images)
    assert not list(tmp_path.iterdir())


def test_other_values_or_labels_are_another_scan(scene: Built):
    case = scene.cases[0]
    images, label = [read_file(path, case) for path in case.files.images], read_file(case.files.label, case)
    check_not_replaced(case, case.image(), images, label)
    with pytest.raises(UserError, match="its values are others"):
        check_not_replaced(case, case.image() + 0.1, images, label)
    label.file_voxels[20, 20, 20] += 1
    with pytest.raises(UserError, match="its labels are others"):
        check_not_replaced(case, case.image(), images, label)


@pytest.mark.parametrize("scene", ["CT", "four channels, two classes"], indirect=True)
def test_channels_are_normalised_as_the_case_says(scene: Built):
    case = scene.cases[0]
    for index in range(len(case.files.images)):
        channel = Channel.of(case, index)
        assert (channel.mean, channel.sd) == (case.intensity.mean[index], case.intensity.sd[index])
        assert (channel.limits is not None) == ("CT" in scene.plan.manager.normalization_schemes[index])


def test_a_case_is_the_same_whether_anything_is_kept_of_its_host(build_scene: Builder, monkeypatch, tmp_path):
    """Nothing, at first, from then on, after an entry was damaged or cut short; and when the host's arrays change."""
    scene = build_scene(Scene(Brains(), num_cases=4))
    enter(scene.workspace, monkeypatch)
    task = scene.task(0, 1, "tf_aug", model=scene.cases[2])

    def made(cached: bool) -> list[bytes]:
        host = with_cache(scene.cases[0], tmp_path) if cached else scene.cases[0].open()
        composed, sidecar = synthesize_case(replace(task, host=host))
        arrays = [volume.file_voxels.tobytes() for volume in (*composed.images, composed.label)]
        return [*arrays, repr(sidecar.controls).encode()]

    expected = made(cached=False)
    assert not list(tmp_path.iterdir())
    assert made(cached=True) == expected
    entries = sorted(tmp_path.iterdir())
    assert len(entries) >= 2
    assert made(cached=True) == expected
    for entry in entries:
        content = entry.read_bytes()
        for damaged in (content[: len(content) // 2], b"", content[:-9] + bytes(9)):
            entry.write_bytes(damaged)
            assert made(cached=True) == expected
    assert sorted(tmp_path.iterdir()) == entries
    asked = []
    get = ArrayCache.get

    def watched(cache: ArrayCache, name: str, source: str, compute) -> Arrays:
        asked.append(source)
        return get(cache, name, source, compute)

    monkeypatch.setattr(ArrayCache, "get", watched)
    made(cached=True)
    before = set(asked)
    for path in scene.cases[0].folder.glob(f"{scene.cases[0].identifier}*.b2nd"):
        path.touch()
    asked.clear()
    made(cached=True)
    assert before.isdisjoint(asked)
