import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.sets.names import (
    BASELINE,
    ENRICHED,
    ONLINE,
    TrainerOptions,
    check_set_name,
    enriched_like,
    is_ours,
    parse_trainer_name,
)

NUMBERS = st.none() | st.integers(1, 5000)
SET_NAMES = st.none() | st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


def is_legal(set_name: str) -> bool:
    try:
        check_set_name(set_name)
    except UserError:
        return False
    return True


@given(
    SET_NAMES,
    NUMBERS,
    NUMBERS,
    st.none() | st.integers(0, 99),
    st.none() | st.integers(1, 100),
    st.sampled_from([None, "bf16"]),
)
def test_every_legal_name_is_read_back(set_name, count, epochs, seed, percent, precision):
    options = TrainerOptions(set_name, count, epochs, seed, percent, precision)
    if set_name is None or is_legal(set_name):
        assert parse_trainer_name(options.name(ENRICHED)) == (ENRICHED, options)
    assert "__" not in options.name(ENRICHED)  # nnU-Net splits folder names there


@given(
    st.sampled_from(["carvemix", "tf_aug", "tf_gan", "syntumor"]), NUMBERS, st.sampled_from([None, "paper", "brief"]),
    NUMBERS, st.none() | st.integers(0, 99), st.none() | st.integers(1, 100),
)  # fmt: skip
def test_every_online_name_is_read_back(method, healthy, preset, epochs, seed, percent):
    options = TrainerOptions(None, None, epochs, seed, percent, None, method, healthy, preset)
    assert parse_trainer_name(options.name(ONLINE)) == (ONLINE, options)
    assert "__" not in options.name(ONLINE)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("TFEnrichedTrainer", TrainerOptions()),
        ("TFEnrichedTrainer_tf100", TrainerOptions("tf100")),
        ("TFEnrichedTrainer_n50", TrainerOptions(count=50)),
        ("TFEnrichedTrainer_cm20_n50_100epochs_seed1_p50", TrainerOptions("cm20", 50, 100, 1, 50)),
        ("TFBaselineTrainer_100epochs_seed0", TrainerOptions(epochs=100, seed=0)),
        ("TFBaselineTrainer_8epochs_seed0_bf16", TrainerOptions(epochs=8, seed=0, precision="bf16")),
        ("TFEnrichedTrainer_h601", TrainerOptions("h601")),
        ("TFOnlineTrainer_carvemix", TrainerOptions(method="carvemix")),
        ("TFMixupTrainer_8epochs_seed0_bf16", TrainerOptions(epochs=8, seed=0, precision="bf16")),
        (
            "TFOnlineTrainer_tf_aug_h601_paper_100epochs_seed1_p50_bf16",
            TrainerOptions(None, None, 100, 1, 50, "bf16", "tf_aug", 601, "paper"),
        ),
    ],
)
def test_names_of_the_design(name, options):
    assert parse_trainer_name(name)[1] == options


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("TFEnrichedTrainer_seed1_n50", "use -tr TFEnrichedTrainer_n50_seed1"),
        ("TFOnlineTrainer", "names no method of this package"),
        ("TFOnlineTrainer_h601_tf_aug", "names no method of this package"),
        ("TFOnlineTrainer_carvemix_n50", "TFOnlineTrainer knows no 'n50'"),
        ("TFMixupTrainer_tf100", "TFMixupTrainer knows no 'tf100'"),
        ("TFMixupTrainer_p50", "TFMixupTrainer knows no 'p50'"),
        ("TFOnlineTrainer_tumorcp_default", "use -tr TFOnlineTrainer_tumorcp"),
        ("TFOnlineTrainer_tumorcp_paper_h601", "use -tr TFOnlineTrainer_tumorcp_h601_paper"),
        ("TFOnlineTrainer_tumorcp_paper_brief", "says preset twice"),
        ("TFEnrichedTrainer_bf16_p50", "use -tr TFEnrichedTrainer_p50_bf16"),
        ("TFEnrichedTrainer_p50_tf100", "use -tr TFEnrichedTrainer_tf100_p50"),
        ("TFEnrichedTrainer_1epoch", "use -tr TFEnrichedTrainer_1epochs"),
        ("TFEnrichedTrainer_n050", "use -tr TFEnrichedTrainer_n50"),
        ("TFEnrichedTrainer_n5_n6", "says count twice"),
        ("TFEnrichedTrainer_a_b", "says set twice"),
        ("TFEnrichedTrainer_", "neither a set's name nor an option"),
        ("TFEnrichedTrainer_Big", "neither a set's name nor an option"),
        ("TFEnrichedTrainer_n0", "start at 1"),
        ("TFEnrichedTrainer_0epochs", "start at 1"),
        ("TFEnrichedTrainer_p0", "from 1 to 100"),
        ("TFEnrichedTrainer_p101", "from 1 to 100"),
        ("TFBaselineTrainer_tf100", "TFBaselineTrainer knows no 'tf100'"),
        ("TFBaselineTrainer_p50", "TFBaselineTrainer knows no 'p50'"),
    ],
)
def test_a_wrong_name_gets_the_right_one(wrong, sentence):
    with pytest.raises(UserError, match=".") as caught:
        parse_trainer_name(wrong)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["tf100", "a", "cm20", "seed", "p5x", "nn50", "epochs"])
def test_good_set_names(name):
    check_set_name(name)


@pytest.mark.parametrize("name", ["", "n50", "p50", "seed1", "5epochs", "TF", "a_b", "a-b", "1a", "a.b", "../x"])
def test_set_names_that_would_confuse_a_trainer_name(name):
    with pytest.raises(UserError):
        check_set_name(name)


@pytest.mark.parametrize("name", ["nnUNetTrainer", "TFEnrichedTrainerX", "TFRecord", "MyTFBaselineTrainer"])
def test_names_of_others_are_not_ours(name):
    assert not is_ours(name)
    assert is_ours(BASELINE)
    assert is_ours(f"{ENRICHED}_x")


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        ("TFBaselineTrainer", "TFEnrichedTrainer_tf100"),
        ("TFBaselineTrainer_100epochs_seed3_bf16", "TFEnrichedTrainer_tf100_100epochs_seed3_bf16"),
        ("nnUNetTrainer", "TFEnrichedTrainer_tf100"),
        ("nnUNetTrainer_250epochs", "TFEnrichedTrainer_tf100_250epochs"),
    ],
)
def test_with_a_set_one_trains_as_the_baseline_was_trained(baseline, expected):
    assert enriched_like(baseline, "tf100") == expected
