"""What tumours take over from their donors: texture, and brightness by class."""

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.methods.base import Donor
from nnunetv2_tf.methods.tf_aug.coarse import anchored, coarse
from nnunetv2_tf.methods.tf_aug.donors import FEWEST, OWN, Terms, anchors, donors_texture, texture
from nnunetv2_tf.tumours.soft_map import shares_of
from tests.methods.tf_aug.test_coarse import CLASSES, SHAPE, donated, site

WHOLE = (slice(None),) * 3


def test_texture_is_what_a_tumour_differs_from_its_classes_means():
    """A slope in one class, and a step between two, of which only the slope is texture."""
    tumour = np.zeros(SHAPE, np.int16)
    tumour[4:16, 6:18, 4:11], tumour[4:16, 6:18, 11:18] = 1, 2
    slope = np.arange(SHAPE[1], dtype=np.float32)[:, None] - 11.5
    image = np.where(tumour == 2, 100, np.broadcast_to(slope, SHAPE))[None].astype(np.float32)
    for sigma in ((0.5, 0.5, 0.5), (0.0, 0.0, 0.0)):
        found = texture(image, tumour, sigma)[0]
        assert not found[tumour == 0].any()
        np.testing.assert_allclose(found[8:12, 8:16, 6:9], np.broadcast_to(slope[8:16], (4, 8, 3)), atol=0.01)
        np.testing.assert_allclose(found[8:12, 8:16, 13:16], 0, atol=0.01)


def test_texture_goes_on_where_the_map_is_larger_than_the_donors_tumour_and_fades():
    host = donated(site())
    (donor,) = host.donors
    smaller = torch.where(torch.from_numpy(np.indices(SHAPE)[1] < 14), donor.tumour, 0)
    known = torch.ones_like(donor.organ)
    host = replace(host, donors=(replace(donor, tumour=smaller, organ=known),))
    found = donors_texture(host, WHOLE, (0.0, 0.0, 0.0))
    own = texture(donor.image.numpy(), smaller.numpy(), (0.0, 0.0, 0.0))
    has = (smaller > 0).numpy()
    np.testing.assert_array_equal(found[:, has], own[:, has])
    beyond = (host.tumour.numpy() > 0) & ~has
    weight = gaussian_filter(has.astype(np.float32), 2.0)
    for channel in range(2):
        near = gaussian_filter(own[channel] * has, 2.0) / np.maximum(weight, 1e-3)
        np.testing.assert_allclose(found[channel][beyond], near[beyond], atol=1e-5)
    assert not found[:, ~has & ~beyond].any()


def test_where_classes_differ_the_first_donors_texture_counts():
    host = donated(site())
    (first,) = host.donors
    everywhere = torch.ones_like(first.organ)
    first = replace(first, tumour=torch.where(host.tumour > 0, 2, 0).to(torch.int16), organ=everywhere)
    second = replace(first, image=-first.image)
    found = donors_texture(replace(host, donors=(first, second)), WHOLE, (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(found, texture(first.image.numpy(), first.tumour.numpy(), (0.0, 0.0, 0.0)))


def terms(blurred: np.ndarray, detail: np.ndarray) -> Terms:
    shares = np.full((len(CLASSES), *SHAPE), 1 / len(CLASSES), np.float32)
    return Terms(blurred, blurred, shares, detail)


def test_classes_are_as_bright_as_their_donors_soft_edges_and_all():
    """The finished image is held against the donors', whatever the edges, a, detail and host."""
    host = donated(site())
    donor = replace(host.donors[0], organ=torch.ones_like(host.organ))
    host = replace(host, donors=(donor,))
    rng = np.random.default_rng(3)
    x_h, blurred, detail = rng.normal(size=(3, 2, *SHAPE)).astype(np.float32)
    shares = shares_of(host.tumour.numpy(), CLASSES, np.ones(SHAPE, bool), (0.4, 0.4, 0.4))
    given = Terms(x_h, blurred, shares, detail)
    found = torch.from_numpy(anchors(host, WHOLE, CLASSES, given, through_edges=True)).double()
    a, b = (torch.from_numpy(rng.random((len(CLASSES), 2)) + 0.5) for _ in range(2))
    host_, blurred_, shares_, detail_ = (torch.from_numpy(part).double() for part in (x_h, blurred, shares, detail))
    made = coarse(host_, blurred_, shares_, a, anchored(a, b, found), detail_).numpy()
    asked = 0
    for index, value in enumerate(CLASSES):
        here, there = host.tumour.numpy() == value, donor.tumour.numpy() == value
        if shares[index][here].mean() >= OWN:
            wanted = donor.image.numpy()[:, there].mean(axis=1)
            np.testing.assert_allclose(made[:, here].mean(axis=1), wanted, atol=1e-4)
            asked += 1
    assert asked > 0


def test_anchors_are_means_in_the_map_and_in_the_donors():
    host = donated(site())
    donor = replace(host.donors[0], organ=torch.ones_like(host.organ))
    second = Donor(donor.image * 3 + 1, donor.tumour, torch.where(donor.tumour == 2, 2, 0).to(torch.int16), donor.organ)
    host = replace(host, donors=(donor, second))
    rng = np.random.default_rng(2)
    blurred, detail = rng.normal(size=(2, 2, *SHAPE)).astype(np.float32)
    found = anchors(host, WHOLE, CLASSES, terms(blurred, detail), through_edges=False)
    placed = host.tumour.numpy()
    for index, value in enumerate(CLASSES):
        there = (donor.tumour.numpy() == value) & donor.organ.numpy()
        values = [donor.image.numpy()[:, there]]
        if value == 2:
            values.append(second.image.numpy()[:, there])
        here = placed == value
        np.testing.assert_allclose(found[index, :, 0], blurred[:, here].mean(axis=1), rtol=1e-4, atol=1e-5)
        wanted = np.concatenate(values, axis=1).mean(axis=1) - detail[:, here].mean(axis=1)
        np.testing.assert_allclose(found[index, :, 1], wanted, rtol=1e-4, atol=1e-5)


def test_a_class_of_which_there_is_too_little_has_no_anchor():
    host = donated(site())
    few = torch.zeros_like(host.tumour)
    few.view(-1)[torch.nonzero(host.tumour.reshape(-1) == 3)[: FEWEST - 1, 0]] = 3
    nothing = terms(*np.zeros((2, 2, *SHAPE), np.float32))
    (donor,) = host.donors
    by_donor = anchors(
        replace(host, donors=(replace(donor, tumour=few, organ=torch.ones_like(donor.organ)),)),
        WHOLE, CLASSES, nothing, True,
    )  # fmt: skip
    assert np.isnan(by_donor).all()
    by_map = anchors(replace(host, tumour=few), WHOLE, CLASSES, nothing, True)
    assert np.isnan(by_map).all()
    assert np.isnan(anchors(replace(host, donors=()), WHOLE, CLASSES, nothing, True)).all()
