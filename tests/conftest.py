import os

os.environ["nnUNet_def_n_proc"] = "1"  # read when nnunetv2 is imported
os.environ["nnUNet_n_proc_DA"] = "0"
os.environ["OMP_NUM_THREADS"] = "1"  # tests run side by side
# nnU-Net draws a picture of 16 million pixels after each epoch, which takes longer than the few steps of a test
os.environ["MATPLOTLIBRC"] = os.path.join(os.path.dirname(__file__), "matplotlibrc")

import functools
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.dataset.folds import splits_file
from nnunetv2_tf.io.files import locked
from nnunetv2_tf.standin.brains import Brains, healthy
from nnunetv2_tf.working_space.healthy import PreprocessHealthyRequest, preprocess_healthy
from nnunetv2_tf.working_space.preprocess import preprocess_cases
from tests.scenes import SCENES, Built, build_scene, open_scene, write_scene
from tests.synthesis.making import cohort_of
from tests.workspace import HEALTHY, PLANNED, TINY, TRAINER, Workspace, add_set, write_test_plans

__all__ = ["build_scene"]
Once = Callable[[str, Callable[[Path], object]], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files come first, those of few and long tests before all, so that no worker waits long for the last one."""
    numbers = Counter(item.path for item in items)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (0, numbers[item.path]) if item.path in slow else (1, -numbers[item.path]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints which files took longest, summed over set-up, tests and tear-down."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.section("ten slowest files")
    for name, total in sorted(seconds.items(), key=lambda pair: -pair[1])[:10]:
        terminalreporter.line(f"{total:7.1f} s  {name}")


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_disks() -> Iterator[None]:
    """Tests write thousands of files, and no power cut matters to them; tests/io/test_written.py has the real thing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fills a folder of a name in the first worker that wants it; the others wait for it. Not to be changed."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def fill(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = root / "once" / name, root / "once" / f"{name}.done"
        with locked(root / "once" / f"{name}.lock", name):
            if not done.exists():
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return fill


@pytest.fixture(scope="session")
def template(once: Once) -> Workspace:
    """Ten planned and preprocessed cases; not to be changed.

    The plans are kept in tests/planned; tests/working_space/test_preprocess.py shows that nnU-Net's own command makes
    the same of these cases.
    """
    root = once("template", make_template)
    return Workspace(root, Dataset("Dataset501_StandIns"), root)


def make_template(root: Path) -> None:
    workspace = Workspace(root, Dataset("Dataset501_StandIns"))
    with pytest.MonkeyPatch.context() as patch:
        enter(workspace, patch)
        write_template(workspace)
        shutil.copytree(PLANNED, workspace.dataset.preprocessed)
        shutil.copy(workspace.dataset.raw / "dataset.json", workspace.dataset.preprocessed)
        shutil.copytree(workspace.dataset.raw / "labelsTr", workspace.dataset.preprocessed / "gt_segmentations")
        for configuration in ("2d", "3d_fullres"):
            plan = workspace.plan(configuration, "nnUNetPlans")
            folder = workspace.dataset.preprocessed / plan.data_identifier
            list(preprocess_cases(plan, list(raw_cases(workspace.dataset).values()), folder, 1))
        write_test_plans(workspace.dataset)
        workspace.foreign_cases()
        splits_file(workspace.dataset).unlink()


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `template`, with the environment set to it."""
    return entered_copy(template, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def enriched_template(template: Workspace, once: Once) -> Workspace:
    """`template` with the set `demo` of four foreign cases in fold 0; not to be changed."""
    return extended(once, "enriched", template, lambda copy: add_set(copy, "demo"))


@pytest.fixture
def enriched(enriched_template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `enriched_template`, with the environment set to it."""
    return entered_copy(enriched_template, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def template_with_healthy(template: Workspace, once: Once) -> Workspace:
    """`template` and Dataset601_Healthy, six healthy people preprocessed by its tiny plans; not to be changed."""

    def add_healthy(copy: Workspace) -> None:
        healthy().write_dataset(HEALTHY.raw, 6, seed=5, prefix="person")
        preprocess_healthy(PreprocessHealthyRequest("501", "601", TINY, ("3d_fullres",), 1))
        cohort_of(copy).observed_strengths(1)  # which are kept, so that no test measures them again
        splits_file(copy.dataset).unlink()

    return extended(once, "with_healthy", template, add_healthy)


@pytest.fixture
def with_healthy(template_with_healthy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `template_with_healthy`, with the environment set to it."""
    return entered_copy(template_with_healthy, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def trained_template(template_with_healthy: Workspace, once: Once) -> Workspace:
    """`template_with_healthy` and a baseline of a few steps for fold 0; not to be changed."""

    return extended(once, "trained", template_with_healthy, lambda copy: copy.trainer(TRAINER).run_training())


@pytest.fixture
def trained(trained_template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of `trained_template`, with the environment set to it."""
    return entered_copy(trained_template, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def scenes(once: Once) -> Callable[[str], Built]:
    """The scenes by name, each built once; not to be changed."""

    def built(name: str) -> Built:
        return open_scene(once(f"scene {name}", lambda root: write_scene(SCENES[name], root)))

    return functools.cache(built)


@pytest.fixture
def scene(request: pytest.FixtureRequest, scenes: Callable[[str], Built], monkeypatch: pytest.MonkeyPatch) -> Built:
    """A scene, with the environment set to it; the first one unless a test asks for others by name."""
    built = scenes(getattr(request, "param", "one channel"))
    enter(built.workspace, monkeypatch)
    return built


def write_template(workspace: Workspace) -> None:
    """nnU-Net's three folders, with the raw cases of `template`; needs the environment of the workspace."""
    for folder in workspace.variables.values():
        Path(folder).mkdir()
    Brains().write_dataset(workspace.dataset.raw, 10, seed=0)


def extended(once: Once, name: str, template: Workspace, extend: Callable[[Workspace], object]) -> Workspace:
    """A template that adds something to a copy of another, once for all workers; not to be changed."""

    def make(root: Path) -> None:
        copy = template.copy(root)
        with pytest.MonkeyPatch.context() as patch:
            enter(copy, patch)
            extend(copy)

    return Workspace(once(name, make), template.dataset, template.origin)


def entered_copy(template: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """One that a test may change."""
    copy = template.copy(root)
    enter(copy, monkeypatch)
    return copy


def enter(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets nnU-Net's variables to a workspace."""
    for name, folder in workspace.variables.items():
        monkeypatch.setenv(name, folder)
