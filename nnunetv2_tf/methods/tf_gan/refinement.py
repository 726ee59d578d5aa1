"""Coarse images of whole cases, refined. In: a generator, a site and the box that may change. Out: the box, refined."""

import torch
from torch import Tensor

from nnunetv2_tf.geometry.boxes import Box, widened, within
from nnunetv2_tf.methods.base import Edited, Site
from nnunetv2_tf.methods.tf_gan.networks import Generator, one_hot
from nnunetv2_tf.networks.tiling import Start, apply_tiled, tile_of


def in_host(edited: Edited, site: Site, weight: Tensor) -> Tensor:
    """Return an edit (C, Z, Y, X) as compose lays it into its host; weight: (Z, Y, X), the site's for its reach."""
    return torch.where(weight == 1, edited.image, site.image + weight * (edited.image - site.image))


@torch.no_grad()
def refine(generator: Generator, coarse: Tensor, site: Site, box: Box) -> Tensor:
    """Return the refined image in a box, (C, z, y, x).

    Args:
        generator: in evaluation mode
        coarse: (C, Z, Y, X) the coarse image of the whole case, z
        site: whose body, organ and tumour map are used
        box: the part that may change
    """
    design = generator.design
    around = widened(box, [round(design.rim_mm / step) for step in design.spacing], coarse.shape[1:])
    depth = generator.depth_weight(site.organ[around][None])[(slice(None), *within(box, around))]
    added = added_by(generator, coarse, site, box)
    return generator.refined(coarse[(slice(None), *box)][None], added[None], depth)[0]


def added_by(generator: Generator, coarse: Tensor, site: Site, box: Box) -> Tensor:
    """Return what the generator adds in a box, (C, z, y, x), in [-1, 1]; arguments as of `refine`."""
    design, device = generator.design, next(generator.parameters()).device
    size, volumes = design.levels.patch, (coarse, site.body[None], site.tumour[None])

    def inputs(start: Start) -> tuple[Tensor, Tensor]:
        image, body, tumour = (tile_of(volume, start, size)[None].to(device) for volume in volumes)
        return design.domain.normalise(image, body[:, 0]), one_hot(tumour[:, 0], design.classes)

    return apply_tiled(generator, inputs, box, coarse.shape[1:], size)
