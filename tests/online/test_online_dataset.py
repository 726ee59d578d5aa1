"""Real cases and new ones come in the share that was asked for, and new ones by their number."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from nnunetv2_tf.online.made_case import MadeCase
from nnunetv2_tf.online.online_dataset import MADE, NEW, Clock, OnlineDataset, OnlineLoader


class Real:
    identifiers = ("b", "a", "c")

    def load_case(self, identifier: str) -> Any:
        return identifier


class Numbered:
    def case(self, epoch: int, index: int) -> MadeCase:
        return MadeCase(index, f"host of epoch {epoch}", ("donor",), np.zeros((1, 2, 2, 2)), np.zeros((1, 2, 2, 2)))


class Loader:
    """As nnU-Net's: loads what it draws."""

    def __init__(self, dataset: OnlineDataset, drawn: list[str]) -> None:
        self.dataset, self.drawn = dataset, drawn

    def __next__(self) -> dict[str, Any]:
        return {"keys": self.drawn, "data": [self.dataset.load_case(name) for name in self.drawn]}


def dataset(percent: int = 50) -> OnlineDataset:
    source, plan = Numbered(), SimpleNamespace(label_manager=SimpleNamespace(
        has_regions=False, foreground_labels=[1], has_ignore_label=False))  # fmt: skip
    real: Any = Real()
    return OnlineDataset(real, source, plan, percent)  # type: ignore[arg-type]


def test_new_ones_make_up_the_share():
    for percent in (1, 25, 50, 90):
        names = dataset(percent).identifiers
        assert abs(np.mean(names == NEW) - percent / 100) < 1e-3
        assert len({np.sum(names == name) for name in ("a", "b", "c")}) == 1
    assert set(dataset(100).identifiers) == {NEW}


def test_a_batch_says_where_its_new_cases_come_from():
    cases, clock = dataset(), Clock(iterations=10, epochs=3, batch_size=2)
    loader = OnlineLoader(Loader(cases, ["a", NEW]), cases, [0], 12, clock)
    (origin,) = next(loader)[MADE]
    assert (origin.place, origin.line, origin.host, origin.donors) == (1, 25, "host of epoch 1", ("donor",))
    loader.loader.drawn = [NEW, NEW]
    assert [(origin.place, origin.line) for origin in next(loader)[MADE]] == [(0, 26), (1, 27)]


def test_before_the_first_batch_nothing_is_made():
    """nnU-Net draws one when it makes its loaders."""
    cases = dataset()
    assert cases.load_case(NEW) in Real.identifiers


def test_no_two_processes_make_the_same_case():
    numbers = [
        Clock(10, 3, batch_size=4, rank=rank, processes=2).first_case(number) + place
        for rank in range(2)
        for number in range(5)
        for place in range(4)
    ]
    assert len(set(numbers)) == len(numbers)
    assert Clock(10, 3, 2).epoch(29) == 2
    assert Clock(10, 3, 2).epoch(35) == 2  # made ahead of the end
