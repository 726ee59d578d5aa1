"""From a line of the recipe to a site: the host in working space with the tumour placed on it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from nnunetv2_tf.methods.base import Donor, Site
from nnunetv2_tf.preparation.stored import Case
from nnunetv2_tf.records import to_json
from nnunetv2_tf.synthesis.harmonise import Looks, harmonise
from nnunetv2_tf.tumours.bank import Bank, cut_out
from nnunetv2_tf.tumours.hosting import Host, Hosted, host_tumours, read_host
from nnunetv2_tf.tumours.placement import Placed, place, place_moved
from nnunetv2_tf.tumours.recipe import Line, Tumour


class Unusable(Exception):
    """No case can be made of this line; the reason, as half a sentence. Another line takes its place."""


@dataclass(frozen=True)
class Made:
    """A site, and what there is to say of it."""

    site: Site
    ancestors: frozenset[str]  # the real cases that it descends from
    controls: Mapping[str, Any] = field(default_factory=dict)  # for the sidecar
    stored: torch.Tensor | None = None  # (C, Z, Y, X) the host as it is stored, where the site shows it harmonised


@dataclass(frozen=True)
class Shown:
    """What an overview shows of a line's tumour."""

    image: np.ndarray  # (C, Z, Y, X), on the host's grid
    organ: np.ndarray  # (Z, Y, X) bool
    tumour: np.ndarray  # (Z, Y, X) int16
    title: str


class Sites(ABC):
    """Makes sites of lines with one kind of host; goes to other processes."""

    @abstractmethod
    def make(self, line: Line, host: Case, with_donors: bool) -> Made:
        """The whole host as a site. Raises Unusable when no tumour falls inside the organ.

        Args:
            line: what to make
            host: the case that receives the tumours
            with_donors: whether the method pastes, and needs the donors' images
        """

    def measured(self, tumour: np.ndarray, grid: np.ndarray) -> Mapping[str, Any]:  # noqa: ARG002
        """What to say of the finished tumour, for the sidecar.

        Args:
            tumour: (Z, Y, X) the map on the native grid
            grid: 4x4, voxel to mm
        """
        return {}

    @abstractmethod
    def shown(self, line: Line, host: Case) -> Shown:
        """Where the tumour comes from, or where it goes. Raises Unusable."""


@dataclass(frozen=True)
class RealSites(Sites):
    """Tumours keep their place."""

    donors: Mapping[str, Case]

    def make(self, line: Line, host: Case, with_donors: bool) -> Made:
        """The donors as the host's grid sees them."""
        organ = host.organ()
        placed = [place(tumour, replace(self.donors[tumour.donor]), host, with_donors) for tumour in line.tumours]
        for tumour, one in zip(line.tumours, placed, strict=True):
            if not (one.tumour[organ] > 0).any():
                raise Unusable(f"the tumour of {tumour.donor} falls outside the organ of {host.identifier}")
        donors = tuple(_donor(one) for one in placed) if with_donors else ()
        together = _together([one.tumour for one in placed], organ)
        return Made(_site(host, organ, together, donors), frozenset((line.host, *line.donors)))

    def shown(self, line: Line, host: Case) -> Shown:
        """The first donor."""
        (tumour, *_) = line.tumours
        placed = place(tumour, replace(self.donors[tumour.donor]), host, with_image=True)
        assert placed.image is not None
        return Shown(placed.image, placed.organ, placed.tumour, f"donor {tumour.donor}")


@dataclass(frozen=True)
class HealthySites(Sites):
    """Tumours are transformed and put into a healthy host."""

    bank: Bank  # the line's donors
    donors: Mapping[str, Case]  # theirs
    model: Case | None  # a training case whose looks the host takes over
    around_fluid: bool
    training: tuple[str, ...]  # the tumours of all of these say where tumours lie, and how large they are
    asked: Mapping[str, Any]
    names: Mapping[int, str]  # of classes

    def make(self, line: Line, host: Case, with_donors: bool) -> Made:
        """The tumours as the line transforms them."""
        receiver = read_host(host, self.around_fluid)
        hosted = host_tumours(line.tumours, self.bank, receiver)
        if hosted is None:
            raise Unusable(f"nothing of the tumour falls into the organ of {host.identifier}")
        record = {
            "transforms": to_json(line.tumours),
            "asked": dict(self.asked),
            "kept": [round(share, 4) for share in hosted.kept],
            "left_out_for_fluid": round(hosted.in_fluid, 4),
        }
        donors = self.donors_of(line.tumours, hosted, receiver) if with_donors else ()
        site, stored = healthy_site(host, receiver, hosted, donors), None
        if self.model is not None:
            stored = site.image
            site, blurred = with_looks(site, host, self.model)
            record["harmonised"] = {"to": self.model.identifier, "blurred_mm": blurred}
        return Made(site, frozenset(self.training), record, stored)

    def donors_of(self, tumours: Sequence[Tumour], hosted: Hosted, receiver: Host) -> tuple[Donor, ...]:
        """The boxes around their tumours, on the receiver's grid."""
        shape = receiver.organ.shape
        return tuple(
            _donor(place_moved(one, self.bank.by_donor[tumour.donor], replace(self.donors[tumour.donor]), shape))
            for tumour, one in zip(tumours, hosted.moved, strict=True)
        )

    def measured(self, tumour: np.ndarray, grid: np.ndarray) -> Mapping[str, Any]:
        """What wishes are about."""
        lesion = cut_out("", tumour, grid)
        fractions = {self.names.get(value, str(value)): ml / lesion.volume for value, ml in lesion.classes.items()}
        return {
            "placed": {
                "volume_ml": round(lesion.volume, 3),
                "class_fraction": {name: round(share, 4) for name, share in fractions.items()},
                "components": lesion.pieces,
                "center": [round(float(place), 2) for place in lesion.centre],
                "side": "left" if lesion.centre[0] > self.bank.midline else "right",
            }
        }

    def shown(self, line: Line, host: Case) -> Shown:
        """The host with its tumour map."""
        site = self.make(line, host, with_donors=False).site
        title = f"tumour of {line.donors[0]}" + (f" and {len(line.donors) - 1} more" if len(line.donors) > 1 else "")
        return Shown(site.image.numpy(), site.organ.numpy(), site.tumour.numpy(), title)


def healthy_site(host: Case, receiver: Host, hosted: Hosted, donors: tuple[Donor, ...]) -> Site:
    """A host with a placed tumour map."""
    return _site(host, receiver.organ, hosted.label(receiver.organ.shape), donors)


def with_looks(site: Site, host: Case, model: Case) -> tuple[Site, list[list[float]]]:
    """The site with the looks of a real case; and how much it was blurred, in mm by channel and axis (Z, Y, X)."""
    schemes = host.plan.manager.normalization_schemes
    found = harmonise(site.image.numpy(), site.organ.numpy(), Looks.of(replace(model)), schemes)
    blurred = [[round(width * step, 3) for width, step in zip(row, site.spacing, strict=True)] for row in found.blurred]
    return replace(site, image=torch.from_numpy(found.image)), blurred


def _site(host: Case, organ: np.ndarray, tumour: np.ndarray, donors: tuple[Donor, ...]) -> Site:
    body = host.body()
    return Site(
        image=torch.from_numpy(host.image()),
        label=torch.from_numpy(host.label()),
        organ=torch.from_numpy(organ),
        tumour=torch.from_numpy(tumour),
        donors=donors,
        spacing=host.grid.spacing,
        body=torch.from_numpy(body),
        n_norm=int(body.sum()),
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
