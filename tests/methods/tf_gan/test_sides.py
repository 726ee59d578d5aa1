"""Both sides of a batch, augmented."""

import torch

from nnunetv2_tf.methods.tf_gan.sides import both_sides, real_side
from tests.methods.tf_gan.examples import SPACING, batch

CPU = torch.device("cpu")


def test_what_comes_in_from_beyond_a_turned_patch_is_far_from_any_tumour():
    """Or the discriminator would see it, and the generator change it."""
    one = batch()
    for name in ("distance", "real_distance"):
        one[name][:] = 9.0
    for seed in range(10):
        fake, real = both_sides(one, CPU, SPACING, [seed])
        assert min(float(side.distance.min()) for side in (fake, real)) > 8.99


def test_a_patch_is_moved_alike_wherever_it_is_in_a_batch():
    """By its place in the whole batch, whichever process has it; all of its volumes together."""
    one = batch()
    last = {name: value[1:] for name, value in one.items()}
    for seed in range(4):
        whole, part = both_sides(one, CPU, SPACING, [seed]), both_sides(last, CPU, SPACING, [seed])
        for side, same in zip(whole, part, strict=True):
            for name, value in vars(same).items():
                assert torch.equal(getattr(side, name)[1:], value), name
        fake, real = whole
        assert torch.equal(real.image, real_side(one, CPU, SPACING, [seed]).image)
        inside = fake.tumour > 0
        assert not fake.distance[inside & (fake.distance < 900)].numpy().max(initial=0) > 2  # mm: nearest and linear
    assert not torch.equal(whole[0].host, one["host"])


def test_nothing_is_moved_without_a_seed():
    one = batch()
    fake, real = both_sides(one, CPU, SPACING, None)
    assert torch.equal(fake.coarse, one["coarse"])
    assert torch.equal(real.tumour, one["real_tumour"])
