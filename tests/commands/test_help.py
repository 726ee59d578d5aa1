"""`-h` teaches, and costs next to nothing: how much is measured in benchmarks/help_time.py."""

import importlib.metadata
import subprocess
import sys

import pytest

COMMANDS = [
    entry.name for entry in importlib.metadata.entry_points(group="console_scripts") if "nnunetv2_tf." in entry.value
]
HEAVY = ("numpy", "torch", "nnunetv2.", "importlib.metadata", "SimpleITK", "tqdm", "scipy", "dataclasses")


def test_there_are_commands():
    assert "nnUNetv2_tf_sets" in COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(command):
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name=command)
    program = f"import sys; sys.argv = [{command!r}, '-h']; from {entry.module} import {entry.attr}; {entry.attr}()"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", program], capture_output=True, encoding="utf-8")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert done.stdout.startswith(f"usage: {command}")
    imported = [line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert not [name for name in imported if name.startswith(HEAVY)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--add", "x"], "--add needs -s and -f too"),
        (["--add", "x", "-s", "a", "-f", "0"], "--add needs -ancestors FILE"),
        (["--export", "-s", "a"], "--export needs -o too"),
        (["--remove"], "--remove needs -s too"),
        (["--preprocess"], "--preprocess needs -s too"),
        (["--export", "-s", "a", "-o", "7", "-c", "2d"], "-c does not belong to --export"),
        (["--clear_kept", "-s", "a"], "-s does not belong to --clear_kept"),
        (["-s", "a"], "-s does not belong to the table of sets"),
    ],
)
def test_missing_options_are_named(arguments, sentence, capsys, monkeypatch):
    from nnunetv2_tf.commands.sets import main

    monkeypatch.setattr(sys, "argv", ["nnUNetv2_tf_sets", "-d", "501", *arguments])
    assert main() == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--add", "x", "--remove"], ["-f", "first"], ["--trust", "-ancestors", "x"], []])
def test_contradictions_are_for_argparse(arguments, capsys, monkeypatch):
    from nnunetv2_tf.commands.sets import main

    monkeypatch.setattr(sys, "argv", ["nnUNetv2_tf_sets", *(["-d", "501", *arguments] if arguments else [])])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "usage:" in said
    assert ("a fold is a number or 'all', not 'first'" in said) is ("first" in arguments)
