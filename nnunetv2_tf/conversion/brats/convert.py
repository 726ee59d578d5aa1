"""What `nnUNetv2_tf_convert_brats` does. In: a request. Out: a dataset or label files, and sentences on the screen."""

from nnunetv2_tf.conversion.brats.dataset import ConvertBratsRequest, convert, summary
from nnunetv2_tf.conversion.brats.labels import MODALITIES, source_named
from nnunetv2_tf.conversion.brats.relabel_predictions import RelabelRequest, turn_back
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError

SELDOM_HEALTHY = "t1c"


def convert_brats(request: ConvertBratsRequest) -> None:
    """Convert BraTS folders into a new dataset and say what came out."""
    modalities = request.modalities
    wrong = [modality for modality in modalities if modality not in MODALITIES]
    if wrong or len(set(modalities)) < len(modalities):
        raise UserError(f"-modalities takes each of {' '.join(MODALITIES)} once at most, not {' '.join(modalities)}.")
    with Dataset.of(request.number, request.name).lock:
        dataset = Dataset.new(request.number, request.name)
        converted, passed = convert(dataset, request)
    print(f"{dataset.raw} is written.\n{summary(converted, passed, request.unlabelled)}")
    if SELDOM_HEALTHY in modalities:
        print("Healthy scans with contrast agent (t1c) hardly exist: for tumours in healthy scans use -modalities t1n.")
    if request.how == "reference":
        print("Files that need no change stay where they are; dataset.json names them, so do not move them.")
    if request.unlabelled:
        print(f"Next: nnUNetv2_tf_preprocess_healthy -d LABELLED -unlabelled {request.number}")
        return
    print(f"Next: nnUNetv2_plan_and_preprocess -d {request.number} -c 3d_fullres")


def convert_back(request: RelabelRequest) -> None:
    """Write predictions in a source's numbering and say how many."""
    count = turn_back(request)
    print(f"{count} label files are written to {request.output} in the numbering of {source_named(request.source)}.")
