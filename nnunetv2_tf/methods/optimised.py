"""Networks that each have an optimiser. In: losses, checkpoints. Out: networks a step further, states to go on from."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from nnunetv2_tf.networks.saved import load_weights, weights_of


class Optimised:
    """Base of what trains several networks, each by the optimiser of its name."""

    networks: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]

    def descend(self, name: str, loss: Tensor, clip: float | None = None) -> None:
        """Do a step of one network's optimiser; gradients are made shorter where their norm is above `clip`."""
        self.optimizers[name].zero_grad()
        loss.backward()
        if clip is not None:
            clip_grad_norm_(self.networks[name].parameters(), clip)
        self.optimizers[name].step()

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of all of them."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """Return the weights and the states of the optimisers."""
        optimizers = {f"optimizer {name}": one.state_dict() for name, one in self.optimizers.items()}
        return {**{name: weights_of(network) for name, network in self.networks.items()}, **optimizers}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load what `state()` returned."""
        for name, network in self.networks.items():
            load_weights(network, state[name])
            self.optimizers[name].load_state_dict(state[f"optimizer {name}"])


def falling_rate(rate: float, epoch: int, epochs: int) -> float:
    """Return an epoch's learning rate: the same over the first half of the epochs, then falling evenly to 0."""
    return rate * min(1.0, (epochs - epoch) / (epochs - epochs // 2))
