"""What `nnUNetv2_tf_enrich` does. In: a request. Out: what was missing, done, a line for each step, and one log."""

import datetime
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from nnunetv2_tf.benchmark.hours import HOUR, note_seconds, seconds_of, times_file
from nnunetv2_tf.benchmark.pausing import end_group
from nnunetv2_tf.benchmark.running import BEGIN, executable, terminable, why_failed
from nnunetv2_tf.enrich.record import Record, State, enrich_folder
from nnunetv2_tf.enrich.request import EnrichRequest
from nnunetv2_tf.enrich.steps import Step, steps_of
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked

LONG = 12.0  # hours, beyond which one has to say --yes
PLANNING = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_preprocess")
WORKERS = "nnUNet_n_proc_DA"  # nnU-Net's variable, with 0 of which these commands fail
UNKNOWN = "not measured here yet"


def enrich(request: EnrichRequest, yes: bool, redo: bool, only_plan: bool) -> None:
    """Say what is there, do what is missing, and end with the command that trains.

    Args:
        request: what is wanted
        yes: also where it will take long
        redo: do anew what was done with something that has changed
        only_plan: say it, and do nothing
    """
    request.check()
    dataset = request.labelled_dataset
    with locked(enrich_folder(dataset) / ".lock", f"the enrichment of {dataset.name}") as held:
        record = Record.of(dataset)
        states = record.states(steps_of(request))
        hours = _show(states, request)
        if only_plan:
            return
        _check(states, hours, yes, redo)
        record.adopt(states)
        log = enrich_folder(dataset) / f"{request.set_name}.log"
        todo = [state for state in states if state.word != "done"]
        with terminable():
            for number, state in enumerate(todo, start=1):
                step = _now(request, state.step)
                _do(step, state.stale, f"{number}/{len(todo)}", log, request.device, held)
                record.note(_now(request, state.step))
    _end(request)


def _show(states: Sequence[State], request: EnrichRequest) -> float:
    """Print each step with its state and how long it will take; return the hours that are known."""
    print(f"{request.labelled_dataset.name}, set {request.set_name}: {request.num_cases} cases by {request.method}")
    total, unknown = 0.0, 0
    for state in states:
        told = ""
        if state.word != "done":
            seconds = seconds_of(state.step.command, request.labelled_dataset, request.device)
            told = f"  ({UNKNOWN if seconds is None else _duration(seconds)})"
            total, unknown = total + (seconds or 0.0), unknown + (seconds is None)
        because = ", ".join(state.changed) or ("what comes before it" if state.after else "")
        print(f"  {state.word:8}{state.step.title}{told}{f': {because}' if state.stale else ''}")
    if all(state.word == "done" for state in states):
        print("Nothing is left to do.")
    else:
        rest = f"; besides {unknown} step{'s' * (unknown != 1)} {UNKNOWN}" if unknown else ""
        print(f"In all about {_duration(total)}, as this machine has measured{rest}.", flush=True)
    return total / HOUR


def _check(states: Sequence[State], hours: float, yes: bool, redo: bool) -> None:
    """Raise where somebody has to say that it is to be done."""
    stale = [state for state in states if state.stale]
    if stale and not redo:
        changed = ", ".join(dict.fromkeys(name for state in stale for name in state.changed)) or "steps before"
        anew = "; ".join(state.step.title for state in stale)
        raise UserError(
            f"Since it was done has changed: {changed}. To be done anew: {anew}. Say --redo, or put back what was; "
            "another -s makes another set beside this one."
        )
    fixed = next((state.step for state in stale if state.step.again is None), None)
    if fixed is not None:
        raise UserError(
            f"{fixed.title}: what was converted before is not overwritten; delete that dataset in nnUNet_raw and "
            "nnUNet_preprocessed, or give another number."
        )
    if hours > LONG and not yes:
        raise UserError(f"This will take about {hours:.0f} hours; say --yes to begin.")


def _now(request: EnrichRequest, step: Step) -> Step:
    """Return a step as it is now: what came before may have changed how it is done."""
    return next(other for other in steps_of(request) if other.key == step.key)


def _do(step: Step, anew: bool, number: str, log: Path, device: str, held: tuple[int, ...]) -> None:
    """Run a step's command into the log, on one line of the screen; it holds the lock, too, and may outlive us."""
    command = list(step.again if anew and step.again else step.command)
    print(f"[{number}] {step.title} ".ljust(60, "."), end=" ", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if command[0] in PLANNING and environment.get(WORKERS) == "0":
        environment[WORKERS] = "1"
    begun = time.monotonic()
    with log.open("a", encoding="utf-8") as file:
        print(f"\n{BEGIN} {datetime.datetime.now():%Y-%m-%d %H:%M:%S} {' '.join(command)}", file=file, flush=True)
        child = subprocess.Popen(
            [executable(command[0]), *command[1:]], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True, pass_fds=held,
        )  # fmt: skip
        try:
            code = child.wait()
        finally:
            end_group(child.pid)  # its workers, too
    if code not in step.accepted or not step.done():
        why = why_failed(code, log) if code not in step.accepted else "ended without having finished"
        print("FAILED", flush=True)
        raise UserError(f"{command[0]} {why}\nAll it said: {log}. The same command goes on from there.")
    seconds = time.monotonic() - begun
    note_seconds(times_file(), command, device, seconds)
    print(_duration(seconds), flush=True)


def _end(request: EnrichRequest) -> None:
    if request.train:
        print(f"Trained: {request.final_trainer}, {request.plans}, fold {' '.join(map(str, request.folds))}.")
        return
    print("All is ready. Train with:")
    plans = "" if request.plans == "nnUNetPlans" else f" -p {request.plans}"
    device = "" if request.device == "cuda" else f" -device {request.device}"
    for fold in request.folds:
        where = f"{request.labelled_dataset.number} {request.configuration} {fold}"
        print(f"  nnUNetv2_train {where} -tr {request.final_trainer}{plans}{device}")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / HOUR:.1f} h"
