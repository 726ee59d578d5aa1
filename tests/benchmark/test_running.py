"""How processes are run. The trainings here are small Python programs; real ones are in test_commands."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nnunetv2_tf.benchmark.pausing import send_to_all
from nnunetv2_tf.benchmark.running import Runner, check_gpus
from nnunetv2_tf.io.errors import UserError
from tests.environments import REPOSITORY

DONE = "from pathlib import Path; Path('{folder}/done').touch()"


@dataclass(frozen=True)
class Program:
    """Stands where a training does."""

    key: str
    folder: Path
    program: str
    kind: str = "program"
    makes: str = "what everybody needs"

    @property
    def making_lock(self) -> Path:
        return self.folder.parent / ".making.lock"

    @property
    def state(self) -> str:
        return "done" if (self.folder / "done").exists() else "missing"

    def prepare(self) -> None:
        (self.folder / "prepared").touch()

    def commands(self, device: str) -> list[list[str]]:
        assert (self.folder / "prepared").exists()
        return [["python", "-c", self.program], ["python", "-c", DONE.format(folder=self.folder)]]


def outcomes(tmp_path: Path, programs: dict[str, str], number: int = 2, **settings) -> dict[str, str | None]:
    jobs: Any = [Program(key, tmp_path / key, program) for key, program in programs.items()]
    found = Runner(tmp_path / "logs", "cpu", number, **settings).run(jobs)
    return {outcome.job.key: outcome.failure for outcome in found}


def test_a_failure_stops_its_own_training_only(tmp_path):
    programs = {
        "a": "import sys; print('Error: no luck', file=sys.stderr); print('later'); sys.exit(2)",
        "b": "print('fine')",
        "c": "import os; os.kill(os.getpid(), 9)",
        "d": "1 / 0",
    }
    found = outcomes(tmp_path, programs)
    assert found["a"] == "python ended with exit code 2: Error: no luck"
    assert found["b"] is None
    assert found["c"] == "python was ended by signal SIGKILL"
    assert found["d"] == "python ended with exit code 1: ZeroDivisionError: division by zero"
    assert [key for key in programs if (tmp_path / key / "done").exists()] == ["b"]
    assert "fine" in (tmp_path / "logs" / "b.log").read_text(encoding="utf-8")


def test_what_stands_in_the_way_of_one_does_not_stop_the_others(tmp_path):
    (tmp_path / "a").touch()  # where a folder should be
    found = outcomes(tmp_path, {"a": "pass", "b": "pass"})
    assert "File exists" in str(found["a"])
    assert found["b"] is None


def test_what_arms_share_is_made_one_after_another(tmp_path):
    making = (
        f"import time; from pathlib import Path; lock = Path('{tmp_path}/making'); lock.touch(exist_ok=False); "
        "time.sleep(0.3); lock.unlink()"
    )
    assert outcomes(tmp_path, dict.fromkeys("abc", making), 3) == dict.fromkeys("abc")


def test_a_job_waits_for_what_it_needs_and_is_not_done_where_that_failed(tmp_path):
    needs = {"b": "a", "c": "b", "e": "d"}
    jobs = {key: Program(key, tmp_path / key, f"open('{tmp_path}/order', 'a').write('{key}')") for key in "abcde"}
    jobs["d"] = Program("d", tmp_path / "d", "raise SystemExit('Error: no luck')")
    runner = Runner(tmp_path / "logs", "cpu", 5, needs=lambda job: [jobs[key] for key in needs.get(job.key, "")])
    done = {outcome.job.key: outcome.failure for outcome in runner.run(jobs.values())}
    assert {key for key, failure in done.items() if failure is None} == {"a", "b", "c"}
    assert done["e"] == "it needs d, which failed"
    assert (tmp_path / "order").read_text(encoding="utf-8") == "abc"
    assert not (tmp_path / "e").exists()


def test_jobs_are_done_in_order_although_some_have_to_wait(tmp_path):
    jobs = {key: Program(key, tmp_path / key, f"open('{tmp_path}/order', 'a').write('{key}')") for key in "abcd"}
    runner = Runner(tmp_path / "logs", "cpu", 1, needs=lambda job: [jobs["a"]] if job.key == "b" else [])
    assert [outcome.failure for outcome in runner.run(jobs.values())] == [None] * 4
    assert (tmp_path / "order").read_text(encoding="utf-8") == "abcd"


def test_a_reason_is_that_of_the_last_run(tmp_path):
    outcomes(tmp_path, {"a": "raise SystemExit('Error: first')"})
    assert outcomes(tmp_path, {"a": "raise SystemExit('second')"})["a"] == "python ended with exit code 1: second"


def test_what_is_done_is_not_done_again(tmp_path):
    count = f"open('{tmp_path}/count', 'a').write('x')"
    for _ in range(2):
        assert outcomes(tmp_path, {"a": count}) == {"a": None}
    assert (tmp_path / "count").read_text(encoding="utf-8") == "x"


def test_threads_are_shared_out_and_gpus_taken_in_turn(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    seen = "import os; print(os.environ.get('OMP_NUM_THREADS'), os.environ.get('CUDA_VISIBLE_DEVICES'))"
    keys = [f"t{index}" for index in range(6)]
    assert set(outcomes(tmp_path, dict.fromkeys(keys, seen), 2, gpus=(4, 7)).values()) == {None}
    printed = [(tmp_path / "logs" / f"{key}.log").read_text(encoding="utf-8").splitlines()[2].split() for key in keys]
    assert {threads for threads, _ in printed} == {str(max(1, (os.cpu_count() or 1) // 2))}
    assert {gpu for _, gpu in printed} == {"4", "7"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")  # what a cluster gave this job
    assert outcomes(tmp_path, {"on_its_second": seen}, 1, gpus=(1,)) == {"on_its_second": None}
    assert (tmp_path / "logs" / "on_its_second.log").read_text(encoding="utf-8").splitlines()[2].split()[1] == "5"
    check_gpus((0, 1))
    with pytest.raises(UserError, match=r"-gpus 2 is none of the 2 GPUs of CUDA_VISIBLE_DEVICES \(2,5\)"):
        check_gpus((0, 2))
    with pytest.raises(UserError, match="-gpus -1 is none of the 2 GPUs"):
        check_gpus((-1,))


OUTER = '''
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which background jobs are started without
from pathlib import Path
from tests.benchmark.test_running import Program, Runner
root = Path(sys.argv[1])
slow = f"""import time, pathlib
print('begun', flush=True)
for _ in range(10_000):  # some minutes at most, should the test fail
    if pathlib.Path('{root}/go').exists():
        break
    time.sleep(0.02)
