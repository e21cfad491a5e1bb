"""Targets that die or hang in the middle of a check, and users who have seen enough."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from bad_cli import Running, clear, reference

IMPATIENT = ("--request-timeout", "1", "--settle-timeout", "3", "--report", "json,junit")
MOMENTS = [0, 1, 60]
"""After so many histories; 0: in the survey, when the first threads are there."""
KILLED = sorted({*MOMENTS, *random.Random(4).sample(range(2, 150), 3)})


def reached(running: Running, moment: int, begun: bool) -> bool:
    return running.histories() >= moment if moment else begun


@pytest.mark.parametrize("moment", KILLED)
def test_the_server_is_killed(moment: int, tmp_path: Path) -> None:
    with reference() as server:
        running = Running(tmp_path, server.url, *IMPATIENT)
        running.until(lambda: reached(running, moment, moment == 0 and bool(server.threads())))
        server.process.kill()
        said = running.end()
    clear(said, 4, "broke off" if moment == 0 and "survey" not in said.text else "")
    if moment:
        assert "target lost" in said.text
        assert said.result()["exit_code"] == 4
        assert "fail" not in said.verdicts().values()
        assert (tmp_path / "doubletext-report" / "junit.xml").is_file()


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_server_hangs(moment: int, tmp_path: Path) -> None:
    with reference() as server:
        running = Running(tmp_path, server.url, *IMPATIENT)
        running.until(lambda: reached(running, moment, moment == 0 and bool(server.threads())))
        server.signal(signal.SIGSTOP)
        said = running.end()
    clear(said, 4)
    if moment:
        assert "target lost" in said.text
        assert said.result()["exit_code"] == 4
        assert "fail" not in said.verdicts().values()


def test_the_server_hangs_with_many_threads_that_would_all_be_read(tmp_path: Path) -> None:
    """While its slots are counted: what waits for each thread by itself would wait for minutes."""
    with reference() as server:
        running = Running(tmp_path, server.url, *IMPATIENT)
        running.until(lambda: len(server.threads()) >= 20)
        server.signal(signal.SIGSTOP)
        said = running.end()
    clear(said, 4, "survey")


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c(moment: int, tmp_path: Path) -> None:
    with reference() as server:
        running = Running(tmp_path, server.url, "--report", "json,junit")
        running.until(lambda: reached(running, moment, moment == 0 and bool(server.threads())))
        running.interrupt()
        began = time.monotonic()
        said = running.end()
        assert time.monotonic() - began < 30
        assert server.threads() == []
    clear(said, 130, "broken off; so far")
    result = said.result()
    assert result["exit_code"] == 130
    assert "fail" not in said.verdicts().values()
    assert (tmp_path / "doubletext-report" / "junit.xml").is_file()
    if moment:
        assert any(r["exercised"] for r in result["requirements"])


@pytest.mark.parametrize("moment", [0, 1])
def test_sigterm_is_like_ctrl_c(moment: int, tmp_path: Path) -> None:
    """How CI cancels a job, also one that a shell has put in the background, where Ctrl-C is ignored."""
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN if moment else signal.SIG_DFL)  # inherited
    with reference() as server:
        running = Running(tmp_path, server.url, "--report", "json,junit")
        signal.signal(signal.SIGINT, usual)
        running.until(lambda: reached(running, moment, moment == 0 and bool(server.threads())))
        running.process.send_signal(signal.SIGTERM)
        said = running.end()
        assert server.threads() == []
    clear(said, 130, "broken off; so far")
    assert said.result()["exit_code"] == 130
    assert (tmp_path / "doubletext-report" / "junit.xml").is_file()


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    """On a target that hangs, cleaning up takes until the deadline: who cannot wait need not."""
    with reference() as server:
        running = Running(tmp_path, server.url)
        running.until(lambda: running.histories() >= 1)
        server.signal(signal.SIGSTOP)
        running.interrupt()
        time.sleep(1)  # the first is being handled, which takes longer
        assert running.process.poll() is None
        began = time.monotonic()
        running.interrupt()
        said = running.end()
        assert time.monotonic() - began < 10  # the deadline for cleaning up is 20 s and more
    clear(said, 130, "ended at once", "threads may be left")


def test_ctrl_c_twice(tmp_path: Path) -> None:
    with reference() as server:
        running = Running(tmp_path, server.url)
        running.until(lambda: running.histories() >= 1)
        running.interrupt()
        running.until(lambda: True)
        running.interrupt()
        clear(running.end(), 130)


def test_ctrl_c_on_the_embedded_server(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.until(lambda: running.histories() >= 1)
    running.interrupt()
    clear(running.end(), 130, "broken off; so far")


def test_ctrl_c_before_the_check_began(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.until(lambda: "reference_impl" in children(running.process.pid))
    running.interrupt()
    clear(running.end(), 130)


def children(pid: int) -> str:
    """The command lines of a process's children."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return " ".join(Path(f"/proc/{child}/cmdline").read_text() for child in found)
