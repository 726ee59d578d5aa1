"""SynTumor: brightness of classes, edges and the radial warp."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, map_coordinates

from nnunetv2_tf.methods.base import Donor, Edited, Site
from nnunetv2_tf.methods.syntumor import PRESETS, SynTumor, SynTumorConfig, swollen
from nnunetv2_tf.tumours.warp import radius_of

SHAPE, SPACING = (36, 40, 38), (1.0, 1.0, 1.0)


def ball(centre, radius: float) -> np.ndarray:
    return np.linalg.norm(np.indices(SHAPE) - np.reshape(centre, (3, 1, 1, 1)), axis=0) < radius


def site(means: dict[int, tuple[float, ...]] | None = None) -> Site:
    """Two channels of grainy tissue, a core (1) in edema (2), and how bright these are to be, if that is known."""
    rng = np.random.default_rng(0)
    organ = ball((18, 20, 19), 17)
    image = np.where(organ, rng.normal(1.0, 0.2, (2, *SHAPE)), 0).astype(np.float32)
    tumour = np.select([ball((18, 20, 14), 5), ball((18, 20, 14), 10)], [1, 2]).astype(np.int16)
    painted, donors = np.zeros((2, *SHAPE), np.float32), ()
    for value, of_class in (means or {}).items():
        painted[:, tumour == value] = np.array(of_class)[:, None]
    if means:
        donors = (Donor(*map(torch.from_numpy, (painted, tumour, tumour, np.isin(tumour, list(means))))),)
    inside, label = torch.from_numpy(organ), torch.zeros(SHAPE, dtype=torch.int16)
    label[18, 20, 34] = 7
    return Site(torch.from_numpy(image), label, inside, torch.from_numpy(tumour), donors, SPACING, inside, 9)


def edited(before: Site, config: SynTumorConfig = PRESETS["default"], seed: int = 0) -> Edited:
    (result,) = SynTumor(config, torch.device("cpu"), {}).edit([before], [np.random.default_rng(seed)])
    return result


def test_classes_come_to_be_as_bright_as_their_donors():
    wanted = {1: (-1.0, 2.0), 2: (0.3, 1.5)}
    before = site(wanted)
    results = [edited(before, seed=seed).image.numpy() for seed in range(8)]
    inner = np.asarray(distance_transform_edt(before.tumour.numpy() == 1)) > 3  # edges are soft
    for channel in range(2):
        found = np.mean([image[channel][inner].mean() for image in results])
        assert found == pytest.approx(wanted[1][channel], abs=0.2)
    assert edited(before).label[18, 20, 34] == 7
    assert torch.equal(edited(before).label[before.tumour > 0], before.tumour[before.tumour > 0])


def test_without_any_labelled_tumour_it_is_darker_by_what_is_said():
    before, config = site(), replace(PRESETS["default"], darker=(0.5, 0.5))
    core = np.asarray(distance_transform_edt(before.tumour.numpy() == 1)) > 2
    step = np.mean([(edited(before, config, seed).image - before.image).numpy()[:, core].mean() for seed in range(8)])
    assert step == pytest.approx(-0.5, abs=0.1)


def test_edges_are_soft_and_the_hosts_grain_stays():
    before = site({1: (0.0, 0.0), 2: (0.0, 0.0)})
    result = edited(before).image.numpy()
    change = np.abs(result - before.image.numpy())[0]
    distance = np.asarray(distance_transform_edt(before.tumour.numpy() == 0))
    depth = np.asarray(distance_transform_edt(before.tumour.numpy() > 0))
    organ = before.organ.numpy()
    steps = [change[(distance > low) & (distance <= low + 1) & organ].mean() for low in range(4)]
    assert change[depth > 4].mean() > steps[0] > steps[1] > steps[2] > steps[3]
    assert change[organ & (distance > 9)].max() == 0
    assert not change[~organ].any()
    grain = [np.diff(image[0], axis=0)[(depth > 4)[1:]].std() for image in (result, before.image.numpy())]
    assert grain[0] == pytest.approx(grain[1], rel=0.1)


def test_the_radial_warp_against_a_loop():
    before = site()
    tumour, organ = before.tumour.numpy() > 0, before.organ.numpy()
    image = np.add.reduce(np.indices(SHAPE) * np.reshape([1.0, 2.0, -0.5], (3, 1, 1, 1)))[None].astype(np.float32)
    found = swollen(image, tumour, organ, SPACING, 0.3)[0]
    centre, reach = np.argwhere(tumour).mean(axis=0), 1.3 * radius_of(tumour.sum() / 1000)
    for place in np.random.default_rng(0).permutation(np.argwhere(np.ones(SHAPE)))[:4000]:
        away = place - centre
        source = place - away * 0.3 * max(1 - (away**2).sum() / reach**2, 0)
        moves = (away**2).sum() < reach**2 and organ[tuple(place)] and organ[tuple(np.rint(source).astype(int))]
        expected = map_coordinates(image[0], source[:, None], order=1)[0] if moves else image[0][tuple(place)]
        assert found[tuple(place)] == pytest.approx(expected, abs=1e-3)


def test_paper_pushes_tissue_aside_and_the_default_leaves_that_to_growth():
    before = site({1: (1.0, 1.0), 2: (1.0, 1.0)})
    far = np.asarray(distance_transform_edt(before.tumour.numpy() == 0)) > 0
    beyond = {name: edited(before, config).reach_mm for name, config in PRESETS.items()}
    assert beyond == {"paper": None, "default": 6.0}
    change = (edited(before, PRESETS["paper"]).image - before.image).abs().numpy()[0]
    assert change[far & before.organ.numpy()].max() > 0.1
