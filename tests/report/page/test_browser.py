"""The page in a real browser: sliders, labels, keys, two widths, two themes; nothing asked from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunetv2_tf.report.page.write import PageRequest, write_pages
from tests import browser
from tests.synthesis.making import make_set
from tests.workspace import Workspace

pytestmark = pytest.mark.skipif(not (browser.CHROMIUM and browser.DRIVER), reason=browser.MISSING)
RIGHT, LEFT, TAB = "\ue014", "\ue012", "\ue004"
SLICE = "return document.querySelector('.case input').value"
LABELS = "return getComputedStyle(document.querySelector('.frame img.labels')).visibility"
BACK = "return getComputedStyle(document.body).backgroundColor"
PLACE = "return document.querySelector('.frame img').getBoundingClientRect().top"


@pytest.fixture
def window(with_healthy: Workspace, tmp_path: Path) -> Iterator[tuple[browser.Browser, Path]]:
    part = make_set(with_healthy, "page", 3, method="syntumor", healthy="601")
    write_pages(PageRequest("501", "page", (0,), True, 3, (), None, 1))
    with browser.opened(tmp_path) as opened:
        yield opened, part.folder / "report.html"


def test_it_works_with_mouse_and_keys_and_asks_nobody(window):
    opened, page = window
    opened.resize(1280, 900)
    opened.theme("light")
    opened.open(page)
    opened.requests()  # of the browser's own first page
    opened.open(page)
    assert opened.run(SLICE) == "7"
    before = opened.run(PLACE)
    opened.run("const s = document.querySelector('.case input'); s.value = 9; s.dispatchEvent(new Event('input'))")
    assert opened.run("return document.querySelector('.case output').textContent") == "10 of 15"
    assert opened.run(PLACE) < before
    opened.press("n")  # to the first case
    opened.press(RIGHT, RIGHT, LEFT)
    assert opened.run(SLICE) == "10"
    opened.press("n")
    opened.press(RIGHT)
    assert opened.run("return document.querySelectorAll('.case input')[1].value") == "8"
    assert opened.run(SLICE) == "10"
    assert opened.run(LABELS) == "visible"
    opened.press("l")
    assert opened.run(LABELS) == "hidden"
    opened.click("#labels")
    assert opened.run(LABELS) == "visible"
    assert opened.run("return document.querySelector('#labels').getAttribute('aria-pressed')") == "true"
    opened.run("document.activeElement.blur()")
    opened.press(TAB)
    assert opened.run("return document.activeElement.id") in ("labels", "theme")
    assert opened.complaints() == []
    asked = {address for address in opened.requests() if not address.startswith("data:")}
    assert asked == {page.resolve().as_uri()}


def test_both_widths_and_both_themes(window):
    opened, page = window
    backs = set()
    for theme in ("light", "dark"):
        opened.theme(theme)
        for width in (1280, 390):
            opened.resize(width, 850)
            opened.open(page)
            assert opened.run("return document.documentElement.scrollWidth <= window.innerWidth")
            assert opened.run("return document.querySelector('.frame').getBoundingClientRect().width") > 100
            backs.add(opened.run(BACK))
    assert len(backs) == 2
    opened.press("d")
    assert opened.run(BACK) in backs
    assert opened.run("return document.documentElement.dataset.theme") == "light"
    assert opened.complaints() == []
