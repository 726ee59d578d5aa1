from pathlib import Path

import pytest

from nnunetv2_tf.benchmark.tables import validation_table
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.work import write_json


def test_one_row_per_fold(tmp_path: Path):
    folds = [tmp_path / f"{trainer}__plans__3d_fullres" / "fold_0" for trainer in ("A", "B")]
    for fold, dice in zip(folds, (0.5, 0.25), strict=True):
        summary = {"mean": {"1": {"Dice": dice}, "2": {"Dice": 1.0}}, "foreground_mean": {"Dice": (dice + 1) / 2}}
        write_json(fold / "validation" / "summary.json", summary)
    assert validation_table(folds).splitlines() == [
        "| model | fold | class 1 | class 2 | mean Dice |",
        "| --- | --- | --- | --- | --- |",
        "| A | 0 | 0.500 | 1.000 | 0.750 |",
        "| B | 0 | 0.250 | 1.000 | 0.625 |",
    ]
    with pytest.raises(UserError, match=r"summary\.json does not exist; train it first"):
        validation_table([tmp_path / "C"])
