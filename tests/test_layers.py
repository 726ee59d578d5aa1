"""Imports go one way, the map of the package is true, and no file grows beyond what one reads in one go."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nnunetv2_tf

PACKAGE = Path(nnunetv2_tf.__file__).parent
REPOSITORY = Path(__file__).parent.parent
LAYERS = [
    {"commands"},
    {"enrich"},
    {"report"},
    {"trainers"},
    {"benchmark"},
    {"online"},
    {"synthesis"},
    {"quality", "sets"},
    {"methods"},
    {"training", "networks", "tumours", "standin"},
    {"baseline", "conversion"},
    {"registration"},
    {"working_space"},
    {"geometry", "dataset"},
    {"io"},
]
ENTRIES = ("nnunetv2_tf_discovery.py", "__main__.py")  # stand in for the trainers, and for a command
MIRRORED = ("tumours", "synthesis", "methods")  # rooms whose modules each have a test file of their name
FILES = sorted([*PACKAGE.rglob("*.py"), *(REPOSITORY / "trainers").glob("*.py")])


def layer(name: str) -> int:
    """0 for what Python starts with, higher for what may import more."""
    return next((len(LAYERS) - index for index, names in enumerate(LAYERS) if name in names), 0)


def place(path: Path) -> str:
    if path.parent.name == "trainers":
        return "trainers"
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else "root"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "nnunetv2_tf":
            modules = [f"nnunetv2_tf.{alias.name}" for alias in node.names]
        yield from (module.split(".")[1] for module in modules if module.startswith("nnunetv2_tf."))


def test_no_upward_import():
    upward = [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in FILES
        for name in imported(path)
        if path.name not in ENTRIES and name != place(path) and layer(name) >= layer(place(path)) and layer(name) > 0
    ]
    assert not upward


def test_the_layers_are_the_folders_there_are():
    known = set().union(*LAYERS) | {"_ext", "schemas"}
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} <= known


@pytest.mark.parametrize("room", MIRRORED)
def test_each_module_has_a_test_file_of_its_name(room):
    """But for packages' own files, settings, and `base`, which is tested by whoever derives from it."""
    modules = [path.relative_to(PACKAGE) for path in (PACKAGE / room).rglob("*.py")]
    wanted = {
        path.with_name(f"test_{path.name}")
        for path in modules
        if path.name not in ("__init__.py", "base.py") and not path.stem.endswith("config")
    }
    missing = sorted(str(path) for path in wanted if not (REPOSITORY / "tests" / path).exists())
    assert not missing


def test_the_map_names_every_part():
    named = set(re.findall(r"`(\w+)`", nnunetv2_tf.__doc__ or ""))
    parts = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    parts -= {"__pycache__", "__init__", "__main__", "py", "schemas"}
    assert parts <= named, parts - named


def test_no_file_over_300_lines():
    others = [path for folder in ("tests", "benchmarks", "scripts") for path in (REPOSITORY / folder).rglob("*.py")]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (*FILES, *others)}
    assert not {str(path): number for path, number in lines.items() if number > 300}
