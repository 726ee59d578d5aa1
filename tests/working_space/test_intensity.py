"""Mean and sd against what nnU-Net stored: native value = mean + sd * stored value."""

import gzip
from typing import Any

import numpy as np
import pytest

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.working_space.intensity import Intensity, intensity_path
from nnunetv2_tf.working_space.stored import OpenCase, training_cases
from tests.conftest import enter
from tests.scenes import SAME_GRID, Builder, Built, LabelledOutside, Scene
from tests.workspace import Workspace


@pytest.mark.parametrize("scene", SAME_GRID, indirect=True)
def test_turns_nnunets_normalisation_back(scene: Built):
    turned_back(scene)


def test_labels_outside_the_nonzero_mask_count_as_inside(build_scene: Builder, monkeypatch):
    """As nnU-Net has it."""
    built = build_scene(Scene(LabelledOutside()))
    enter(built.workspace, monkeypatch)
    turned_back(built)


def turned_back(scene: Built) -> None:
    for case in scene.cases:
        reader: Any = scene.plan.plans_manager.image_reader_writer_class()
        native, _ = reader.read_images([str(path) for path in case.files.images])
        axes = [axis + 1 for axis in scene.plan.plans_manager.transpose_forward]
        native = native.transpose(0, *axes)
        crop = tuple(slice(a, a + size) for a, size in zip(case.grid.start, case.grid.cropped, strict=True))
        inside = case.stored_label >= 0
        for channel, (mean, sd) in enumerate(zip(case.intensity.mean, case.intensity.sd, strict=True)):
            back = case.image()[channel] * sd + mean
            expected = native[channel][crop]
            if scene.plan.manager.normalization_schemes[0] == "CTNormalization":
                expected = np.clip(expected, -150, 250)
            np.testing.assert_allclose(back[inside], expected[inside], atol=1e-3)
        masked = scene.plan.masked
        assert case.intensity.n == (inside.sum() if masked else inside.size)


def test_the_record_is_kept_until_an_image_changes(workspace: Workspace):
    plan = workspace.plan("3d_fullres", "nnUNetPlans")
    case = first_case(workspace)
    before = case.intensity
    path = intensity_path(workspace.dataset, plan, case.identifier)
    written = path.stat().st_mtime_ns
    assert first_case(workspace).intensity == before
    assert path.stat().st_mtime_ns == written
    other = case.files.images[0].with_name("case_005_0000.nii.gz")
    case.files.images[0].write_bytes(other.read_bytes())
    assert first_case(workspace).intensity.mean != before.mean


def test_damaged_images_are_refused(workspace: Workspace):
    case = first_case(workspace)
    image = case.files.images[0]
    content = gzip.decompress(image.read_bytes())
    image.write_bytes(gzip.compress(content[: len(content) // 2]))
    with pytest.raises(UserError, match="cannot be read, it is damaged or cut short"):
        Intensity.of(workspace.dataset, case.plan, case.files)
    image.unlink()
    with pytest.raises(UserError, match="does not exist; put it back"):
        Intensity.of(workspace.dataset, case.plan, case.files)


def first_case(workspace: Workspace) -> OpenCase:
    return training_cases(
        raw_cases(workspace.dataset), workspace.dataset, workspace.plan("3d_fullres", "nnUNetPlans"), 0
    )[0].open()
