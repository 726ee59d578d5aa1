"""The documentation builds without a warning, its links lead somewhere, and it says what the program says."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.command_reference import PAGE, page
from tests.environments import REPOSITORY

README_LIMIT = 7 * 1024  # bytes
TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")


def test_readme_is_short():
    assert (REPOSITORY / "README.md").stat().st_size <= README_LIMIT


def test_links_lead_somewhere():
    pages = [*(REPOSITORY / name for name in TOP), *(REPOSITORY / "docs").rglob("*.md")]
    for path in pages:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "guide" / "brats.html").exists()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="argparse wraps usage otherwise")
def test_the_reference_is_what_help_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m scripts.command_reference"


def test_results_begin_with_what_was_found():
    for path in (REPOSITORY / "docs" / "results").glob("*.md"):
        if path.name != "index.md":
            first = path.read_text(encoding="utf-8").split("\n\n")[1]
            assert re.fullmatch(r"\*\*.+\*\*", first, re.DOTALL), path.name


def test_troubleshooting_quotes_what_the_program_says():
    said = list(sentences())
    text = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^### `(.+)`$", text, re.MULTILINE)
    assert len(quoted) > 30
    foreign = "set_num_threads expects a positive integer"  # nnU-Net's
    assert [quote for quote in quoted if quote != foreign and not any(quote in sentence for sentence in said)] == []


def sentences() -> list[str]:
    """Every text in the package and the trainers, with … for what is put into it."""
    files = [*(REPOSITORY / "nnunetv2_tf").rglob("*.py"), *(REPOSITORY / "trainers").glob("*.py")]
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in files)
    return [words(node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr)]


def words(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(words(value) for value in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "…"
