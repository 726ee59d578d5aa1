"""No command of the README escapes the tests, and none has an option that its command does not know."""

import importlib
import re

import pytest

from tests.environments import REPOSITORY
from tests.readme.blocks import blocks_by_section, commands_outside_blocks

COVERED = {  # by heading: the file that runs its blocks
    "nnunetv2_tf": "test_raw_data_to_benchmark",
    "Install": "test_install",
    "Try it": "test_install",
    "From raw data to an enriched nnU-Net": "test_raw_data_to_benchmark",
    "Healthy scans": "test_tumor_fabrication",
    "Tumours in healthy scans": "test_tumor_fabrication",
    "TF-Aug": "test_tumor_fabrication",
    "TF-GAN": "test_tumor_fabrication",
    "Does it help?": "test_raw_data_to_benchmark",
}
OURS = [
    line
    for blocks in blocks_by_section().values()
    for block in blocks
    for line in block
    if re.match(r"nnUNetv2_tf_|python -m nnunetv2_tf\.", line)
]


def test_every_block_is_run_by_a_file_that_names_its_section():
    assert set(blocks_by_section()) == set(COVERED)
    for heading, name in COVERED.items():
        text = (REPOSITORY / "tests" / "readme" / f"{name}.py").read_text(encoding="utf-8")
        assert f'BLOCKS["{heading}"]' in text


def test_no_command_stands_outside_a_block():
    assert list(commands_outside_blocks()) == []
    assert list(commands_outside_blocks("    nnUNetv2_tf_sets -d 501\n")) == ["    nnUNetv2_tf_sets -d 501"]


@pytest.mark.parametrize("line", OURS)
def test_our_commands_know_every_option(line, capsys):
    words = line.split()
    module, arguments = f"nnunetv2_tf.commands.{words[0].removeprefix('nnUNetv2_tf_')}", words[1:]
    if words[0] == "python":
        module, arguments = f"{words[2]}.__main__", words[3:]
    parser = importlib.import_module(module)._parser()
    if arguments[-1:] != ["-h"]:
        parser.parse_args(arguments)


def test_links_lead_somewhere():
    pages = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
