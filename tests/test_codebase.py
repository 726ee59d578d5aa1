import subprocess
from pathlib import Path

from nnunetv2_tf import __version__
from nnunetv2_tf.codebase import Codebase, codebase, note_codebase, noted_codebases


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_checkout_is_clean_until_something_changes(tmp_path: Path):
    git(tmp_path, "init", "-q")
    (tmp_path / "module.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert codebase(tmp_path) == Codebase(__version__, commit, ())
    assert codebase(tmp_path).clean
    (tmp_path / "module.py").write_text("a = 2\n")
    (tmp_path / "new.py").touch()
    assert codebase(tmp_path) == Codebase(__version__, commit, ("module.py", "new.py"))
    assert not codebase(tmp_path).clean


def test_an_installed_package_has_a_version_only(tmp_path: Path):
    assert codebase(tmp_path) == Codebase(__version__, None, ())


def test_a_result_remembers_all_code_that_trained_it(tmp_path: Path, monkeypatch):
    assert noted_codebases(tmp_path) == []
    first, second = Codebase("1", "a" * 40, ()), Codebase("1", "b" * 40, ("x.py",))
    monkeypatch.setattr("nnunetv2_tf.codebase.codebase", lambda: first)
    note_codebase(tmp_path, continued=False)
    note_codebase(tmp_path, continued=True)
    monkeypatch.setattr("nnunetv2_tf.codebase.codebase", lambda: second)
    note_codebase(tmp_path, continued=True)
    assert noted_codebases(tmp_path) == [first, second]
    note_codebase(tmp_path, continued=False)
    assert noted_codebases(tmp_path) == [second]
