"""Pictures inside a page. In: stages. Out: data that an <img> or a background can show, all slices in one strip."""

import base64
import io

import numpy as np
from PIL import Image

from nnunetv2_tf.io.panels import COLOURS
from nnunetv2_tf.report.page.stages import Stage

QUALITY = 82  # of JPEG
WIDEST = 220  # pixels of a slice
OPAQUE = 150  # of 255, of a class's colour


def image_strip(stage: Stage) -> str:
    """Return the slices, one below the other, as a JPEG."""
    grey = np.rint(stage.slices * 255).astype(np.uint8)
    strip = Image.fromarray(grey.reshape(-1, grey.shape[2]))
    return _data(_fitted(strip, len(grey), stage, Image.Resampling.BICUBIC), "jpeg", quality=QUALITY, optimize=True)


def label_strip(stage: Stage) -> str:
    """Return the tumour's classes in their colours, transparent elsewhere, as a PNG."""
    labels = stage.labels.reshape(-1, stage.labels.shape[2])
    painted = np.zeros((*labels.shape, 4), np.uint8)
    for value in np.unique(labels[labels > 0]):
        colour = COLOURS[(int(value) - 1) % len(COLOURS)].removeprefix("#")
        painted[labels == value] = [*(int(colour[at : at + 2], 16) for at in (0, 2, 4)), OPAQUE]
    strip = _fitted(Image.fromarray(painted), len(stage.labels), stage, Image.Resampling.NEAREST)
    return _data(strip.quantize(8), "png", optimize=True)


def _fitted(strip: Image.Image, number: int, stage: Stage, how: Image.Resampling) -> Image.Image:
    """Return a strip whose pixels are square, and not more than there is to see."""
    tall, wide = stage.shape_mm
    width = min(WIDEST, strip.width * 2)
    return strip.resize((width, number * max(1, round(width * tall / wide))), how)


def _data(image: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
