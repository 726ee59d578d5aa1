"""Every reader of ours on bytes that nobody wrote for it: it reads, or refuses by a sentence, in little memory."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnunetv2_tf.dataset.folders import VARIABLES
from nnunetv2_tf.io.errors import UserError
from tests.fuzz.readers import READERS, limit_memory, seeds

CORPUS = Path(__file__).parent / "corpus"
ROOM = 2 << 30  # bytes of addresses that reading may take
IN_PROCESS = [name for name in READERS if name != "dicom"]  # which forks


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    return seeds(tmp_path_factory.mktemp("good"))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:  # which one reader sets
        monkeypatch.setenv(variable, "/nowhere")


def outcome(name: str, content: bytes) -> str:
    with TemporaryDirectory() as folder:
        try:
            READERS[name](content, Path(folder))
        except UserError as error:
            return str(error)
        return ""


def in_little_memory(work: Callable[[], None]) -> None:
    """Works in a forked process that may have little more memory than this one."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        said = b""
        try:
            limit_memory(ROOM)
            work()
        except BaseException as error:
            said = repr(error).encode()[:4000]  # more may not fit into the pipe
        os.write(sender, said)
        os._exit(0)
    os.close(sender)
    _, status = os.waitpid(child, 0)
    with open(receiver, "rb") as file:
        said = file.read().decode()
    assert status == 0, f"killed by signal {status}"
    assert not said, said


@pytest.mark.parametrize("name", READERS)
def test_what_fuzzing_found_before_is_read_or_refused(name):
    """`python -m benchmarks.fuzz FOLDER --keep` adds to the corpus."""
    inputs = sorted(path for path in (CORPUS / name).iterdir() if path.is_file())
    assert inputs

    def replay() -> None:
        for path in inputs:
            outcome(name, path.read_bytes())

    in_little_memory(replay)


@pytest.mark.parametrize("name", IN_PROCESS)
def test_good_input_is_read(name, good):
    assert [outcome(name, content) for content in good[name]] == [""] * len(good[name])


@pytest.mark.parametrize("name", IN_PROCESS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_and_cut_off_input_is_read_or_refused(name, good, data):
    content = bytearray(data.draw(st.sampled_from(good[name])))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=8)
    ):
        content[place] = value
    kept = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    said = outcome(name, bytes(content[:kept]))
    assert "\n" not in said.strip()


@pytest.mark.parametrize("name", IN_PROCESS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(name, content):
    outcome(name, content)
