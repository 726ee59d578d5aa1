"""What `nnUNetv2_tf_enrich` does. In: a request. Out: what was missing, done, a line for each step, and one log."""

import datetime
import os
import subprocess
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from nnunetv2_tf.benchmark.hours import HOUR, seconds_of
from nnunetv2_tf.benchmark.pausing import end_group
from nnunetv2_tf.benchmark.running import BEGIN, executable, terminable, why_failed
from nnunetv2_tf.benchmark.times import note_seconds, times_file
from nnunetv2_tf.dataset.cases import raw_cases
from nnunetv2_tf.dataset.folds import read_splits, splits_file
from nnunetv2_tf.enrich.record import State, StepsRecord, enrich_folder
from nnunetv2_tf.enrich.request import EnrichRequest
from nnunetv2_tf.enrich.step import Step
from nnunetv2_tf.enrich.steps import steps_of
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.files import locked

LONG = 12.0  # hours, beyond which one has to say --yes
PLANNING = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_preprocess")
WORKERS = "nnUNet_n_proc_DA"  # nnU-Net's variable, with 0 of which these commands fail
REPORT = "please report this, with the log."
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
    if only_plan:
        _show(StepsRecord.of(dataset).states(steps_of(request)), request)
        return
    with locked(enrich_folder(dataset) / ".lock", f"the enrichment of {dataset.name}") as held, terminable():
        record = StepsRecord.of(dataset)
        states = record.states(steps_of(request))
        hours = _show(states, request)
        if hours > LONG and not yes:
            raise UserError(f"This will take about {hours:.0f} hours; say --yes to begin.")
        total, done = sum(state.word != "done" for state in states), set[str]()
        while (state := _next(record, states)) is not None:
            if state.step.key in done:
                raise UserError(f"{state.step.title} was done just now, and is {state.word} again; {REPORT}")
            done.add(state.step.key)
            _check(states, redo)
            _do(record, request, state, f"{len(done)}/{max(total, len(done))}", held)
            states = record.states(steps_of(request))  # what was done may have changed what comes after
    _end(request)


def _next(record: StepsRecord, states: Sequence[State]) -> State | None:
    """Return the first step that is not done; remember those before it that were done by hand, or that outlived us."""
    for state in states:
        if state.word != "done":
            return state
        if not record.has_ended(state.step):
            record.end(state)
    return None


def _show(states: Sequence[State], request: EnrichRequest) -> float:
    """Print each step with its state and how long it will take; return the hours that are known."""
    print(f"{request.labelled_dataset.name}, set {request.set_name}: {request.num_cases} cases by {request.method}")
    total, unknown = 0.0, 0
    for state in states:
        told = ""
        if state.word != "done":
            anew = state.word == "changed"
            seconds = seconds_of(state.step.command, request.labelled_dataset, request.device, anew)
            told = f"  ({UNKNOWN if seconds is None else _duration(seconds)})"
            total, unknown = total + (seconds or 0.0), unknown + (seconds is None)
        because = f": {', '.join(state.changed)}" if state.changed else ""
        print(f"  {state.word:8}{state.step.title}{told}{because}")
    if all(state.word == "done" for state in states):
        print("Nothing is left to do.")
    else:
        rest = f"; besides {unknown} step{'s' * (unknown != 1)} {UNKNOWN}" if unknown else ""
        print(f"In all about {_duration(total)}, as this machine has measured{rest}.", flush=True)
    lost = _in_no_fold(request)
    if lost:
        print(
            f"Note: {len(lost)} cases are in no fold of {splits_file(request.labelled_dataset)} (first: {lost[0]}), so "
            "nothing trains with them; add them there, or delete it, and folds are drawn anew."
        )
    return total / HOUR


def _in_no_fold(request: EnrichRequest) -> list[str]:
    dataset = request.labelled_dataset
    path = splits_file(dataset)
    if not path.exists() or not (dataset.raw / "dataset.json").exists():
        return []
    known = {case for split in read_splits(dataset) for case in (*split.train, *split.val)}
    return sorted(set(raw_cases(dataset)) - known)


def _check(states: Sequence[State], redo: bool) -> None:
    """Raise where something has changed, and somebody has to say that it is to be done anew."""
    changed = [state for state in states if state.changed]
    if not changed:
        return
    names = ", ".join(dict.fromkeys(name for state in changed for name in state.changed))
    for state in changed:
        if state.step.stuck():
            raise UserError(
                f"Since it was done has changed: {names}. {state.step.title} cannot be done anew: {state.step.stuck()}"
            )
    if not redo:
        anew = "; ".join(state.step.title for state in changed)
        raise UserError(
            f"Since it was done has changed: {names}. To be done anew: {anew}. Say --redo, or put back what was (a set "
            "alone may also get another name, -s)."
        )


def _do(record: StepsRecord, request: EnrichRequest, state: State, number: str, held: tuple[int, ...]) -> None:
    """Do a step, on one line of the screen, and remember it."""
    key = state.step.key
    print(f"[{number}] {state.step.title} ".ljust(60, "."), end=" ", flush=True)
    if state.changed:
        state.step.clear(state.changed)
        state = _state(record, request, key)
    record.begin(state)
    log = enrich_folder(request.labelled_dataset) / f"{request.set_name}.log"
    begun = time.monotonic()
    with _lock_of(state.step) as also:
        code = _run(state.step.command, log, (*held, *also))
    seconds, step = time.monotonic() - begun, state.step
    why = why_failed(code, log) if code not in step.accepted else "" if step.finished() else "ended without finishing"
    if why:
        print("FAILED", flush=True)
        raise UserError(f"{step.command[0]} {why}\nAll it said: {log}. The same command goes on from there.")
    record.end(_state(record, request, key))
    with suppress(OSError):  # a file of somebody else, or a full disk
        note_seconds(times_file(), step.command, request.device, seconds)
    print(_duration(seconds), flush=True)


def _state(record: StepsRecord, request: EnrichRequest, key: str) -> State:
    """Return a step as it is now: what came before may have changed how it is done."""
    return next(state for state in record.states(steps_of(request)) if state.step.key == key)


def _lock_of(step: Step) -> AbstractContextManager[tuple[int, ...]]:
    """Return the lock to hold besides, with which a benchmark keeps others from the same training."""
    return nullcontext(()) if step.lock is None else locked(step.lock, step.title)


def _run(command: Collection[str], log: Path, held: tuple[int, ...]) -> int:
    """Run a command into the log; return its exit code. It holds our locks, too, and so may outlive us."""
    program, *options = command
    environment = dict(os.environ)
    if program in PLANNING and environment.get(WORKERS) == "0":
        environment[WORKERS] = "1"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        print(f"\n{BEGIN} {datetime.datetime.now():%Y-%m-%d %H:%M:%S} {' '.join(command)}", file=file, flush=True)
        child = subprocess.Popen(
            [executable(program), *options], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True, pass_fds=held,
        )  # fmt: skip
        try:
            return child.wait()
        finally:
            end_group(child.pid)  # its workers, too


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