open('{root}/count', 'a').write('x')"""
for outcome in Runner(root / "logs", "cpu", 1).run([Program("slow", root / "slow", slow)]):
    print(outcome.failure)
'''


def launch(root: Path) -> subprocess.Popen:
    """A run of a job that ends once there is a file `go`."""
    command = [sys.executable, "-c", OUTER, str(root)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def start(root: Path) -> subprocess.Popen:
    process = launch(root)
    log = root / "logs" / "slow.log"
    while not (log.exists() and "begun" in log.read_text(encoding="utf-8")):
        assert process.poll() is None
        time.sleep(0.02)
    return process


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_training_that_outlives_a_killed_run_is_waited_for(tmp_path):
    process = start(tmp_path)
    process.kill()
    process.wait()
    second = launch(tmp_path)
    assert second.stdout is not None
    assert second.stdout.readline() == "Waiting: another process works on slow.\n"
    (tmp_path / "go").touch()
    said, _ = second.communicate()
    assert (tmp_path / "count").read_text(
        encoding="utf-8"
    ) == "xx"  # the orphan ended, then what was still missing was done
    assert said.splitlines()[-1] == "None"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_run_that_waits_can_be_ended(tmp_path):
    first = start(tmp_path)
    first.kill()
    first.wait()
    waiting = launch(tmp_path)
    assert waiting.stdout is not None
    assert "Waiting" in waiting.stdout.readline()
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(timeout=60) != 0


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="states of processes")
@pytest.mark.parametrize("killed", [False, True])
def test_what_runs_can_be_paused_also_when_its_run_was_killed(tmp_path, killed):
    process = start(tmp_path)
    finished = (tmp_path / "running").glob  # what is being written is not there yet
    while not any(json.loads(file.read_text(encoding="utf-8"))["groups"] for file in finished("*.json")):
        time.sleep(0.02)
    if killed:
        process.kill()
        process.wait()
    assert send_to_all(tmp_path, pause=True) == (0 if killed else 1, 1)
    (tmp_path / "go").touch()
    time.sleep(0.5)
    assert not (tmp_path / "count").exists()
    assert send_to_all(tmp_path, pause=False) == (0 if killed else 1, 1)
    while not (tmp_path / "count").exists():
        time.sleep(0.05)
    if not killed:
        assert process.wait(timeout=60) == 0
    while send_to_all(tmp_path, pause=False) != (0, 0):
        time.sleep(0.02)
    assert list((tmp_path / "running").iterdir()) == []  # nothing runs any more


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ending_a_run_ends_its_trainings(tmp_path, number):
    process = start(tmp_path)
    process.send_signal(number)
    process.wait(timeout=60)
    assert process.returncode != 0
    started = time.monotonic()
    (tmp_path / "go").touch()
    again = start(tmp_path)  # the lock is free, so the child is gone
    again.wait(timeout=60)
    assert time.monotonic() - started < 200
    assert (tmp_path / "count").read_text(encoding="utf-8") == "x"
