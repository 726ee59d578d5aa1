"""Fuzzes everything of ours that reads what others may have written: can bytes crash it, hang it, or eat the memory?

    pip install atheris
    python -m benchmarks.fuzz FOLDER [-minutes 10] [-readers nifti records ...] [--keep]

Each reader of tests/fuzz/readers.py gets bytes that libFuzzer changes, in the direction of code that no input has
reached yet, for so many minutes of processor time, in a process that may have 8 GiB. What a reader raises other than a
UserError is a finding; it is kept in FOLDER/<reader>/findings, once per place in the code, and fuzzing goes on. What
reached new code lies in FOLDER/<reader>/corpus, and run again, fuzzing goes on from there. --keep copies findings, and
the smallest of the corpus, to tests/fuzz/corpus, which `make test` replays.
"""

import argparse
import hashlib
import importlib
import os
import resource
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import read_json, write_json
from nnunetv2_tf.io.isolated import MEMORY

KEPT = Path(__file__).parents[1] / "tests" / "fuzz" / "corpus"
MOST_KEPT, LARGEST_KEPT = 40, 2048  # files of a reader's corpus, and their bytes
SECONDS = 60  # that an input may take


def main() -> int:
    """Fuzz one reader after the other; return 1 where there were findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where corpora and findings go")
    parser.add_argument("-minutes", type=float, default=10, help="of processor time, for each reader (default: 10)")
    parser.add_argument("-readers", nargs="+", help="only these (default: all)")
    parser.add_argument("--keep", action="store_true", help="copy what is worth replaying to tests/fuzz/corpus")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        _fuzz(arguments.one, arguments.root / arguments.one, arguments.minutes)
        return 0
    from tests.fuzz.readers import READERS

    failed = False
    for name in arguments.readers or READERS:
        folder = arguments.root.resolve() / name
        (folder / "summary.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "benchmarks.fuzz", str(folder.parent), "--one", name]
        done = subprocess.run([*command, "-minutes", str(arguments.minutes)], capture_output=True, text=True)
        failed |= not _report(name, folder, done)
        if arguments.keep:
            _keep(name, folder)
    return int(failed)


def _report(name: str, folder: Path, done: subprocess.CompletedProcess[str]) -> bool:
    """Print what came of a reader; return whether all was well."""
    died = sorted((folder / "died").glob("*"))
    findings = sorted((folder / "findings").glob("*.txt"))
    if not (folder / "summary.json").exists():
        print(f"{name}: the process ended early ({done.returncode}): {done.stderr[-600:]}")
        return False
    said = read_json(folder / "summary.json", "fuzz again.")
    print(
        f"{name}: {said['inputs']} inputs in {said['minutes']:.1f} CPU minutes, {said['refused']} refused by a "
        f"sentence, {said['returned']} read; slowest {said['slowest']:.1f} s, memory at most {said['memory']:.1f} GiB; "
        f"{len(findings)} findings, {len(died)} crashes or hangs",
        flush=True,
    )
    for finding in findings:
        print(f"  {finding}: {finding.read_text(encoding='utf-8').strip().splitlines()[-1]}")
    return not findings and not died


def _fuzz(name: str, folder: Path, minutes: float) -> None:
    """Fuzz one reader in this process, which ends with it."""
    atheris: Any = importlib.import_module("atheris")  # which is installed for this only
    with atheris.instrument_imports(include=["nnunetv2_tf"]):
        from tests.fuzz.readers import READERS, limit_memory, seeds

    corpus, findings, died = (folder / part for part in ("corpus", "findings", "died"))
    for part in (corpus, findings, died):
        part.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        for content in seeds(Path(scratch))[name]:
            (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    limit_memory(MEMORY << 30)
    said: dict[str, Any] = {"inputs": 0, "refused": 0, "returned": 0, "slowest": 0.0}
    work, began = folder / "scratch", _spent()

    def one(content: bytes) -> None:
        spent = _spent() - began
        if spent > 60 * minutes:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            write_json(folder / "summary.json", {**said, "minutes": spent / 60, "memory": memory})
            os._exit(0)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        said["inputs"] += 1
        start = time.monotonic()
        try:
            READERS[name](content, work)
            said["returned"] += 1
        except UserError:
            said["refused"] += 1
        except Exception as error:
            _note(findings, content, error)
        said["slowest"] = max(said["slowest"], time.monotonic() - start)

    options = [f"-artifact_prefix={died}/", f"-timeout={SECONDS}", f"-rss_limit_mb={MEMORY * 1024}", "-max_len=131072"]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=0", str(corpus)], one)
    atheris.Fuzz()


def _spent() -> float:
    """Return the processor time of this process, and of those that it has started."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _note(findings: Path, content: bytes, error: Exception) -> None:
    """Keep an input and what it led to, once for each place in the code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{frame.filename}:{frame.lineno}" for frame in frames if "nnunetv2_tf" in frame.filename]
    key = hashlib.sha256(f"{type(error).__name__} {ours[-1:]}".encode()).hexdigest()[:16]
    if not (findings / key).exists():
        (findings / key).write_bytes(content)
        told = "".join(traceback.format_exception(error))
        (findings / f"{key}.txt").write_text(told, encoding="utf-8")


def _keep(name: str, folder: Path) -> None:
    """Copy findings and the smallest of the corpus to where tests replay them."""
    (KEPT / name).mkdir(parents=True, exist_ok=True)
    found = [path for part in ("findings", "died") for path in (folder / part).glob("*") if path.suffix != ".txt"]
    reached = sorted((folder / "corpus").glob("*"), key=lambda path: (path.stat().st_size, path.name))
    small = [path for path in reached if path.stat().st_size <= LARGEST_KEPT][:MOST_KEPT]
    for path in [*found, *(small or reached[:1])]:
        shutil.copyfile(path, KEPT / name / path.name)


if __name__ == "__main__":
    sys.exit(main())
