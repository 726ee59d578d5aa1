"""Short ways to make sets in tests."""

from pathlib import Path
from typing import Any

from nnunetv2_tf.sets.store import SetPart
from nnunetv2_tf.synthesis import actions
from nnunetv2_tf.synthesis.hosts import HealthyHosts
from nnunetv2_tf.tumours.settings import PRESETS
from nnunetv2_tf.work import Share
from tests.workspace import HEALTHY, TINY, Workspace, tree


def make_set(workspace: Workspace, name: str = "cm", num_cases: int | None = 4, **changes: Any) -> SetPart:
    """Makes a CarveMix set of fold 0 in this process."""
    settings: dict[str, Any] = {
        "healthy": None,
        "asked": {},
        "preset": "default",
        "plans_name": TINY,
        "recipe": None,
        "recipe_only": False,
        "seed": 0,
        "share": Share(),
        "num_processes": 1,
        "device": "cpu",
        "overwrite": False,
    }
    method, folds = changes.pop("method", "carvemix"), changes.pop("folds", [0])
    settings |= changes
    actions.synthesize(workspace.id, "3d_fullres", folds, method, name, num_cases=num_cases, **settings)
    return SetPart(workspace.dataset, name, folds[0])


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


def healthy_hosts_of(workspace: Workspace) -> HealthyHosts:
    """Of fold 0."""
    return HealthyHosts(workspace.dataset, workspace.plan(), 0, 0, HEALTHY, PRESETS["default"])
