"""How long `nnUNetv2_tf_* -h` takes, against a bare `python -c pass` of the same Python (goal: below 5).

`python -m benchmarks.help_time` prints a line per command.
"""

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.ratios import interleaved

PAIRS = 40


def timed(*command: str) -> float:
    """Return the seconds that a process takes from start to end."""
    start = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def main() -> None:
    """Print one line per command."""
    for entry in importlib.metadata.entry_points(group="console_scripts"):
        if entry.value.startswith("nnunetv2_tf."):
            script = str(Path(sys.executable).parent / entry.name)
            ratio = interleaved(lambda: timed(sys.executable, "-c", "pass"), lambda s=script: timed(s, "-h"), PAIRS)
            print(f"{entry.name} -h: {ratio}")


if __name__ == "__main__":
    main()
