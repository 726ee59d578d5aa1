"""Vector quantisation. In: latents. Out: each replaced by the nearest of a codebook's vectors, which follow them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from nnunetv2_tf.networks.residual import without_autocast

DECAY = 0.99  # of the moving averages by which vectors follow the latents that chose them
UNUSED = 0.5  # of a fair share of a step's latents, or of one: vectors chosen less often are replaced by latents
FEW = 1e-5
AT_ONCE = 2048  # latents that are compared with all vectors at a time


class Quantiser(nn.Module):
    """A codebook. Its numbers are kept with the network's weights, but no gradient changes them."""

    def __init__(self, number: int, channels: int) -> None:
        super().__init__()
        first = torch.randn(number, channels)
        self.codebook = nn.Parameter(first, requires_grad=False)
        self.sums = nn.Parameter(first.clone(), requires_grad=False)
        self.chosen = nn.Parameter(torch.ones(number), requires_grad=False)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents (B, L, z, y, x) on the codebook, gradients going straight through, and the indices."""
        index = self.nearest(z)
        on_codebook = embedding(index, self.codebook).movedim(-1, 1).to(z.dtype)
        return z + (on_codebook - z).detach(), index

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """Return (B, z, y, x): the index of the vector that is nearest to each latent."""
        flat = z.movedim(1, -1).reshape(-1, z.shape[1]).float()
        with without_autocast(z):  # in half precision other vectors would be the nearest
            half = self.codebook.square().sum(dim=1) / 2
            nearest = [
                torch.addmm(half, part, self.codebook.T, alpha=-1).argmin(dim=1) for part in flat.split(AT_ONCE)
            ]  # fmt: skip
        return torch.cat(nearest).reshape(z.shape[0], *z.shape[2:])

    @torch.no_grad()
    def follow(self, z: Tensor, index: Tensor, draws: torch.Generator) -> None:
        """Move each vector towards the latents that chose it; replace unused ones by some of these latents."""
        flat, chosen = z.movedim(1, -1).reshape(-1, z.shape[1]).float(), index.reshape(-1)
        number = len(self.codebook)
        counts = torch.bincount(chosen, minlength=number).to(flat.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, chosen, flat)
        self.chosen.lerp_(counts, 1 - DECAY)
        self.sums.lerp_(sums, 1 - DECAY)
        self.codebook.copy_(self.sums / self.chosen.clamp_min(FEW)[:, None])
        fewest = UNUSED * min(1.0, len(flat) / number)
        unused = self.chosen < fewest
        places = torch.randint(len(flat), (number,), generator=draws).to(flat.device)
        for values, new in ((self.codebook, flat[places]), (self.sums, flat[places])):
            values[unused] = new[unused]
        self.chosen[unused] = 1.0


def commitment(z: Tensor, on_codebook: Tensor) -> Tensor:
    """Return (B,): how far latents are from the vectors that they chose, mean square."""
    return (z - on_codebook.detach()).square().mean(dim=(1, 2, 3, 4))


def used(index: Tensor, number: int) -> Tensor:
    """Return the share of a codebook of so many vectors that is chosen."""
    return (torch.bincount(index.reshape(-1), minlength=number) > 0).float().mean()
