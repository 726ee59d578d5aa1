"""Enrichments that are killed on the way."""

import signal
import time

from tests.workspace import Workspace


def killed_while(workspace: Workspace, command: str, *words: str) -> None:
    """Starts nnUNetv2_tf_enrich and kills it, and it alone, while one of its commands is at work."""
    before = log_of(workspace).count(f" {command} ")
    process = workspace.start("nnUNetv2_tf_enrich", *words, nnUNet_n_proc_DA="0")
    while log_of(workspace).count(f" {command} ") == before:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def log_of(workspace: Workspace) -> str:
    """All that the commands said."""
    folder = workspace.results.parent / "tf_enrich" / workspace.dataset.name
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.log")))
