"""The harness's own pauses and long judgements: nobody else is blamed for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from conformance.court import Court, CourtFailed
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution.client import Address, Client
from conformance.execution.director import Execution
from conformance.execution.listener import listening
from conformance.execution.preflight import survey
from conformance.execution.pulse import MOST_S, Pulse
from conformance.execution.recorder import Recorder
from conformance.execution.redaction import Redactor
from conformance.history import Call, Epilogue, History
from conformance.programs import emit, program
from conformance.requirements import REGISTRY
from conformance.verdicts import judge

PAUSE_S = 2.0
VIOLATION = sorted((Path(__file__).parent / "violations").glob("*.jsonl"))[0]


def stand_still() -> None:
    """What a suspended machine does to the harness."""
    time.sleep(PAUSE_S)


def reads_while_settling(execution: Execution) -> int:
    return sum(isinstance(r, Call) and r.phase == "settle" for r in execution.recorder.records)


def test_a_pause_of_the_harness_does_not_count() -> None:
    async def paused() -> tuple[float, float]:
        pulse, began = Pulse(), time.monotonic()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pulse.beat)
            await anyio.sleep(0.2)
            since = pulse.now()
            stand_still()
            counted = pulse.now() - since
            await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()
        return counted, time.monotonic() - began

    counted, took = anyio.run(paused)
    assert took > PAUSE_S
    assert counted <= MOST_S + 0.05


def test_a_wait_goes_on_after_a_pause() -> None:
    async def paused() -> bool:
        recorder = Recorder(Redactor(()))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.pulse.beat)
            await anyio.sleep(0.1)

            async def pause_then_tell() -> None:
                stand_still()
                await anyio.sleep(0.05)
                told.append(True)
                recorder._changed.set()

            told: list[bool] = []
            tasks.start_soon(pause_then_tell)
            seen = await recorder.until(lambda: bool(told), 1.2)
            tasks.cancel_scope.cancel()
        return seen

    assert anyio.run(paused)


def test_a_target_is_not_blamed_for_a_harness_that_stood_still() -> None:
    """A run that is under way when the harness stops looking for longer than the settle deadline."""
    tried = program("paused").create("A", "enqueue", emit(), emit(sleep=2600), emit()).until_entered("A", 1)

    async def paused(url: str) -> History:
        async with listening() as listener:
            client = Client(Address(url))
            session = (await survey(client, listener, Dialect(), 1.5)).session
            execution = Execution(session, tried)
            async with anyio.create_task_group() as tasks:

                async def pause() -> None:
                    # Not while a read is under way: that would look like a slow target, which is given time.
                    await execution.recorder.until(lambda: reads_while_settling(execution) >= 2, 5)
                    stand_still()

                tasks.start_soon(pause)
                history = await execution.run(anyio.CapacityLimiter(1))
            await client.close()
            return history

    with reference_server() as url:
        history = anyio.run(paused, url)
    assert [e.settled for e in history.of(Epilogue)] == [True]
    assert not [id for id, said in judge(history).items() if said.violations]


def test_the_court_says_what_judging_says() -> None:
    history = History.load(VIOLATION)
    court = Court()
    try:
        said = court.judge(VIOLATION.read_text(), history.name, tuple(REGISTRY)).result(60)
    finally:
        court.close()
    assert said == judge(history)


def test_a_court_that_is_killed_says_so_and_opens_again() -> None:
    court = Court()
    try:
        text = VIOLATION.read_text()
        court.judge(text, "first", ()).result(60)
        assert court._process is not None
        os.kill(court._process.pid, signal.SIGKILL)
        court._process.wait(5)
        with pytest.raises(CourtFailed, match="judged second"):
            court.judge(text, "second", ()).result(60)
        assert court.judge(text, "third", ()).result(60) == {}
    finally:
        court.close()


def test_the_court_ends_with_the_process_and_needs_no_guarded_main_module(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from conformance.court import court\n"
        f"said = court().judge(open({str(VIOLATION)!r}).read(), 'x', ('reject.conflict',)).result(60)\n"
        "print('once', len(said), court()._process.pid, flush=True)\n"
        "import os; os._exit(0)  # not even atexit\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    once, n, pid = done.stdout.split()
    assert (once, n) == ("once", "1"), done.stdout
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1]:
        assert time.monotonic() < end, "the judging process is still there"
        time.sleep(0.05)
