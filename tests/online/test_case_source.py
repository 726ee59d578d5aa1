"""Cases are made by their number; a line that cannot be used is replaced."""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.online import case_source
from nnunetv2_tf.online.case_source import FAR, TRIED, CaseMaker, NewEachTime
from nnunetv2_tf.synthesis.site_builder import UnusableLineError
from nnunetv2_tf.tumours.recipe_cache import NowhereError
from tests.online.test_made_case import makers
from tests.workspace import Workspace

pytestmark = pytest.mark.slow


def test_a_case_depends_on_its_number_only(workspace: Workspace):
    maker = makers(workspace, "carvemix", healthy=False)
    first, again, other = maker.make(5), NewEachTime(maker).case(3, 5), maker.make(6)
    assert first.line == 5
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    seeded = replace(maker, hosts=replace(maker.hosts, seed=1))
    assert not np.array_equal(first.image, seeded.make(5).image)


def test_lines_that_cannot_be_used_are_replaced(workspace: Workspace, monkeypatch):
    maker = makers(workspace, "carvemix", healthy=False)
    make, tried = case_source.made_case, []

    def unlucky(line, *rest):
        tried.append(line)
        if len(tried) < 3:
            raise (UnusableLineError, NowhereError)[len(tried) - 1]("nothing of the tumour is left")
        return make(line, *rest)

    monkeypatch.setattr(case_source, "made_case", unlucky)
    assert maker.make(7).line == 7 + 2 * FAR
    assert tried == [7, 7 + FAR, 7 + 2 * FAR]


def test_where_no_line_can_be_used_it_says_why(workspace: Workspace, monkeypatch):
    def hopeless(self: CaseMaker, index: int):
        raise UnusableLineError("it falls outside")

    monkeypatch.setattr(CaseMaker, "_of_line", hopeless)
    with pytest.raises(UserError, match=f"No case of carvemix came of {TRIED} lines of the recipe: it falls outside"):
        makers(workspace, "carvemix", healthy=False).make(0)
