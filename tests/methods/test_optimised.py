"""Networks with an optimiser each: a step changes one of them, and what is saved is what is restored."""

import torch
from torch import nn

from nnunetv2_tf.methods.optimised import Optimised, falling_rate
from nnunetv2_tf.networks.saved import weights_of


class Two(Optimised):
    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.networks = {"G": nn.Linear(2, 1), "D": nn.Linear(2, 1)}
        self.optimizers = {name: torch.optim.Adam(one.parameters(), 0.1) for name, one in self.networks.items()}

    def go_on(self) -> None:
        for name, network in self.networks.items():
            self.descend(name, network(torch.ones(1, 2)).square().sum())


def weights(two: Two, name: str) -> torch.Tensor:
    return torch.cat([value.flatten() for value in weights_of(two.networks[name]).values()]).clone()


def test_a_step_is_of_one_network():
    two = Two(0)
    before = {name: weights(two, name) for name in ("G", "D")}
    two.descend("G", two.networks["G"](torch.ones(1, 2)).square().sum())
    assert not torch.equal(weights(two, "G"), before["G"])
    assert torch.equal(weights(two, "D"), before["D"])


def test_what_goes_on_from_a_state_comes_to_the_same(tmp_path):
    whole, other = Two(0), Two(1)
    whole.go_on()
    torch.save(whole.state(), tmp_path / "state")
    other.restore(torch.load(tmp_path / "state", weights_only=True))
    for two in (whole, other):
        two.go_on()
    assert all(torch.equal(weights(whole, name), weights(other, name)) for name in ("G", "D"))


def test_long_gradients_are_made_shorter_and_short_ones_are_not():
    """With plain descent at a rate of 1 a step is as long as the gradient."""
    for factor, clip, expected in ((100.0, 1.0, 1.0), (100.0, None, None), (1e-3, 1.0, None)):
        two = Two(0)
        two.optimizers = {name: torch.optim.SGD(one.parameters(), 1.0) for name, one in two.networks.items()}
        before = weights(two, "G")
        loss = factor * two.networks["G"](torch.ones(1, 2)).square().sum()
        gradient = torch.cat([one.flatten() for one in torch.autograd.grad(loss, [*two.networks["G"].parameters()])])
        two.descend("G", factor * two.networks["G"](torch.ones(1, 2)).square().sum(), clip)
        length = float((weights(two, "G") - before).norm())
        assert abs(length - (expected or float(gradient.norm()))) < 1e-4 * max(length, 1)


def test_the_rate_is_held_and_then_falls_evenly():
    assert [falling_rate(2.0, epoch, 8) for epoch in range(8)] == [2, 2, 2, 2, 2, 1.5, 1, 0.5]
    assert falling_rate(2.0, 0, 1) == 2
    two = Two(0)
    two.set_rate(0.0)
    before = {name: weights(two, name) for name in ("G", "D")}
    two.go_on()
    assert all(torch.equal(weights(two, name), before[name]) for name in ("G", "D"))
