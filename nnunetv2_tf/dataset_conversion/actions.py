"""What `nnUNetv2_tf_convert_brats` does. In: what the user typed. Out: files, and sentences on the screen."""

from collections.abc import Sequence
from pathlib import Path

from nnunetv2_tf.dataset_conversion.back import turn_back
from nnunetv2_tf.dataset_conversion.brats import Request, convert, summary
from nnunetv2_tf.dataset_conversion.placing import How
from nnunetv2_tf.errors import UserError
from nnunetv2_tf.folders import Dataset
from nnunetv2_tf.labels import MODALITIES, source_named

SELDOM_HEALTHY = "t1c"


def convert_brats(
    folders: Sequence[Path],
    number: int,
    name: str,
    sources: Sequence[str] | None,
    modalities: Sequence[str],
    regions: bool,
    how: How,
    groups_file: Path | None,
    one_fold: tuple[int, int, int] | None,
    n4: bool,
    num_processes: int,
) -> None:
    """Converts BraTS folders into a new dataset and says what came out."""
    wrong = [modality for modality in modalities if modality not in MODALITIES]
    if wrong or len(set(modalities)) < len(modalities):
        raise UserError(f"-modalities takes each of {' '.join(MODALITIES)} once at most, not {' '.join(modalities)}.")
    dataset = Dataset.new(number, name)
    named = None if sources is None else tuple(source_named(source) for source in sources)
    request = Request(tuple(folders), named, tuple(modalities), regions, how, groups_file, one_fold, n4, num_processes)
    converted = convert(dataset, request)
    print(f"{dataset.raw} is written.\n{summary(converted)}")
    if SELDOM_HEALTHY in modalities:
        print("Healthy scans with contrast agent (t1c) hardly exist: for tumours in healthy scans use -modalities t1n.")
    print(f"Next: nnUNetv2_plan_and_preprocess -d {number} -c 3d_fullres --verify_dataset_integrity")


def convert_back(predictions: Path, output: Path, source: str, num_processes: int) -> None:
    """Turns predictions into a source's numbering."""
    count = turn_back(predictions, output, source_named(source), num_processes)
    print(f"{count} label files are written to {output} in the numbering of {source_named(source)}.")
