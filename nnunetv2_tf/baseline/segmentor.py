"""The baseline as segmentor (FreeTumor's S). In: images as nnU-Net normalises. Out: probabilities and segmentations.

By nnU-Net's own sliding window, which adds tiles up in half precision, from checkpoint_final: for labels that exclude
one another a softmax over them, for overlapping regions one sigmoid each.
"""

from contextlib import redirect_stdout

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor

from nnunetv2_tf.baseline.checkpoint import Baseline


class Segmentor:
    """A trained nnU-Net that segments arrays of working space."""

    def __init__(self, baseline: Baseline, device: torch.device, mirroring: bool = False) -> None:
        """Load the network.

        Args:
            baseline: whose checkpoint_final
            device: where to work
            mirroring: average over the axes that nnU-Net mirrored in training, as its predictions do; eight passes
        """
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # which brings torch's compiler along

        checkpoint = baseline.checkpoint()
        arguments, network = checkpoint["init_args"], baseline.network()
        network.decoder.deep_supervision = False  # type: ignore[union-attr]
        plans = PlansManager(arguments["plans"])
        configuration = plans.get_configuration(arguments["configuration"])
        self.patch: tuple[int, ...] = tuple(configuration.patch_size)  # that it works in
        self.labels = plans.get_label_manager(arguments["dataset_json"])
        on_gpu = device.type == "cuda"
        with redirect_stdout(None):  # on a CPU nnU-Net prints that it is no GPU, once for every process
            self.predictor = nnUNetPredictor(
                use_mirroring=mirroring, perform_everything_on_device=on_gpu, device=device, allow_tqdm=False
            )
        self.predictor.manual_initialization(
            network.requires_grad_(False),
            plans,
            configuration,
            None,
            arguments["dataset_json"],
            baseline.trainer,
            checkpoint.get("inference_allowed_mirroring_axes"),
        )

    @property
    def has_regions(self) -> bool:
        """Whether it was trained on overlapping regions."""
        return self.labels.has_regions

    def probabilities(self, image: Tensor) -> Tensor:
        """Return (K, Z, Y, X) float32 on the CPU, for an image (C, Z, Y, X).

        K counts nnU-Net's labels with background first, or its regions in the order of dataset.json.
        """
        logits = self.predictor.predict_sliding_window_return_logits(image)
        probabilities = torch.as_tensor(self.labels.apply_inference_nonlin(logits))
        return probabilities.float().cpu().clone()  # the clone leaves inference mode

    def segmentation(self, image: Tensor) -> Tensor:
        """Return (Z, Y, X) int16: the dataset's label values, for an image (C, Z, Y, X)."""
        labels = self.labels.convert_probabilities_to_segmentation(self.probabilities(image))
        return torch.as_tensor(labels).to(torch.int16)
