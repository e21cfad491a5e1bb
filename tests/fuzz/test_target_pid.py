"""A server that is stopped while simultaneous calls are sent: it gets all of them at once, and it always goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from conformance.config import Options
from conformance.dialects import Dialect
from conformance.embedded import command
from conformance.execution.burst import Shot
from conformance.execution.client import Address
from conformance.execution.loop import run
from conformance.execution.stopping import CannotStop, Stopper, check_pid, stopping
from conformance.fuzz.lab import laboratory
from conformance.history import History, Remark
from conformance.programs import Create, Program, Together, emit
from tests.fuzz.test_fuzz_command import DOUBLETEXT, doubletext

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the state of a process in /proc")


def state(pid: int) -> str:
    """R, S, T (stopped), ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def soon(pid: int, wanted: bool) -> bool:
    """Whether the process is (not) stopped within a few seconds."""
    end = time.monotonic() + 10
    while (state(pid) == "T") != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return (state(pid) == "T") == wanted


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """The reference server: its URL, and its process."""
    process = subprocess.Popen(
        command("--port", "0", "--with-parent", "--defect", "check-then-act"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = next(line for line in process.stdout if "listening on " in line).rpartition(" ")[2].strip()
        yield url, process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def sleeper() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    yield process.pid
    process.kill()
    process.wait()


def test_it_is_stopped_inside_and_goes_on_whatever_happens(sleeper: int) -> None:
    stopper, told = Stopper(sleeper), list[float]()
    for broken in (False, True):
        try:
            with stopper.stopped(told.append):
                assert state(sleeper) == "T"
                if broken:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            assert broken
        assert soon(sleeper, wanted=False)
    assert len(told) == 2


def test_it_goes_on_when_the_harness_is_killed_meanwhile(sleeper: int) -> None:
    script = f"""
import time
from conformance.execution.stopping import Stopper
with Stopper({sleeper}).stopped(lambda _s: None):
    print("stopped", flush=True)
    time.sleep(300)
"""
    harness = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert harness.stdout is not None
    assert harness.stdout.readline() == "stopped\n"
    assert state(sleeper) == "T"
    harness.kill()
    harness.communicate()
    assert soon(sleeper, wanted=False)


def test_what_somebody_else_has_stopped_meanwhile_is_left_alone(sleeper: int) -> None:
    script = f"""
from conformance.execution.stopping import Stopper
stopper = Stopper({sleeper})
with stopper.stopped(lambda _s: None):
    print(stopper._watch.pid)
"""
    harness = subprocess.run([sys.executable, "-c", script], check=True, timeout=30, stdout=subprocess.PIPE)
    os.kill(sleeper, signal.SIGSTOP)
    end = time.monotonic() + 10
    while Path(f"/proc/{int(harness.stdout)}/stat").exists() and state(int(harness.stdout)) != "Z":
        assert time.monotonic() < end
    assert soon(sleeper, True)


def test_nothing_is_sent_to_what_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = Address(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(ProcessLookupError):
            anyio.run(stopping(process.pid), address, [Shot("POST", "/", {})])


@pytest.mark.parametrize("pid", [os.getpid(), os.getppid(), 1, 2**22 + 1], ids=["own", "parent", "init", "nobody"])
def test_what_must_not_or_cannot_be_stopped(pid: int) -> None:
    with pytest.raises(CannotStop):
        check_pid(pid)


def executed(url: str, pid: int | None, programs: Sequence[Program]) -> list[History]:
    async def work() -> list[History]:
        more = {} if pid is None else {"fire": stopping(pid)}
        async with laboratory(Address(url), Options(), Dialect(), **more) as lab:  # type: ignore[arg-type]
            return [await lab.execute(p) for p in programs]

    return run(work)


def test_the_history_says_how_long_it_was_stopped() -> None:
    creates = tuple(Create(tag, "reject", (emit(),), waits=False) for tag in "ABCD")
    programs = [Program("together", "fuzz", (Together(creates),))] * 3
    with server() as (url, pid):
        histories = executed(url, pid, programs)
        assert soon(pid, wanted=False)
        usual = executed(url, None, programs[:1])
    for history in histories:
        (burst,) = [r for r in history.of(Remark) if r.kind == "burst"]
        assert 0 < burst.detail["spread_ms"] <= burst.detail["stopped_ms"]
        assert History.from_text(history.to_text()).records == history.records
    assert all("stopped_ms" not in r.detail for r in usual[0].of(Remark))


def test_a_campaign_that_is_broken_off_leaves_it_running(tmp_path: Path) -> None:
    with server() as (url, pid):
        campaign = [*DOUBLETEXT, "fuzz", url, "--target-pid", str(pid), "--max-time", "1h", "--only", "reject.*"]
        process = subprocess.Popen(campaign, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
        end = time.monotonic() + 60
        while time.monotonic() < end and state(pid) != "T":
            pass  # to be there in one of the milliseconds in which it is stopped
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert soon(pid, wanted=False)


def test_options_that_make_no_sense(tmp_path: Path, sleeper: int) -> None:
    for wrong in (["--target-pid", str(sleeper)], ["http://127.0.0.1:9", "--target-pid", str(os.getpid())]):
        assert "--target-pid" in doubletext("fuzz", *wrong, "--max-examples", "1", cwd=tmp_path, expect=2)
