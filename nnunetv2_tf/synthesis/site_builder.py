"""From a line of the recipe to a site: the host in working space with the tumour placed on it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from nnunetv2_tf.geometry.displacement import Displacement
from nnunetv2_tf.io.array_files import Arrays
from nnunetv2_tf.io.json_dataclass import to_json
from nnunetv2_tf.synthesis.growth import grow
from nnunetv2_tf.synthesis.harmonise import Appearance, harmonise
from nnunetv2_tf.tumours.bank import Bank, cut_out
from nnunetv2_tf.tumours.donor_patch import DonorPatch, patch_in_place, warped_patch
from nnunetv2_tf.tumours.place import HostAnatomy, PlacedTumour, place_tumours, read_host
from nnunetv2_tf.tumours.recipe import RecipeLine
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.tumours.warp import WarpedTumour
from nnunetv2_tf.working_space.site import Donor, Site
from nnunetv2_tf.working_space.stored import Case, OpenCase
from nnunetv2_tf.working_space.tissue import as_in


class UnusableLineError(Exception):
    """No case can be made of this line; the reason, as half a sentence. Another line takes its place."""


@dataclass(frozen=True)
class BuiltSite:
    """A site, and what there is to say of it."""

    site: Site
    ancestors: frozenset[str]  # the real cases that it descends from
    controls: Mapping[str, Any] = field(default_factory=dict)  # for the sidecar
    unharmonised: torch.Tensor | None = (
        None  # (C, Z, Y, X) the host as it is stored, where the site shows it harmonised
    )
    displacement: Displacement | None = None  # of the host by its tumour; None: it is as it is stored


@dataclass(frozen=True)
class TumourView:
    """What an overview shows of a line's tumour."""

    image: np.ndarray  # (C, Z, Y, X), on the host's grid
    organ: np.ndarray  # (Z, Y, X) bool
    tumour: np.ndarray  # (Z, Y, X) int16
    title: str


class SiteBuilder(ABC):
    """Builds the site of one line; goes to other processes."""

    line: RecipeLine

    @abstractmethod
    def build(self, host: OpenCase, with_donors: bool) -> BuiltSite:
        """Build the site, which is the whole host. Raises UnusableLineError when no tumour falls inside the organ.

        Args:
            host: the case that receives the tumours
            with_donors: whether the method pastes, and needs the donors' images
        """

    @abstractmethod
    def view(self, host: OpenCase) -> TumourView:
        """Show where the tumour comes from, or where it goes. Raises UnusableLineError."""

    def measure(self, tumour: np.ndarray, grid: np.ndarray) -> Mapping[str, Any]:  # noqa: ARG002
        """Measure the finished tumour, for the sidecar.

        Args:
            tumour: (Z, Y, X) the map on the native grid
            grid: 4x4, voxel to mm
        """
        return {}


@dataclass(frozen=True)
class RealSiteBuilder(SiteBuilder):
    """Builds sites of real hosts, in which tumours keep their place."""

    line: RecipeLine
    donors: Mapping[str, Case]

    def build(self, host: OpenCase, with_donors: bool) -> BuiltSite:
        """Lay the donors onto the host's grid."""
        organ = host.organ()
        patches = [patch_in_place(self.donors[name].open(), host, with_donors) for name in self.line.donors]
        for name, patch in zip(self.line.donors, patches, strict=True):
            if not (patch.tumour[organ] > 0).any():
                raise UnusableLineError(f"the tumour of {name} falls outside the organ of {host.identifier}")
        tumour = _together([patch.tumour for patch in patches], organ)
        donors = tuple(_donor(patch) for patch in patches) if with_donors else ()
        return BuiltSite(_site(host, organ, tumour, donors), frozenset((self.line.host, *self.line.donors)))

    def view(self, host: OpenCase) -> TumourView:
        """Show the first donor."""
        name = self.line.donors[0]
        patch = patch_in_place(self.donors[name].open(), host, with_image=True)
        assert patch.image is not None
        return TumourView(patch.image, patch.organ, patch.tumour, f"donor {name}")


