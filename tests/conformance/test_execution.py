"""The parts of the execution: bursts, the listener, redaction, dialects, options."""

from __future__ import annotations

import json
import signal
import socket
import statistics
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from conformance.config import BadOption, Options, from_pyproject, merged
from conformance.dialects import Dialect
from conformance.embedded import reference_server
from conformance.execution import burst
from conformance.execution.client import Address
from conformance.execution.listener import Listener, listening
from conformance.execution.loop import run
from conformance.execution.redaction import Redactor
from conformance.facts import digest
from conformance.fuzz.lab import Trial, laboratory
from conformance.history import Call
from conformance.probe import graph as probe
from conformance.programs import add, gate, program


class Echo(BaseHTTPRequestHandler):
    """Answers every POST with what it got, and one path not at all."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/hang":
            return
        answer = json.dumps({"path": self.path, "key": self.headers.get("x-api-key"), "got": json.loads(body)}).encode()
        self.send_response(201)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def echo() -> Any:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_burst_sends_each_request_once_and_reads_each_answer(echo: str) -> None:
    address = Address(f"{echo}/base", headers={"X-Api-Key": "k"})
    hits = burst.fire(address, [burst.Shot("POST", f"/{i}", {"i": i}) for i in range(10)])
    assert [h.status for h in hits] == [201] * 10
    answers = [json.loads(h.text) for h in hits]
    assert [a["path"] for a in answers] == [f"/base/{i}" for i in range(10)]
    assert [a["got"] for a in answers] == [{"i": i} for i in range(10)]
    assert {a["key"] for a in answers} == {"k"}
    assert all(h.sent <= h.received for h in hits)


def test_a_burst_is_tight(echo: str) -> None:
    """Not a timed test of speed: what must not happen is that answers are awaited between the sends."""
    spreads = []
    for _ in range(5):
        hits = burst.fire(Address(echo), [burst.Shot("POST", "/x", {})] * 10)
        spreads.append(max(h.sent for h in hits) - min(h.sent for h in hits))
    first_answer = min(h.received for h in hits)
    assert max(h.sent for h in hits) < first_answer or statistics.median(spreads) < 0.02


def test_a_burst_survives_a_connection_that_dies(echo: str) -> None:
    hits = burst.fire(Address(echo, request_timeout=2), [burst.Shot("POST", p, {}) for p in ("/a", "/hang", "/b")])
    assert [h.status for h in hits] == [201, None, 201]
    assert hits[1].error


def test_a_server_that_needs_no_body_cannot_act_before_a_call_of_a_burst_is_sent() -> None:
    """It has the heads early, to accept the connections; one that acts at their end would else be faster than time."""
    acted: list[float] = []

    class Hasty(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            acted.append(time.monotonic())
            self.answer()
            self.rfile.read(int(self.headers["content-length"]))

        def answer(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hasty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = Address(f"http://127.0.0.1:{server.server_port}")
    hits = [h for _ in range(5) for h in burst.fire(address, [burst.Shot("POST", "/cancel", {})] * 2)]
    server.shutdown()
    assert len(acted) == len(hits) == 10
    assert all(sent <= at for sent, at in zip(sorted(h.sent for h in hits), sorted(acted), strict=True))


def test_a_burst_at_nobody_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(OSError, match=r".+"):
        burst.fire(Address(f"http://127.0.0.1:{port}"), [burst.Shot("POST", "/", {})])


def test_gates_hold_until_they_are_opened() -> None:
    told: list[dict[str, Any]] = []

    async def scenario() -> None:
        async with listening() as listener:
            token, url, gates = listener.admit(told.append)
            await probe._post(url, "/announce", {"kind": "enter"})
            assert not await probe._wait_at_gate({"callback": url}, "g", 0.05)
            async with anyio.create_task_group() as tasks:

                async def wait() -> None:
                    assert await probe._wait_at_gate({"callback": url}, "g", 30)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(wait)
                gates.open("g")
                await anyio.sleep(30)
            listener.dismiss(token)
            await probe._post(url, "/announce", {"kind": "late"})

    anyio.run(scenario)
    assert told == [{"kind": "enter"}]


def test_the_listener_survives_nonsense() -> None:
    async def scenario() -> None:
        async with listening() as listener:
            for nonsense in (b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"POST /x"):
                async with await anyio.connect_tcp("127.0.0.1", listener.port) as stream:
                    await stream.send(nonsense)
            _, url, _ = listener.admit(lambda _: None)
            assert await probe._post(url, "/announce", {"kind": "still there"}) == {}

    anyio.run(scenario)


def test_announcements_of_a_loop_share_a_connection_and_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = []

    async def serve(self: Listener, stream: anyio.abc.SocketStream, real: Any = Listener.serve) -> None:
        connections.append(stream)
        await real(self, stream)

    monkeypatch.setattr(Listener, "serve", serve)
    told: list[int] = []

    async def scenario() -> None:
        async with listening() as listener:
            _, url, _ = listener.admit(lambda value: told.append(value["n"]))

            async def announce(n: int) -> None:
                await probe._report(url, {"n": n})
                assert n in told  # it goes on only when the harness knows

            await announce(0)
            async with anyio.create_task_group() as tasks:
                for n in range(1, 30):
                    tasks.start_soon(announce, n)
            assert len(connections) == 1
            await connections[0].aclose()  # as a harness that was restarted would
            async with anyio.create_task_group() as tasks:
                for n in range(30, 40):
                    tasks.start_soon(announce, n)

    for _ in range(2):  # the second time in another event loop of the same thread
        anyio.run(scenario)
        assert told == [*range(40)]
        assert len(connections) == 2
        told.clear()
        connections.clear()


def test_a_cancelled_announcement_arrives_and_takes_nobody_elses_receipt() -> None:
    told: list[str] = []

    async def cancel(scope: anyio.CancelScope) -> None:
        scope.cancel()

    async def scenario() -> None:
        async with listening() as listener:
            _, url, _ = listener.admit(lambda value: told.append(value["who"]))
            await probe._report(url, {"who": "first"})  # from here on there is a connection
            for i in range(20):
                async with anyio.create_task_group() as tasks:
                    with anyio.CancelScope() as scope:
                        tasks.start_soon(probe._report, url, {"who": f"before {i}"})
                        await anyio.lowlevel.checkpoint()
                        tasks.start_soon(cancel, scope)
                        await probe._report(url, {"who": f"cancelled {i}"})
                    await probe._report(url, {"who": f"after {i}"})
                    assert told[-1] == f"after {i}"

    anyio.run(scenario)
    assert told.pop(0) == "first"
    assert [t for t in told if not t.startswith("cancelled")] == [
        f"{k} {i}" for i in range(20) for k in ("before", "after")
    ]
    assert [t for t in told if t.startswith("cancelled")] == [f"cancelled {i}" for i in range(20)]


def test_a_cancelled_wait_at_a_gate_is_over() -> None:
    async def scenario() -> None:
        async with listening() as listener:
            _, url, gates = listener.admit(lambda _: None)
            with anyio.move_on_after(0.05):
                await probe._wait_at_gate({"callback": url}, "g", 30)
            gates.open("g")
            assert await probe._wait_at_gate({"callback": url}, "g", 30)
            assert not await probe._wait_at_gate({"callback": url}, "other", 0.05)

    anyio.run(scenario)


def test_probe_and_facts_hash_alike() -> None:
    assert probe.digest(["A:0", "B:1"]) == digest(["A:0", "B:1"])


def test_secrets_are_replaced_wherever_they_stand() -> None:
    address = Address("http://u:pass-word@h:1", headers={"Authorization": "Bearer abcdef", "x-api-key": "s3cret"})
    redactor = address.redactor()
    value = {"a": ["Bearer abcdef", "token abcdef"], "s3cret": {"x": "pass-word"}}
    shown = json.dumps(redactor.value(value)) + address.shown
    assert not any(secret in shown for secret in ("abcdef", "s3cret", "pass-word"))
    assert Redactor().value(value) == value


def test_options_are_checked(tmp_path: Path) -> None:
    for wrong in ({"repeat": 0}, {"request_timeout": -1}, {"report": ("pdf",)}):
        with pytest.raises(BadOption):
            merged(Options(), wrong, "here").checked()
    with pytest.raises(BadOption, match="colon"):
        Options(header=("nonsense",)).headers()
    (tmp_path / "pyproject.toml").write_text("[tool.doubletext]\nrequest-timeout = 3\nonly = ['reject.*']\n")
    options = from_pyproject(tmp_path)
    assert (options.request_timeout, options.only) == (3.0, ("reject.*",))
    (tmp_path / "pyproject.toml").write_text("[tool.doubletext]\nnope = 3\n")
    with pytest.raises(BadOption, match="unknown option 'nope'"):
        from_pyproject(tmp_path)
    for nonsense in ("tool = 7\n", "[tool]\ndoubletext = 7\n"):
        (tmp_path / "pyproject.toml").write_text(nonsense)
        with pytest.raises(BadOption, match="must be a table"):
            from_pyproject(tmp_path)


def test_selection() -> None:
    ids = ["reject.code", "reject.conflict", "enqueue.fifo"]
    assert Options(only=("reject.*",), skip=("*.code",)).selected(ids) == ["reject.conflict"]
    with pytest.raises(BadOption, match="no requirement matches"):
        Options(only=("nope",)).selected(ids)
    with pytest.raises(BadOption, match="leave no requirement"):
        Options(skip=("*",)).selected(ids)


def test_a_call_that_is_never_answered_stands_in_the_history() -> None:
    """What it may have done is explained by it, and no other is accused."""
    held = program("unanswered", "fuzz").create("A", "enqueue", gate("g"), add(), waits=False).until_inside("A", "g")
    queued = held.create("Q", "enqueue", add()).cancel("Q", "interrupt", wait=True, waits=False)
    trials: list[Trial | None] = []

    async def tried(url: str) -> None:
        async with laboratory(Address(url, request_timeout=60), Options(), Dialect()) as lab:
            trials.append(await lab.trial(queued.open("g").until_ended("A", "Q", needed=False)))

    with reference_server("--defect", "waits-for-a-run-that-never-starts") as url:
        run(lambda: tried(url))
    (trial,) = trials
    assert trial is not None
    (cancel,) = [c for c in trial.history.of(Call) if c.op == "cancel"]
    assert cancel.status is None
    assert "not answered" in str(cancel.error)
    assert {s.key.requirement for s in trial.sightings} <= {"cancel.wait", "cancel.codes"}


def test_ctrl_c_does_not_break_off_what_is_shielded() -> None:
    """A thread that is created at that moment would stay at the target: its id would not be learned."""
    done: list[str] = []

    async def work() -> None:
        with anyio.CancelScope(shield=True):
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep(0.05)
            done.append("answered")
        await anyio.sleep(30)
        done.append("not cancelled")

    with pytest.raises(KeyboardInterrupt):
        run(work)
    assert done == ["answered"]


def test_what_work_raises_comes_out_as_it_is() -> None:
    async def work() -> None:
        raise LookupError("no thread")

    with pytest.raises(LookupError, match="no thread"):
        run(work)
