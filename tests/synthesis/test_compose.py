"""compose: what is not edited comes back bit for bit; what is edited comes back as the formula says."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.methods.base import Edited, Site
from nnunetv2_tf.standin.brains import Brains
from nnunetv2_tf.synthesis.compose import compose
from nnunetv2_tf.synthesis.native_volume import read_volume
from nnunetv2_tf.synthesis.site_builder import UnusableLineError
from tests.conftest import enter
from tests.scenes import LPS, SAME_GRID, Builder, Built, Scene

SLA = (0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0)
REORIENT = {"overwrite_image_reader_writer": "NibabelIOWithReorient"}
HOSTS = {
    f"{kind.__name__}, {turn}, {spacing} mm, {'reoriented' if extra else 'as stored'}": (
        kind,
        direction,
        spacing,
        extra,
    )
    for kind in (np.int16, np.float32, np.uint8)
    for turn, direction in (("RAS", None), ("LPS", LPS), ("SLA", SLA))
    for spacing in (1.0, 1.6)
    for extra in ({}, REORIENT)
}


class Stored(Brains):
    """Brains that are stored as another type."""

    kind_of_file: type = np.int16

    def write(self, array, path):
        super().write(array.astype(self.kind_of_file) if "imagesTr" in str(path) else array, path)


def site_of(built: Built, host: int = 0, donor: int = 1) -> Site:
    task = built.task(host, donor, "carvemix")
    return task.site_builder.build(task.host.open(), with_donors=False).site


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.exhaustive if "uint8" in name else ()) for name in HOSTS]
)
def test_an_edit_of_nothing_but_one_voxel_leaves_all_others(name, build_scene: Builder, monkeypatch, tmp_path):
    """An unedited case is its host, bit for bit, whatever its type, orientation and resampling."""
    kind, direction, spacing, extra = HOSTS[name]
    cohort = Stored() if direction is None else Stored(direction=direction)
    monkeypatch.setattr(Stored, "kind_of_file", kind)
    built = build_scene(Scene(cohort, spacing=(spacing, spacing, spacing), extra=extra, num_cases=3))
    enter(built.workspace, monkeypatch)
    case, site = built.cases[0], site_of(built)
    with pytest.raises(UnusableLineError, match="nothing of the tumour is left on case_000"):
        compose(case, site, Edited(site.image, site.label, 6.0))
    label = site.label.clone()
    voxel = tuple((site.organ & (site.label == 0)).nonzero()[100].tolist())
    region = torch.zeros_like(site.organ)
    around = tuple(slice(max(0, index - 1), index + 2) for index in voxel)
    label[around], region[around] = 1, True
    composed = compose(case, site, Edited(site.image, label, None, region & site.organ))
    composed.write(tmp_path, "made", ".nii.gz")
    host = gzip.decompress(case.files.images[0].read_bytes())
    assert gzip.decompress((tmp_path / "imagesTr" / "made_0000.nii.gz").read_bytes()) == host
    before, after = (
        read_volume(path, "NibabelIO") for path in (case.files.label, tmp_path / "labelsTr" / "made.nii.gz")
    )
    changed = np.argwhere(before.file_voxels != after.file_voxels)
    assert 0 < len(changed) <= 27 * spacing**3 * 1.5
    assert np.ptp(changed, axis=0).max() <= 4 * spacing


@pytest.mark.parametrize("scene", [name for name in SAME_GRID if "gas" not in name], indirect=True)
@pytest.mark.parametrize("reach", [0.0, 2.5, 6.0, None])
def test_the_formula_on_the_hosts_own_grid(scene: Built, reach):
    """native = host + sd * w * (z_edited - z_host), by hand, voxel by voxel."""
    case, site = scene.cases[0], site_of(scene)
    delta = torch.from_numpy(np.random.default_rng(0).normal(0.6, 0.2, site.image.shape).astype(np.float32))
    label = torch.where(site.tumour > 0, site.tumour, site.label)
    composed = compose(case, site, Edited(site.image + delta, label, reach))
    tumour, organ = (site.tumour > 0).numpy(), site.organ.numpy()
    distance = np.asarray(distance_transform_edt(~tumour, sampling=case.grid.native_spacing))
    weight = np.ones(tumour.shape)
    if reach is not None:
        ratio = np.minimum(distance / reach, 1) if reach else (distance > 0).astype(float)
        weight = (1 + np.cos(np.pi * ratio)) / 2
    axes = case.plan.plans_manager.transpose_forward
    crop = tuple(slice(a, a + size) for a, size in zip(case.grid.start, case.grid.cropped, strict=True))
    reader = case.plan.plans["image_reader_writer"]
    for channel, (path, volume) in enumerate(zip(case.files.images, composed.images, strict=True)):
        host = read_volume(path, reader).file_voxels.transpose(axes)[crop].astype(float)
        seen = np.clip(host, -150, 250) if case.plan.manager.normalization_schemes[0] == "CTNormalization" else host
        expected = host + weight * (seen - host + case.intensity.sd[channel] * delta[channel].numpy()) * organ
        limited = np.maximum(np.rint(expected), 1) if case.has_background else np.rint(expected)
        edited = organ & (weight > 1e-6)
        made = volume.file_voxels.transpose(axes)[crop]
        assert np.abs(made[edited] - limited[edited]).max() <= 1  # float32 against float64, at .5
        assert (made != limited)[edited].mean() < 0.01
        np.testing.assert_array_equal(made[~edited], host[~edited])
    own = read_volume(case.files.label, reader).file_voxels.transpose(axes)[crop]
    made = composed.label.file_voxels.transpose(axes)[crop]
    np.testing.assert_array_equal(made, np.where(tumour & organ, site.tumour.numpy(), own))


def test_dark_edits_stay_above_zero(scene: Built):
    case, site = scene.cases[0], site_of(scene)
    label = torch.where(site.tumour > 0, site.tumour, site.label)
    composed = compose(case, site, Edited(site.image - 50, label, None))
    host = read_volume(case.files.images[0], "SimpleITKIO").file_voxels
    made = composed.images[0].file_voxels
    np.testing.assert_array_equal(made == 0, host == 0)
    assert made.min() == 0
    assert (made[host > 0] == 1).all()


def test_a_healthy_hosts_organ_is_nothing_in_the_target(scene: Built):
    """Own label values become the target's, also where nothing is edited."""
    case = replace(scene.cases[0], numbering={1: 0, 2: 0, 3: 0})
    site = replace(site_of(scene), label=torch.from_numpy(case.label()))
    assert not site.label.any()
    composed = compose(case, site, Edited(site.image, site.tumour, 0.0))
    assert (composed.label.file_voxels > 0).sum() == (site.tumour > 0).sum()


def test_labels_that_do_not_fit_are_refused(scene: Built):
    case, site = scene.cases[0], site_of(scene)
    with pytest.raises(UserError, match="case_000.nii.gz is stored as uint8, which cannot hold"):
        compose(case, site, Edited(site.image, torch.where(site.tumour > 0, 300, site.label.int()).short(), 0.0))
