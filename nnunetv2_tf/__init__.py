"""Tumor Fabrication for nnU-Net v2 (TF = Tumor Fabrication, not TensorFlow).

The map of the package, in the order in which a case flows through it:

* root files, which everybody may use: `errors` and `arguments` of commands; `work` (files whole or not at all),
  `stamps` (digests), `records` (dataclasses as JSON); `folders` (where things live), `cases` (what a case is), `folds`
  (who trains, who validates), `labels` (what BraTS' numbers mean), `modalities` (what channels are called), `meaning`
  (which labels are tumour), `provenance` (manifest and sidecar of synthetic cases); `panels` (pictures); `diagnosis`;
  `codebase` (which code is running).
* `baseline`: the nnU-Net of a fold's real cases, and its encoder, through which methods learn.
* `dataset_conversion`: other people's folders as nnU-Net datasets.
* `preparation`: scans as nnU-Net stores them, the space in which all methods work.
* `standin`: data for tests and the demo.
* `tumours`: the recipe (who gets whose tumour), and the way of a tumour onto its host.
* `networks`, `training`: what all methods that learn share.
* `methods`: one file or folder per method, `carvemix`, `tf_aug` and `tf_gan` so far; `methods.base` is the contract.
* `synthesis`: recipes become cases; the only place that knows native images.
* `sets`: named collections of synthetic cases, and all that the trainers need of them.
* `quality`: whether what we make, and what we make it from, looks like what it stands for.
* `trainers`: TFBaselineTrainer and TFEnrichedTrainer, found by `nnUNetv2_train -tr`.
* `benchmark`: did it help?
* `commands`: one module per console command.
* `_autoreg`, `_ext`: how nnU-Net finds the trainers.

Importing this file costs nothing: Python does it at every start, because of the .pth file.
"""

__version__ = "0.1.0"
