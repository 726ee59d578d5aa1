import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunetv2_tf.sets.sampling import Draw, EnrichedDataset, describe_draws, repetitions, tumour_mask, with_tumour


class Listed(nnUNetBaseDataset):
    """A dataset of names only."""

    def load_case(self, identifier):
        return self.source_folder, identifier

    @staticmethod
    def save_case(data, seg, properties, output_filename_truncated): ...

    @staticmethod
    def get_identifiers(folder):
        return []


@given(st.integers(1, 2000), st.integers(1, 3000), st.integers(1, 99))
def test_the_share_is_the_wanted_one(real, synthetic, percent):
    times_real, times_synthetic = repetitions(real, synthetic, percent)
    share = synthetic * times_synthetic / (synthetic * times_synthetic + real * times_real)
    assert abs(100 * share - percent) < 0.03
    assert times_real >= 1
    assert times_synthetic >= 1


def test_all_alike_and_only_synthetic():
    assert repetitions(7, 13, None) == (1, 1)
    assert repetitions(7, 13, 100) == (0, 1)


@pytest.mark.parametrize(("percent", "expected"), [(None, 20 / 28), (50, 0.5), (25, 0.25), (90, 0.9), (100, 1.0)])
def test_nnunets_way_of_drawing_gives_that_share(percent, expected):
    real = Listed("real", [f"r{index}" for index in range(8)])
    synthetic = Listed("synthetic", [f"s{index}" for index in range(20)])
    dataset = EnrichedDataset(real, synthetic, percent)
    drawn = np.random.default_rng(0).choice(dataset.identifiers, 20_000)
    share = np.isin(drawn.astype(str), list(dataset.synthetic_identifiers)).mean()
    assert share == pytest.approx(expected, abs=0.02)


def test_cases_come_from_the_dataset_they_belong_to():
    dataset = EnrichedDataset(Listed("real", ["r"]), Listed("synthetic", ["s"]), None)
    assert dataset.load_case("r") == ("real", "r")
    assert dataset["s"] == ("synthetic", "s")


def test_the_log_line_counts_draws_distinct_cases_and_patches_with_tumour():
    drawn = [Draw("a", True), Draw("s", False), Draw("a", False), Draw("t", True), Draw("s", True)]
    assert describe_draws(drawn, frozenset({"s", "t", "u"}), 4, 3) == (
        "Drawn this epoch: 2 real (1 of 4 cases, tumour in 1), 3 synthetic (2 of 3 cases, tumour in 2)"
    )


def test_tumour_is_found_in_labels_and_in_regions():
    """Organ 1, tumour 2; as masks: organ with tumour, tumour, and what nobody labelled."""
    label = torch.zeros((3, 1, 4, 4, 4))
    label[0, 0, :2], label[1, 0, 1], label[1, 0, 2, 2, 2] = 1, 1, 2
    label[2, 0, 0] = 3  # ignored
    assert with_tumour(label.numpy(), (2,), ()) == [False, True, False]
    assert with_tumour(label.numpy(), (1, 2), ()) == [True, True, False]
    assert with_tumour(label.numpy(), (1, 3), ()) == [True, True, True]
    masks = torch.cat([(label == 1) | (label == 2), label == 2, label == 3], dim=1)
    assert with_tumour(masks.numpy(), None, [1]) == [False, True, False]
    assert with_tumour(masks.numpy(), None, [0, 1]) == [True, True, False]
    for classes, channels in (((2,), [1]), ((1, 2), [0, 1])):
        expected = np.isin(label[1, 0].numpy(), classes)
        np.testing.assert_array_equal(tumour_mask(label[1].numpy(), classes, ()), expected)
        np.testing.assert_array_equal(tumour_mask(masks[1].numpy(), None, channels), expected)
