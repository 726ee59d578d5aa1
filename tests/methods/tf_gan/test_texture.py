"""How alike textures are: against scipy, and by what it teaches."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from nnunetv2_tf.methods.tf_gan.texture import (
    PATCHES,
    VOXELS,
    RecentPatches,
    Texture,
    class_voxels,
    patch_distance,
    sliced_distance,
)
from nnunetv2_tf.training.distributed import Team
from tests.methods.tf_gan.examples import SIZE, ball

CPU = torch.device("cpu")


def test_the_distance_against_scipy():
    rng = np.random.default_rng(0)
    some, others = rng.normal(size=(50, 4)), rng.normal(0.5, 2.0, size=(50, 4))
    directions = rng.normal(size=(4, 6))
    directions /= np.linalg.norm(directions, axis=0)
    expected = np.mean([wasserstein_distance(some @ one, others @ one) for one in directions.T])
    found = sliced_distance(*map(torch.from_numpy, (some, others, directions)))
    assert float(found) == pytest.approx(expected)


def test_voxels_are_of_their_class():
    """Also at half the resolution, where a voxel is of the class that most of it is."""
    tumour = torch.from_numpy(np.where(ball(3), 1, np.where(ball(6), 2, 0)))[None]
    for step in (1, 2):
        places = torch.from_numpy(np.indices(SIZE)).float()[None, :, ::step, ::step, ::step]
        voxels, present = class_voxels(places, tumour, (1, 2, 3), [np.random.default_rng(0)])
        assert voxels.shape == (1, 3, VOXELS, 3)
        assert present.tolist() == [[True, True, False]]
        for index, (low, high) in enumerate(((0, 3.5), (2.0, 7.0))):
            radius = (voxels[0, index] + (step - 1) / 2 - 7.5).norm(dim=1)
            assert low <= float(radius.min()) <= float(radius.max()) <= high
        assert not voxels[0, 2].any()


def test_the_last_patches_are_kept():
    lately = RecentPatches(torch.zeros(3, 1, 1))
    for value in range(5):
        lately.add(torch.full((1, 1, 1), float(value)))
    assert lately.joined(torch.full((1, 1, 1), 9.0)).flatten().tolist() == [9.0, 4.0, 3.0]
    assert lately.joined(torch.zeros(0, 1, 1)).flatten().tolist() == [4.0, 3.0, 2.0]


def test_patches_that_differ_too_little_cannot_make_up_for_it_inside():
    """Real patches differ by 1 and vary by 1; made ones are all alike. They come nearest when they vary by 1, too."""
    rng = np.random.default_rng(0)
    directions = torch.eye(1, dtype=torch.float64)
    real = torch.from_numpy(rng.normal(size=(64, 1, 1)) + rng.normal(size=(64, VOXELS, 1)))
    noise = torch.from_numpy(rng.normal(size=(64, VOXELS, 1)))
    found = {sd: float(patch_distance(noise * sd + real.mean(), real, directions)) for sd in (0.7, 1.0, 2**0.5)}
    assert found[1.0] < min(found[0.7], found[2**0.5]) / 4
    shifted = float(patch_distance(noise + real.mean() + 0.5, real, directions))
    assert shifted == pytest.approx(found[1.0] + 0.5, abs=0.02)


def steps(texture: Texture, shift: torch.Tensor, number: int, sd: float = 1.0, seed: int = 0) -> torch.Tensor:
    """Distances of noise to noise that is shifted, in single patches that differ by twice the noise."""
    rng, found = np.random.default_rng(seed), torch.zeros(())
    tumour = torch.from_numpy(np.where(ball(6), 1, 0))[None]
    for step in range(number):
        own = rng.normal(scale=2.0, size=2)  # of a patient
        real, made = (torch.from_numpy((rng.normal(size=(1, 2, *SIZE)) + value).astype(np.float32)) for value in own)
        made = made * sd + shift
        found = texture.distance({"real": [real], "made": [made]}, {"real": tumour, "made": tumour}, [step], [0])
    return found


def test_tumours_are_compared_as_a_whole_not_one_by_one():
    """Patients differ from one another; what counts is that they do so alike on both sides."""
    one = [float(steps(Texture((1,), (2,), CPU, Team()), torch.zeros(()), 1, seed=seed)) for seed in range(8)]
    alike = float(steps(Texture((1,), (2,), CPU, Team()), torch.zeros(()), 40))
    shifted = float(steps(Texture((1,), (2,), CPU, Team()), torch.ones(()) * 2, 40))
    coarse = float(steps(Texture((1,), (2,), CPU, Team()), torch.zeros(()), 40, sd=3.0))
    assert np.mean(one) > 2 * alike
    assert shifted > 3 * alike
    assert coarse > 1.5 * alike


def test_what_it_teaches():
    """To be less bright, where all made ones were brighter; as strongly with a full memory as with an empty one."""
    sizes = []
    for number in (1, PATCHES + 3):
        shift = torch.tensor(5.0, requires_grad=True)
        (slope,) = torch.autograd.grad(steps(Texture((1,), (2,), CPU, Team()), shift, number), shift)
        assert float(slope) > 0
        sizes.append(float(slope))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.5)


def test_without_a_class_there_is_nothing_to_compare():
    texture, empty = Texture((1, 2), (2,), CPU, Team()), torch.zeros(1, *SIZE)
    features = torch.ones(1, 2, *SIZE, requires_grad=True)
    sides = {"real": [features], "made": [features]}
    assert float(texture.distance(sides, {"real": empty, "made": empty}, [0], [0])) == 0


def test_its_memory_is_part_of_a_checkpoint():
    one, other = Texture((1,), (2,), CPU, Team()), Texture((1,), (2,), CPU, Team())
    steps(one, torch.zeros(()), 5)
    other.restore(one.state())
    shift = torch.ones(())
    assert torch.equal(steps(one, shift, 1), steps(other, shift, 1))
