"""What happens when somebody does it wrong: each ordinary mistake once, what is said, and whether one step leads back.

    python -m benchmarks.ordinary_mistakes FOLDER [-o docs/results/mistakes.md]

Everything runs on stand-ins in FOLDER, which is made and must not exist; let its path have a space. A mistake counts as
led back from when it ends with exit code 2, in one sentence, with no Traceback, and the step that the sentence names
then succeeds. Ends with exit code 1 when one does not.
"""

import argparse
import os
import re
import shlex
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.commands import BIN, SETTINGS, enter, run
from nnunetv2_tf.dataset.folders import VARIABLES

PLANS, TRAINER = "nnUNetPlansTiny", "TFBaselineTrainer_1epochs_seed0"
# with which root, too, may only write what modes let it write
LIKE_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
WHERE = f"999 3d_fullres 0 -p {PLANS}"
FIT = f"nnUNetv2_tf_fit {WHERE} -healthy 998 -device cpu -tr {TRAINER}"
MAKE = f"nnUNetv2_tf_synthesize {WHERE} -num_cases 2 -np 1"
TRAIN = f"nnUNetv2_train {WHERE} -device cpu"
ENRICH = f"nnUNetv2_tf_enrich {WHERE} -healthy 998 -num_cases 2 -m tf_aug -tr {TRAINER} -device cpu -np 1"
LONGEST = 420  # characters of a sentence that are shown
HEAD = """\
# Ordinary mistakes

**{good} of {all} ordinary mistakes end in one sentence with exit code 2, and one step leads back.**

Written by `python -m benchmarks.ordinary_mistakes FOLDER`, on stand-ins in a folder whose path has a space. Each
command was typed as it stands here, one after the other, and the step back was taken.

| mistake | command | what is said | exit code | back |
|---|---|---|---|---|"""


@dataclass(frozen=True)
class Mistake:
    """A command that cannot be meant, and the step that its sentence names."""

    title: str
    command: str
    named: str  # in the sentence: what leads back
    back: str  # the step back, as it is typed
    before: str = ""  # a command that comes first and is right
    unset: bool = False  # without nnU-Net's variables
    read_only: bool = False  # in folders that nobody may write to


