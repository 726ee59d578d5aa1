import numpy as np
import pytest

from nnunetv2_tf.baseline.encoder import crop_size
from nnunetv2_tf.geometry.boxes import box_around, centre_of, cut, overlap, reached_by_cuts


def test_sizes_are_what_encoders_can_halve():
    assert crop_size((56, 72, 57)) == (56, 72, 64)


@pytest.mark.parametrize("seed", range(20))
def test_a_part_is_that_of_a_padded_volume(seed):
    """Whatever the sizes: as large as asked for, around the place as far as the volume goes, zeros beyond."""
    rng = np.random.default_rng(seed)
    volume = rng.integers(1, 9, size=(2, *rng.integers(4, 12, 3)))
    size, centre = rng.integers(4, 12, 3), [rng.integers(0, n) for n in volume.shape[1:]]
    part = cut(volume, np.array(centre), size.tolist())
    assert part.shape == (2, *size)
    for axis in range(3):
        n, m = volume.shape[axis + 1], size[axis]
        if n <= m:
            assert (part.sum(axis=0).any(axis=tuple({0, 1, 2} - {axis}))).sum() == n  # all of it is there
        else:
            assert part.sum(axis=0).any(axis=tuple({0, 1, 2} - {axis})).all()  # and nothing besides
    starts = [0 if n <= m else int(np.clip(c - m // 2, 0, n - m)) for c, n, m in
              zip(centre, volume.shape[1:], size, strict=True)]  # fmt: skip
    inner = volume[(slice(None), *(slice(s, s + m) for s, m in zip(starts, size, strict=True)))]
    assert part.sum() == inner.sum()


def test_the_middle_of_a_map():
    tumour = np.zeros((9, 9, 9))
    tumour[2:5, 1:8, 6] = 2
    np.testing.assert_array_equal(centre_of(tumour), [3, 4, 6])


def test_the_box_holds_the_tumour_and_a_margin_within_the_grid():
    tumour = np.zeros((10, 12, 14), np.int16)
    tumour[3:5, 0:2, 9:13] = 1
    assert box_around(tumour > 0, (2, 2, 2)) == (slice(1, 7), slice(0, 4), slice(7, 14))


@pytest.mark.parametrize("start", [(-2, 3, 8), (-9, 0, 0), (12, 0, 0)])
def test_boxes_overlap_where_both_are(start):
    whole, box = np.zeros((10, 10, 10), int), np.arange(1, 61).reshape(5, 4, 3)
    there, own = overlap(start, box.shape, whole.shape)
    whole[there] = box[own]
    for index in np.ndindex(*box.shape):
        place = np.add(start, index)
        if (place >= 0).all() and (place < 10).all():
            assert whole[tuple(place)] == box[index]
            whole[tuple(place)] = 0
    assert not whole.any()


@pytest.mark.parametrize("whole", [(30, 20, 12), (9, 40, 16)])
def test_cuts_from_the_box_they_reach_are_those_from_the_whole(whole):
    rng = np.random.default_rng(0)
    size, jitter = (12, 10, 16), np.array([3, 2, 4])
    volume = rng.normal(size=whole)
    for _ in range(200):
        centre = rng.integers(whole)
        box = reached_by_cuts(whole, centre, size, jitter)
        part, there = volume[box], centre - [along.start for along in box]
        assert (np.array(part.shape) <= size + 2 * jitter).all()
        shift = rng.integers(-jitter, jitter + 1)
        np.testing.assert_array_equal(cut(part, there + shift, size), cut(volume, centre + shift, size))


def test_the_centre_of_several_pieces_is_that_of_the_largest():
    """Between two tumours there may be none."""
    tumour = np.zeros((30, 20, 20), np.int16)
    tumour[2:5, 4:7, 4:7] = 1
    assert centre_of(tumour).tolist() == [3, 5, 5]
    tumour[20:28, 10:16, 2:12] = 2
    assert centre_of(tumour).tolist() == [24, 13, 7]
