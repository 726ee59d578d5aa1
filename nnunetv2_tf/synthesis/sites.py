"""From a line of the recipe to a site: the host in working space with the tumour placed on it."""

from collections.abc import Mapping

import numpy as np
import torch

from nnunetv2_tf.methods.base import Donor, Site
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.tumours.placement import Placed, place
from nnunetv2_tf.tumours.recipe import Line


class Unusable(Exception):
    """No case can be made of this line; the reason, as half a sentence. Another line takes its place."""


def make_site(line: Line, host: Case, donors: Mapping[str, Case], with_donors: bool) -> Site:
    """The whole host as a site. Raises Unusable when no tumour falls inside the organ.

    Args:
        line: what to make
        host: the case that receives the tumours
        donors: the cases they come from, by name
        with_donors: whether the method pastes, and needs their images
    """
    organ = host.organ()
    placed = [place(tumour, donors[tumour.donor], host, with_donors) for tumour in line.tumours]
    for tumour, one in zip(line.tumours, placed, strict=True):
        if not (one.tumour[organ] > 0).any():
            raise Unusable(f"the tumour of {tumour.donor} falls outside the organ of {host.identifier}")
    return Site(
        image=torch.from_numpy(host.image()),
        label=torch.from_numpy(host.label()),
        organ=torch.from_numpy(organ),
        tumour=torch.from_numpy(_together([one.tumour for one in placed], organ)),
        donors=tuple(_donor(one) for one in placed) if with_donors else (),
        spacing=host.grid.spacing,
        n_norm=host.n_norm,
    )


def _together(tumours: list[np.ndarray], organ: np.ndarray) -> np.ndarray:
    """One tumour map; where several overlap, the later one."""
    together = np.zeros_like(tumours[0])
    for tumour in tumours:
        np.copyto(together, tumour, where=(tumour > 0) & organ)
    return together


def _donor(placed: Placed) -> Donor:
    assert placed.image is not None
    arrays = (placed.image, placed.label, placed.tumour, placed.organ)
    return Donor(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
