"""Asymmetry of halves, ventricles and the midline."""

import numpy as np
import pytest

from nnunetv2_tf.quality.whole_brain import asymmetry


def figures(shift: int = 0, smaller: int = 0, sideways: int = 2, with_fluid: bool = True) -> dict[str, float]:
    """A brain with a tumour on the right, whose ventricles are pushed to the left, and narrower on the right."""
    z, y, x = np.indices((40, 44, 50))
    organ = ((z - 20) / 18) ** 2 + ((y - 22) / 20) ** 2 + ((x - 24.5) / 22) ** 2 < 1
    tumour = np.linalg.norm([z - 20, y - 22, x - 38], axis=0) < 4
    left, right = (x >= 19 - shift) & (x < 23 - shift), (x >= 27 - shift) & (x < 31 - shift - smaller)
    fluid = organ & (np.abs(z - 20) < 6) & (np.abs(y - 22) < 8) & (left | right)
    image = np.where(organ, 1.0 - 2.0 * fluid, 0)[None]
    arrays = [np.moveaxis(array, -1, sideways) for array in (tumour, organ, fluid)]
    image = np.moveaxis(image, -1, sideways + 1)
    return asymmetry(image, arrays[0], arrays[1], arrays[2] if with_fluid else None, (2.0, 2.0, 2.0), sideways)


def test_a_symmetric_brain():
    found = figures()
    assert found["ventricles"] == pytest.approx(0, abs=0.05)
    assert found["midline"] == pytest.approx(0, abs=0.2)
    assert found["left and right differ"] < 0.02


def test_what_is_pushed_away():
    assert figures(shift=2)["midline"] == pytest.approx(4, abs=0.6)
    assert figures(smaller=2)["ventricles"] < -0.3
    assert figures(shift=2)["left and right differ"] > 3 * figures()["left and right differ"]


@pytest.mark.parametrize("sideways", [0, 1])
def test_any_axis_may_run_from_left_to_right(sideways):
    assert figures(shift=2, smaller=1, sideways=sideways) == pytest.approx(figures(shift=2, smaller=1))


def test_without_fluid_something_is_left():
    found = figures(with_fluid=False)
    assert np.isnan(found["ventricles"])
    assert found["midline"] == pytest.approx(0, abs=0.2)
    assert found["left and right differ"] < 0.02