def mistakes() -> list[Mistake]:
    """Return all, in an order in which each step back is the next mistake's ground."""
    plan = "nnUNetv2_plan_and_preprocess -d 999 -c 3d_fullres -npfp 1 -np 1"
    carvemix = f"{MAKE} -m carvemix -s first"
    return [
        Mistake("not planned yet", carvemix.replace(PLANS, "nnUNetPlans"), "run nnUNetv2_plan_and_preprocess", plan),
        Mistake("plans mistyped", carvemix, "name other plans with -p", "python -m nnunetv2_tf.standin plans -d 999"),
        Mistake("variables not set", carvemix, "nnUNet_raw is not set; set it", carvemix, unset=True),
        Mistake("dataset mistyped", carvemix.replace("999", "99"), "give its number", carvemix),
        Mistake("configuration mistyped", carvemix.replace("fullres", "fulres"), "only 2d, 3d_fullres", carvemix),
        Mistake("method mistyped", f"{MAKE} -m carvmix -s first", "choose from carvemix", carvemix),
        Mistake("a set's name that no trainer's can hold", f"{MAKE} -m carvemix -s My_Set", "lower-case letters",
                f"{MAKE} -m carvemix -s myset"),
        Mistake("second run with another seed", f"{MAKE} -m carvemix -s first -seed 1", "another name",
                f"{MAKE} -m carvemix -s second -seed 1"),
        Mistake("set mistyped in the trainer", f"{TRAIN} -tr TFEnrichedTrainer_frist_1epochs", "fold 0 has: first",
                f"{TRAIN} -tr TFEnrichedTrainer_first_1epochs"),
        Mistake("healthy scans not preprocessed", f"{MAKE} -m syntumor -healthy 998 -s healthy",
                "nnUNetv2_tf_preprocess_healthy",
                f"nnUNetv2_tf_preprocess_healthy -d 999 -healthy 998 -p {PLANS} -c 3d_fullres -np 1"),
        Mistake("healthy scans forgotten", f"{MAKE} -m syntumor -s healthy", "-healthy",
                f"{MAKE} -m syntumor -healthy 998 -s healthy"),
        Mistake("healthy scans of another modality", f"{MAKE} -m syntumor -healthy 997 -s t1", "t1n",
                f"{MAKE} -m syntumor -healthy 998 -s t1"),
        Mistake("no baseline trained in this fold", f"{FIT} -m tf_aug", "train it with: nnUNetv2_train Dataset999",
                f"nnUNetv2_train {WHERE} -tr {TRAINER} -device cpu"),
        Mistake("cases before the fit", f"{MAKE} -m tf_aug -healthy 998 -s early -device cpu",
                "run: nnUNetv2_tf_fit 999 3d_fullres 0 -m tf_aug", f"{FIT} -m tf_aug"),
        Mistake("TF-GAN's preset before that of TF-Aug, which it needs", f"{FIT} -m tf_gan -preset paper",
                "-m tf_aug -healthy 998 -p nnUNetPlansTiny -device cpu -preset paper",
                f"{FIT} -m tf_aug -preset paper"),
        Mistake("no GPU, and -device forgotten", FIT.replace(" -device cpu", "") + " -m tf_aug --overwrite",
                "take -device cpu", f"{FIT} -m tf_aug --overwrite"),
        Mistake("all in one, with another seed the second time", f"{ENRICH} -seed 3", "Say --redo",
                f"{ENRICH} -seed 3 --redo", before=ENRICH),
        Mistake("page of a set that is not there", "nnUNetv2_tf_report -d 999 -s frist", "nnUNetv2_tf_sets",
                "nnUNetv2_tf_report -d 999 -s first"),
        Mistake("folders that one may not write to", f"{MAKE} -m carvemix -s mine", "change the permissions",
                f"{MAKE} -m carvemix -s mine", read_only=True),
    ]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of a mistake."""

    mistake: Mistake
    code: int
    said: str  # its sentence
    lines: int  # that begin with Error
    traceback: bool
    led_back: bool = False

    @property
    def as_it_should(self) -> bool:
        """Whether one sentence said what is wrong, and one step led back."""
        named = self.mistake.named in self.said
        return self.code == 2 and self.lines == 1 and named and self.led_back and not self.traceback


def made(mistake: Mistake) -> Outcome:
    """Make a mistake."""
    environment = {**os.environ, **SETTINGS, "nnUNet_n_proc_DA": "1" if "plan" in mistake.back else "0"}
    if mistake.before:
        _typed(mistake.before, environment).check_returncode()
    without = {name: value for name, value in environment.items() if name not in VARIABLES}
    done = _typed(mistake.command, without if mistake.unset else environment, LIKE_OTHERS if mistake.read_only else ())
    said = done.stdout + done.stderr
    errors = [line for line in said.splitlines() if re.match(r"(.*: )?[Ee]rror: ", line)]
    sentence = errors[0] if errors else said.strip()[-LONGEST:]
    return Outcome(mistake, done.returncode, sentence, len(errors), "Traceback" in said)


def led_back(mistake: Mistake) -> bool:
    """Take the step back; tell whether it succeeds."""
    environment = {**os.environ, **SETTINGS, "nnUNet_n_proc_DA": "1" if "plan" in mistake.back else "0"}
    return _typed(mistake.back, environment).returncode == 0


def _typed(
    command: str, environment: Mapping[str, str], prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    program, *words = shlex.split(command)
    return subprocess.run(
        [*(prefix if os.geteuid() == 0 else ()), str(BIN / program), *words],
        env=dict(environment), cwd=os.environ["nnUNet_raw"], capture_output=True, encoding="utf-8",
    )  # fmt: skip


def prepare(folder: Path) -> None:
    """Make the stand-ins: patients, healthy people, and healthy people with another modality."""
    enter(folder)
    standin = ("python", "-m", "nnunetv2_tf.standin", "dataset", "-kind", "mni152", "-shape", "32", "38", "32")
    run(*standin, "-channels", "t2f", "-name", "Dataset999_Patients", "-num_cases", "5", "-num_train", "4")
    run(*standin, "-channels", "t2f", "-name", "Dataset998_Healthy", "-num_cases", "3", "--healthy")
    run(*standin, "-channels", "t1n", "-name", "Dataset997_HealthyT1", "-num_cases", "3", "--healthy")


@contextmanager
def without_writing(folder: Path) -> Iterator[None]:
    """Take the right to write from everybody for a while."""
    paths = [path for path in (folder, *folder.rglob("*")) if path.is_dir()]
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def table(outcomes: list[Outcome], folder: Path) -> str:
    """Return the page."""
    good = sum(outcome.as_it_should for outcome in outcomes)
    rows = []
    for outcome in outcomes:
        mistake = outcome.mistake
        typed, back = f"`{mistake.command}`", f"`{mistake.back}`"
        cells = [mistake.title, typed, shortened(outcome.said, folder), str(outcome.code), back]
        rows.append(f"| {' | '.join(cells)}{'' if outcome.as_it_should else ' **(no)**'} |")
    return "\n".join([HEAD.format(good=good, all=len(outcomes)), *rows, ""])


def shortened(said: str, folder: Path) -> str:
    """Return a sentence as a cell of a table, without the folder."""
    return " ".join(said.replace(str(folder), "FOLDER").replace("|", "/").split())[:LONGEST]


def main() -> int:
    """Make the mistakes that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", type=Path, default=Path("docs/results/mistakes.md"))
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if folder.exists():
        parser.error(f"{folder} exists; name another folder.")
    prepare(folder)
    outcomes = []
    for mistake in mistakes():
        with without_writing(folder) if mistake.read_only else nullcontext():
            outcome = made(mistake)
        outcome = replace(outcome, led_back=led_back(mistake))
        outcomes.append(outcome)
        print(
            f"{'as it should' if outcome.as_it_should else 'NOT AS IT SHOULD'}: {mistake.title}: {outcome.said}",
            flush=True,
        )
    arguments.o.write_text(table(outcomes, folder), encoding="utf-8")
    return 0 if all(outcome.as_it_should for outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
