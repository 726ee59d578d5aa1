"""Tumor Fabrication for nnU-Net v2 (TF = Tumor Fabrication, not TensorFlow).

The map of the package, in the order in which a case flows through it. Imports go from what stands below to what stands
above; rooms of one line do not import one another (tests/test_layers.py).

* `io`: files that are whole or absent, processes, dataclasses as JSON, digests, errors and arguments of commands.
* `dataset`, `geometry`: nnU-Net's datasets, and our sets in them, on disk; boxes, grids, feathers, rotations.
* `working_space`: cases as nnU-Net stores them, the space in which all methods work; `Site` is a box of one.
* `registration`: scans laid upon a reference, without skull, and checked.
* `conversion`: other people's folders as nnU-Net datasets; alone knows BraTS, IXI, PPMI, BIDS and DICOM.
* `baseline`: the nnU-Net of a fold's real cases, and its encoder, through which methods learn.
* `standin`: data for tests and the demo.
* `tumours`: which tumour goes where (`sampler` decides, `recipe` and `recipe_cache` keep it), and its way into a host
  (`warp`, `place` for healthy hosts, `donor_patch` for real ones).
* `networks`, `training`: what all methods that learn share.
* `methods`: one file or folder per method, `carvemix`, `tf_aug`, `tf_gan` and others; `methods.base` is the contract.
* `sets`: named collections of synthetic cases, and all that the trainers need of them.
* `quality`: whether what we make, and what we make it from, looks like what it stands for.
* `synthesis`: recipes become cases: `host_pool`, `site_builder`, a method's edit, `compose`, `set_builder`; the only
  room that knows native images of hosts.
* `online`: new cases while nnU-Net trains.
* `benchmark`: did it help?
* `report`: figures of a set: does it look real, is it worth training on?
* `enrich`: all of it in one command: what is missing is found, and done in order.
* `trainers`: TFBaselineTrainer, TFEnrichedTrainer, TFOnlineTrainer, TFMixupTrainer, for `nnUNetv2_train -tr`; beside
  this folder.
* `commands`: one module per console command, from what users type to one request.
* `_autoreg`, `_ext`: how nnU-Net finds the trainers.

Importing this file costs nothing: Python does it at every start, because of the .pth file.
"""

__version__ = "0.1.0"
