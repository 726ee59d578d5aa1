import subprocess
from pathlib import Path

import pytest

from nnunetv2_tf import __version__
from nnunetv2_tf.dataset.code_version import (
    CodeVersion,
    code_version,
    packages,
    read_code_versions,
    write_code_versions,
)
from nnunetv2_tf.io.errors import UserError


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout.strip()


def test_a_checkout_is_clean_until_something_changes(tmp_path: Path):
    git(tmp_path, "init", "-q")
    (tmp_path / "module.py").write_text("a = 1\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert code_version(tmp_path) == CodeVersion(__version__, commit, (), packages())
    assert code_version(tmp_path).clean
    (tmp_path / "module.py").write_text("a = 2\n", encoding="utf-8")
    (tmp_path / "new.py").touch()
    assert code_version(tmp_path) == CodeVersion(__version__, commit, ("module.py", "new.py"), packages())
    assert not code_version(tmp_path).clean


def test_an_installed_package_has_a_version_only(tmp_path: Path):
    assert code_version(tmp_path) == CodeVersion(__version__, None, (), packages())


def test_what_git_does_not_speak_about_is_not_clean(tmp_path: Path, monkeypatch):
    git(tmp_path, "init", "-q")
    assert not code_version(tmp_path).clean  # no commit yet
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    assert code_version(tmp_path).clean
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in containers and on clusters
    assert not code_version(tmp_path).clean
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not code_version(tmp_path).clean


def test_a_result_carries_the_code_that_trained_it(tmp_path: Path):
    assert read_code_versions(tmp_path) == []
    entries = [CodeVersion("1", "a" * 40, ()), CodeVersion("1", None, ("x.py",))]
    write_code_versions(entries, tmp_path)
    assert read_code_versions(tmp_path) == entries
    assert [str(entry) for entry in entries] == ["a" * 40, "version 1+changes"]
    for damage, sentence in (("{}", "must hold a list"), ("[{}]", "lacks or does not know"), ("[", "not valid JSON")):
        (tmp_path / "tf_code.json").write_text(damage, encoding="utf-8")
        with pytest.raises(UserError, match=sentence):
            read_code_versions(tmp_path)
