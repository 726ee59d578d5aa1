import pytest

from nnunetv2_tf.sets import manage
from tests.workspace import TINY, Workspace


@pytest.fixture
def enriched(workspace: Workspace) -> Workspace:
    """A workspace whose fold 0 has the set `demo` of four foreign cases."""
    add_set(workspace, "demo")
    return workspace


def add_set(
    workspace: Workspace, name: str, fold: int | str = 0, num_cases: int = 4, configurations=("3d_fullres",), plans=TINY
) -> None:
    folder = workspace.foreign_cases(fold, num_cases)
    manage.add(
        manage.AddRequest(workspace.id, folder, name, (fold,), folder / "ancestors.json", configurations, plans, 1)
    )
