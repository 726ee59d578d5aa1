"""nnU-Net's postprocessing. In: a training that is done. Out: its segmentations, postprocessed.

What helps is determined on the real cases that the training learned from, never on those that validate.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_tf.benchmark.matrix import PROCESSED, Training
from nnunetv2_tf.dataset.cases import dataset_json, raw_cases


@dataclass(frozen=True)
class Postprocessing:
    """The postprocessing of one training, in its folder."""

    training: Training

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        return "postprocessing"

    @property
    def key(self) -> str:
        """Its name in logs and files."""
        return f"{self.training.key}_postprocessing"

    @property
    def folder(self) -> Path:
        """Where all of it is."""
        return self.training.folder / PROCESSED

    @property
    def state(self) -> str:
        """`done`, `begun` or `missing`."""
        if self.training.state == "done" and (self.training.segmentations / "summary.json").exists():
            return "done"
        return "begun" if self.folder.exists() else "missing"

    @property
    def making_lock(self) -> Path:
        """The lock to hold while it is determined."""
        return self.folder / ".benchmark.lock"

    @property
    def makes(self) -> str:
        """What is made under the lock."""
        return self.key

    @property
    def chosen_on(self) -> list[str]:
        """The cases that it was determined on."""
        ending = dataset_json(self.training.dataset)["file_ending"]
        return sorted(path.name.removesuffix(ending) for path in self._segmented.glob(f"*{ending}"))

    @property
    def _segmented(self) -> Path:
        return self.folder / "train"

    def prepare(self) -> None:
        """Put the images of the training cases, and no others, into a folder for nnU-Net."""
        shutil.rmtree(self.folder / "images", ignore_errors=True)
        shutil.rmtree(self._segmented, ignore_errors=True)
        (self.folder / "images").mkdir(parents=True)
        cases = raw_cases(self.training.dataset)
        ending = dataset_json(self.training.dataset)["file_ending"]
        for case in self.training.split.train:
            for channel, image in enumerate(cases[case].images):
                _link(image.resolve(), self.folder / "images" / f"{case}_{channel:04d}{ending}")

    def commands(self, device: str) -> list[list[str]]:
        """Return nnU-Net's commands: segment the training cases, determine, apply, score."""
        training, model = self.training, self.training.folder.parent
        one = ["-np", "1"]
        described = ["-plans_json", str(model / "plans.json"), "-dataset_json", str(model / "dataset.json")]
        places = ["-i", str(self.folder / "images"), "-o", str(self._segmented), "-m", str(model)]
        predict = [*places, "-f", str(training.fold), "-device", device, "-npp", "1", "-nps", "1"]
        labels, plain = training.dataset.preprocessed / "gt_segmentations", training.folder / "validation"
        apply = ["-i", str(plain), "-o", str(training.segmentations), "-pp_pkl_file"]
        evaluate = [str(labels), str(training.segmentations), "-djfile", str(model / "dataset.json"), "-pfile"]
        return [
            ["nnUNetv2_predict_from_modelfolder", *predict, "--disable_progress_bar"],
            ["nnUNetv2_determine_postprocessing", "-i", str(self._segmented), "-ref", str(labels), *described, *one],
            ["nnUNetv2_apply_postprocessing", *apply, str(self._segmented / "postprocessing.pkl"), *described, *one],
            ["nnUNetv2_evaluate_folder", *evaluate, str(model / "plans.json"), *one, "--chill"],
        ]


def _link(image: Path, place: Path) -> None:
    try:
        place.symlink_to(image)
    except OSError:  # file systems without links
        shutil.copyfile(image, place)
