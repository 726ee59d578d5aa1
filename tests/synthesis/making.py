"""Short ways to make sets in tests, and to look at cases."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunetv2_tf.geometry.boxes import Box, box_from
from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.placing_pools import HealthyHostPool
from nnunetv2_tf.synthesis.requests import SynthesizeRequest, synthesize
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from nnunetv2_tf.working_space.healthy import PreprocessHealthyRequest, preprocess_healthy
from nnunetv2_tf.working_space.stored import Case, OpenCase
from tests.workspace import HEALTHY, TINY, Workspace, tree

PEOPLE = {f"person_{index:03d}" for index in range(6)}  # of the healthy dataset


def make_set(workspace: Workspace, name: str = "cm", num_cases: int | None = 4, **changes: Any) -> SetPart:
    """Makes a CarveMix set of fold 0 in this process."""
    settings: dict[str, Any] = {"healthy": None, "plans": TINY, "method": "carvemix", "folds": (0,), **changes}
    request = SynthesizeRequest(
        dataset=workspace.id, configuration="3d_fullres", set_name=name, num_cases=num_cases, **settings
    )
    synthesize(request)
    return SetPart(workspace.dataset, name, request.folds[0])


def written(part: SetPart) -> dict[str, bytes]:
    """All files of a part."""
    return tree(part.folder)


def cases_in(part: SetPart) -> list[str]:
    """The cases the manifest counts."""
    return [entry.case for entry in part.manifest().accepted]


def temporary_files(root: Path) -> list[str]:
    """What a killed process may leave behind."""
    return [str(path.relative_to(root)) for path in root.rglob(".*") if path.suffix in (".tmp", ".lock")]


def make_glowing(workspace: Workspace, name: str = "glow", **changes: Any) -> SetPart:
    """Makes a set with healthy hosts."""
    settings = {"method": "tests.methods.examples:Glow", "healthy": "601", "num_cases": 4, **changes}
    return make_set(workspace, name, **settings)


def cohort_of(workspace: Workspace) -> Cohort:
    """Fold 0 and the healthy people."""
    return Cohort(workspace.dataset, workspace.plan(), 0, HEALTHY)


def healthy_hosts_of(workspace: Workspace) -> HealthyHostPool:
    """Of fold 0."""
    return HealthyHostPool(cohort_of(workspace), 0, SamplingConfig())


def preprocess_people(number: str = "601") -> None:
    """Anew, where the healthy scans have changed."""
    preprocess_healthy(PreprocessHealthyRequest("501", number, TINY, ("3d_fullres",), 1))


def without_organ(case: Case) -> Case:
    """The case, had no voxel the labels of its tumour and organ."""
    return replace(case, roles=replace(case.roles, tumour=(9,), organ=(9,)))


def crop_of(case: OpenCase) -> Box:
    """The part of the scan that nnU-Net has kept; nothing is resampled in tests that ask for it."""
    return box_from(case.grid.start, np.add(case.grid.start, case.grid.cropped))


def on_scan(case: OpenCase, cropped: np.ndarray) -> np.ndarray:
    """An array of a case on its whole scan, 0 where nnU-Net cropped."""
    whole = np.zeros(case.grid.native_shape, cropped.dtype)
    whole[crop_of(case)] = cropped
    return whole


def tumour_there(donor: OpenCase, host: OpenCase) -> np.ndarray:
    """A donor's tumour in the host's crop, as both lie in one scan space."""
    return on_scan(donor, donor.tumour())[crop_of(host)]


def volume(path: Path) -> np.ndarray:
    """Of a file, (Z, Y, X)."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
