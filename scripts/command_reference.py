"""Write docs/reference/commands.md: what every command's -h says. In: the parsers. Out: one page.

python -m scripts.command_reference
"""

import importlib
import os
import pkgutil
import sys
from pathlib import Path

from nnunetv2_tf import commands

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "commands.md"
WIDTH = "100"  # columns, whatever the terminal
HEAD = """\
# Commands

What `-h` says, by `python -m scripts.command_reference`. Wherever a model or a fold is involved, commands are addressed
as nnU-Net's are, `DATASET CONFIGURATION FOLD`; what concerns a dataset takes `-d`. `python -m nnunetv2_tf` prints
versions, folders, and whether nnU-Net finds the trainers; `python -m nnunetv2_tf.standin` makes stand-in data (`-h`).
"""


def page() -> str:
    """Return the page as Markdown."""
    os.environ["COLUMNS"] = WIDTH
    modules = (
        importlib.import_module(f"{commands.__name__}.{info.name}") for info in pkgutil.iter_modules(commands.__path__)
    )
    parsers = [module._parser() for module in modules if hasattr(module, "_parser")]
    return HEAD + "".join(f"\n## {parser.prog}\n\n```text\n{parser.format_help().strip()}\n```\n" for parser in parsers)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit()
