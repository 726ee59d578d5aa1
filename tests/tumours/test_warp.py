"""Where a transformed tumour comes to lie, against the same said point by point."""

import numpy as np
import pytest

from nnunetv2_tf.geometry.boxes import box_from
from nnunetv2_tf.tumours.bank import cut_out
from nnunetv2_tf.tumours.recipe import DonorTumour
from nnunetv2_tf.tumours.warp import PULL, WIDEST, _field, forward, radius_of, warp_to_grid, warp_tumour
from tests.tumours.hosts import GRID, MIDLINE, SHAPE, ball, lesion_map

LESION = cut_out("case", lesion_map((20, 24, 30), 6), GRID)


def on_grid(tumour: DonorTumour, grid: np.ndarray = GRID, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    box, label = warp_tumour(tumour, LESION, MIDLINE, grid).cut_to(shape)
    whole = np.zeros(shape, np.int16)
    whole[box] = label
    return whole


def test_untransformed_is_bit_for_bit_the_lesion():
    np.testing.assert_array_equal(on_grid(DonorTumour("case")), lesion_map((20, 24, 30), 6))


def test_a_shift_in_millimetres_and_a_flip_at_the_midline():
    shifted = on_grid(DonorTumour("case", shift=(6.0, -9.0, 3.0)))  # Z, Y, X
    np.testing.assert_array_equal(shifted, np.roll(lesion_map((20, 24, 30), 6), (2, -3, 1), (0, 1, 2)))
    flipped = on_grid(DonorTumour("case", flip=True))
    np.testing.assert_array_equal(flipped[:, :, 1:], lesion_map((20, 24, 30), 6)[:, :, :0:-1])  # x = 0 is voxel 22


@pytest.mark.parametrize("scale", [0.7, 1.3])
def test_a_scale_is_one_of_lengths(scale):
    grown = on_grid(DonorTumour("case", scale=(scale,) * 3))
    for value in (1, 2, 3):
        assert (grown == value).sum() == pytest.approx((LESION.label == value).sum() * scale**3, rel=0.25)
    whole = np.argwhere(grown > 0).mean(axis=0)
    np.testing.assert_allclose(whole, (20, 24, 30), atol=0.05)


def test_any_transform_against_the_points_one_by_one():
    """Class of a voxel is that of the lesion's voxel it comes from, wherever the neighbours agree."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        tumour = DonorTumour(
            "case", scale=tuple(rng.uniform(0.8, 1.2, 3)), rotation=tuple(rng.uniform(-40, 40, 3)),
            flip=bool(rng.random() < 0.5), shift=tuple(rng.uniform(-10, 10, 3)),
        )  # fmt: skip
        label = on_grid(tumour)
        back = np.linalg.inv(GRID) @ np.linalg.inv(forward(tumour, LESION, MIDLINE)) @ GRID
        places = np.indices(SHAPE).reshape(3, -1)
        sources = np.rint(back[:3, :3] @ places + back[:3, 3:]).astype(int)
        inside = ((sources >= 0) & (sources < np.reshape(SHAPE, (3, 1)))).all(axis=0)
        expected = np.zeros(places.shape[1], np.int16)
        expected[inside] = lesion_map((20, 24, 30), 6)[tuple(sources[:, inside])]
        assert (label.ravel() == expected).mean() > 0.985
        overlap = 2 * ((label.ravel() > 0) & (expected > 0)).sum() / ((label > 0).sum() + (expected > 0).sum())
        assert overlap > 0.93


@pytest.mark.parametrize(
    ("tumour", "point", "expected"),
    [
        (DonorTumour("case", rotation=(90.0, 0.0, 0.0)), (0, 10, 0), (-10, 0, 0)),  # about Z: y goes to -x
        (DonorTumour("case", rotation=(0.0, 90.0, 0.0)), (0, 0, 10), (10, 0, 0)),  # about Y: z goes to x
        (DonorTumour("case", rotation=(0.0, 0.0, 90.0)), (0, 10, 0), (0, 0, 10)),  # about X: y goes to z
        (DonorTumour("case", rotation=(90.0, 0.0, 90.0)), (10, 0, 0), (0, 0, 10)),  # Z first: x to y, then y to z
        (DonorTumour("case", scale=(2.0, 1.0, 1.0)), (3, 4, 5), (3, 4, 10)),  # Z, Y, X
        (DonorTumour("case", scale=(1.0, 1.0, 3.0)), (3, 4, 5), (9, 4, 5)),
        (
            DonorTumour("case", scale=(1.0, 2.0, 1.0), rotation=(90.0, 0.0, 0.0)),
            (0, 5, 0),
            (-10, 0, 0),
        ),  # scaled, then turned
        (DonorTumour("case", shift=(1.0, 2.0, 3.0)), (0, 0, 0), (3, 2, 1)),
    ],
)
def test_axes_and_their_order_by_hand(tumour, point, expected):
    """Points (x, y, z) are seen from the lesion's centre."""
    way = forward(tumour, LESION, MIDLINE)
    moved = way[:3, :3] @ (LESION.centre + point) + way[:3, 3] - LESION.centre
    np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_a_mirrored_tumour_turns_about_its_mirrored_centre():
    way = forward(DonorTumour("case", flip=True, rotation=(90.0, 0.0, 0.0)), LESION, midline=5.0)
    centre = np.add(LESION.centre * (-1, 1, 1), (10, 0, 0))
    np.testing.assert_allclose(way[:3, :3] @ LESION.centre + way[:3, 3], centre, atol=1e-9)
    beside = np.add(LESION.centre, (10, 0, 0))
    np.testing.assert_allclose(way[:3, :3] @ beside + way[:3, 3], np.add(centre, (0, -10, 0)), atol=1e-9)


def test_the_field_is_as_strong_as_it_says():
    shape = np.array([70, 70, 70])
    field = _field(shape, box_from((0, 0, 0), shape), np.ones(3), 20.0, np.random.default_rng(0))
    part = box_from((10, 0, 69), (40, 70, 70))
    cut = _field(shape, part, np.ones(3), 20.0, np.random.default_rng(0))
    np.testing.assert_allclose(cut, field[(slice(None), *part)], atol=1e-5)
    assert field.std() == pytest.approx(PULL * 20, rel=0.15)
    assert np.abs(field).max() <= WIDEST * PULL * 20 + 1e-4
    steps = max(float(np.abs(np.diff(field[0], axis=axis)).max()) for axis in range(3))
    assert steps < 0.6  # of a voxel per voxel: nothing folds


def test_rotation_keeps_the_volume_and_turns_about_the_centre():
    """A long lesion along Y lies along X after a quarter turn about Z."""
    label = np.zeros(SHAPE, np.int16)
    label[20, 14:35, 22] = 2
    lesion = cut_out("long", label, GRID)
    box, turned = warp_tumour(DonorTumour("long", rotation=(90.0, 0.0, 0.0)), lesion, MIDLINE, GRID).cut_to(SHAPE)
    spread = np.ptp(np.argwhere(turned > 0), axis=0)
    assert spread.tolist() == [0, 0, 20]
    np.testing.assert_allclose(np.argwhere(turned > 0).mean(axis=0) + [part.start for part in box], (20, 24, 22))


def test_elastic_changes_the_shape_and_neither_place_nor_size_by_much():
    plain = lesion_map((20, 24, 30), 6) > 0
    radius = radius_of(LESION.volume) / 3  # voxels
    for seed in range(20):
        elastic = on_grid(DonorTumour("case", elastic_seed=seed)) > 0
        np.testing.assert_array_equal(elastic, on_grid(DonorTumour("case", elastic_seed=seed)) > 0)
        assert 0.6 < elastic.sum() / plain.sum() < 1.6
        assert np.linalg.norm(np.argwhere(elastic).mean(axis=0) - (20, 24, 30)) < 0.3 * radius
        dice = 2 * (elastic & plain).sum() / (elastic.sum() + plain.sum())
        assert 0.7 < dice < 0.995
        assert not (elastic & ~ball((20, 24, 30), 1.35 * 6 + 1)).any()


def test_a_box_by_the_tumours_outline_holds_all_of_it(monkeypatch):
    """The map is that of the box around the whole of the donor's box."""
    rng, tumours = np.random.default_rng(0), []
    for seed in range(10):
        scale, turn = rng.uniform(0.7, 1.3, 3), rng.uniform(-40, 40, 3)
        tumours.append(DonorTumour("case", scale=tuple(scale), rotation=tuple(turn), elastic_seed=seed))
    tight = [warp_tumour(tumour, LESION, MIDLINE, GRID) for tumour in tumours]
    grids = [on_grid(tumour) for tumour in tumours]
    everything = np.argwhere(np.ones(LESION.label.shape, bool))
    monkeypatch.setitem(vars(LESION), "outline", everything)
    for tumour, before, expected in zip(tumours, tight, grids, strict=True):
        wide = warp_tumour(tumour, LESION, MIDLINE, GRID)
        assert wide.label.size > before.label.size
        assert (wide.label > 0).sum() == (before.label > 0).sum()
        np.testing.assert_array_equal(on_grid(tumour), expected)


def test_other_grids_show_the_same_tumour_in_the_same_place():
    fine = GRID.copy()
    fine[:3, :3] /= 2
    tumour = DonorTumour("case", scale=(1.1, 0.9, 1.0), rotation=(10.0, 5.0, -8.0), shift=(3.0, 0.0, -6.0))
    coarse, finer = on_grid(tumour), on_grid(tumour, fine, tuple(2 * size for size in SHAPE))
    assert (finer > 0).sum() / 8 == pytest.approx((coarse > 0).sum(), rel=0.05)
    np.testing.assert_allclose(np.argwhere(finer > 0).mean(axis=0) / 2, np.argwhere(coarse > 0).mean(axis=0), atol=0.1)


def test_what_sticks_out_of_the_grid_is_cut():
    moved = warp_tumour(DonorTumour("case", shift=(0.0, 0.0, 45.0)), LESION, MIDLINE, GRID)
    box, label = moved.cut_to(SHAPE)
    assert box[2].stop == SHAPE[2]
    assert 0 < (label > 0).sum() < (moved.label > 0).sum()
    far = warp_tumour(DonorTumour("case", shift=(0.0, 0.0, 900.0)), LESION, MIDLINE, GRID).cut_to(SHAPE)[1]
    assert far.size == 0


@pytest.mark.parametrize("elastic_seed", [None, 3])
def test_an_image_goes_the_way_of_its_map(elastic_seed):
    """An image that is a slope in the lesion's own voxels tells where each voxel comes from; so does the map."""
    tumour = DonorTumour(
        "case", scale=(1.1, 0.9, 1.2), rotation=(20.0, -10.0, 5.0), flip=True, shift=(4.0, 2.0, -5.0),
        elastic_seed=elastic_seed,
    )  # fmt: skip
    course = warp_to_grid(tumour, LESION, MIDLINE, GRID)
    warped = warp_tumour(tumour, LESION, MIDLINE, GRID)
    everywhere, inside = np.indices(LESION.label.shape).astype(np.float32), np.ones(LESION.label.shape, bool)
    sources, known = course.seen(everywhere, inside, warped.label > 0)
    assert not sources[:, warped.label == 0].any()
    assert not known[warped.label == 0].any()
    assert known[warped.label > 0].all()
    np.testing.assert_array_equal(warped.warp.start, course.start)
    at = tuple(np.rint(sources[:, warped.label > 0]).astype(int))
    agree = LESION.label[at] == warped.label[warped.label > 0]
    assert agree.mean() > 0.9  # else two classes are as near
    assert not course.seen(everywhere, inside, np.ones(warped.label.shape, bool))[1].all()
    if elastic_seed is None:
        back = np.linalg.inv(GRID) @ np.linalg.inv(forward(tumour, LESION, MIDLINE)) @ GRID
        place = np.argwhere(warped.label > 0)[7]
        there = back[:3, :3] @ (place + warped.warp.start) + back[:3, 3] - LESION.start
        np.testing.assert_allclose(sources[(slice(None), *place)], there, atol=1e-3)