@dataclass(frozen=True)
class PlacedSiteBuilder(SiteBuilder):
    """Builds sites of hosts into which tumours are put under their transforms."""

    line: RecipeLine
    bank: Bank  # the line's donors
    donors: Mapping[str, Case]  # theirs
    appearance_source: Case | None  # a training case whose appearance the host takes over
    sampling: SamplingConfig
    training: tuple[str, ...]  # the tumours of all of these say where tumours lie, and how large they are
    asked: Mapping[str, Any]
    class_names: Mapping[int, str]
    # of shapes, which no scan belongs to: the training case whose classes theirs are to be as bright as, if any
    looks: Mapping[str, Case | None] = field(default_factory=dict)

    def build(self, host: OpenCase, with_donors: bool) -> BuiltSite:
        """Place the tumours as the line transforms them."""
        anatomy = read_host(host, self.sampling.around_fluid)
        placed = place_tumours(self.line.tumours, self.bank, anatomy)
        if placed is None:
            raise UnusableLineError(f"nothing of the tumour falls into the organ of {host.identifier}")
        record = {
            "transforms": to_json(placed.tumours),
            "asked": dict(self.asked),
            "kept": [round(share, 4) for share in placed.kept],
            "left_out_for_fluid": round(placed.in_fluid, 4),
        }
        site, unharmonised = placed_site(host, anatomy, placed, self.donors if with_donors else None), None
        if self.looks and with_donors:
            site = replace(site, donors=tuple(self._painted(tumour, site, host) for tumour in placed.warped))
        if self.appearance_source is not None:
            unharmonised = site.image
            site, blurred = with_appearance(site, host, self.appearance_source)
            record["harmonised"] = {"to": self.appearance_source.identifier, "blurred_mm": blurred}
        grown = grow(site, anatomy, self.bank, self.sampling, self.line.mass_effect)
        record |= grown.record
        return BuiltSite(grown.site, frozenset(self.training), record, unharmonised, grown.displacement)

    def view(self, host: OpenCase) -> TumourView:
        """Show the host with its tumour map."""
        site = self.build(host, with_donors=False).site
        first, *others = self.line.donors
        title = f"tumour of {first}" + (f" and {len(others)} more" if others else "")
        organ = site.organ.numpy() | (host.tumour() > 0)  # also where a patient's own tumour is
        return TumourView(site.image.numpy(), organ, site.tumour.numpy(), title)

    def measure(self, tumour: np.ndarray, grid: np.ndarray) -> Mapping[str, Any]:
        """Measure what users can ask for."""
        lesion = cut_out("", tumour, grid)
        fractions = {
            self.class_names.get(value, str(value)): ml / lesion.volume for value, ml in lesion.classes.items()
        }
        return {
            "placed": {
                "volume_ml": round(lesion.volume, 3),
                "class_fraction": {name: round(share, 4) for name, share in fractions.items()},
                "components": lesion.pieces,
                "center": [round(float(place), 2) for place in lesion.centre],
                "side": "left" if lesion.centre[0] > self.bank.midline else "right",
            }
        }

    def _painted(self, tumour: WarpedTumour, site: Site, host: OpenCase) -> Donor:
        """Return a shape as a donor whose scan is as bright as its classes are to be; unknown where nobody says."""
        like = self.looks[tumour.lesion.donor]
        image, label, known = torch.zeros_like(site.image), torch.zeros_like(site.label), torch.zeros_like(site.organ)
        there, part = tumour.cut_to(site.organ.shape)
        label[there] = torch.from_numpy(part)
        for value, mean in ({} if like is None else _class_brightness(like.open(), host)).items():
            inside = label == value
            known |= inside
            image[:, inside] = torch.from_numpy(mean)[:, None]
        return Donor(image, label, label, known)


def placed_site(host: OpenCase, anatomy: HostAnatomy, placed: PlacedTumour, donors: Mapping[str, Case] | None) -> Site:
    """Build the site of a host with a placed tumour; `donors` by name, for methods that paste: on the host's scale."""
    shape, scans, patches = anatomy.organ.shape, donors or {}, []
    for tumour in placed.warped:
        if tumour.lesion.donor in scans:  # shapes are nobody's
            donor = scans[tumour.lesion.donor].open()
            patch = warped_patch(tumour, donor, shape, host.grid.spacing)
            assert patch.image is not None
            patches.append(replace(patch, image=as_in(patch.image, donor, host)))
    return _site(host, anatomy.organ, placed.label(shape), tuple(map(_donor, patches)))


def with_appearance(
    site: Site, host: OpenCase, model: Case, keep: bool = True
) -> tuple[Site, list[list[float]]]:  # fmt: skip
    """Give a site the appearance of a real case; return also the blur, in mm by channel and axis (Z, Y, X).

    Args:
        site: of the host
        host: the case
        model: the real case
        keep: whether the host is likely to be asked for with this appearance again, so that it is kept
    """
    schemes, appearance = host.plan.manager.normalization_schemes, Appearance.of(model)
    image, organ = site.image.clone(), site.organ

    def compute() -> Arrays:
        result = harmonise(site.image.numpy(), organ.numpy(), site.spacing, appearance, schemes)
        return {"inside": result.image[:, organ.numpy()], "blurred": np.array(result.blurred)}

    depends_on = [appearance.source, schemes]
    arrays = host.kept(f"like_{model.identifier}", depends_on, compute) if keep else compute()
    image.numpy()[:, organ.numpy()] = arrays["inside"]
    blurred = [
        [round(width * step, 3) for width, step in zip(row, site.spacing, strict=True)]
        for row in arrays["blurred"].tolist()
    ]
    return replace(site, image=image), blurred


def _site(host: OpenCase, organ: np.ndarray, tumour: np.ndarray, donors: tuple[Donor, ...]) -> Site:
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


def _together(tumours: Sequence[np.ndarray], organ: np.ndarray) -> np.ndarray:
    """Lay tumour maps over one another; where several overlap, the later one counts."""
    together = np.zeros_like(tumours[0])
    for tumour in tumours:
        np.copyto(together, tumour, where=(tumour > 0) & organ)
    return together


def _class_brightness(case: OpenCase, host: OpenCase) -> Mapping[int, np.ndarray]:
    """Return (C,) by class of a case's tumour: its mean, on the host's scale."""
    image, tumour = as_in(case.image(), case, host), case.tumour()
    return {int(value): image[:, tumour == value].mean(axis=1) for value in np.unique(tumour[tumour > 0])}


def _donor(patch: DonorPatch) -> Donor:
    assert patch.image is not None
    arrays = (patch.image, patch.label, patch.tumour, patch.organ)
    return Donor(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
