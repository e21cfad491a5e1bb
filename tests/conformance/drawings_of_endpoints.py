"""Histories drawn by hand in which it matters by which endpoint a run was created, or who stays with it."""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.drawn import filled


def got(end: str = "answered", tells: bool = True, events: Any = (), connected: float | None = 0.021) -> str:
    """What a client that stays got, as the notation has an answer."""
    said = {"end": end, "tells": tells, "connected": connected, "events": [list(e) for e in events]}
    return json.dumps({"got": said})


def created(tag: str, **more: Any) -> str:
    """The answer of a create that waits: the run, and what its client got."""
    row = {"run_id": f"run-{tag}", "status": None, "tag": tag, "created_at": None, "strategy": None}
    return json.dumps({**row, **json.loads(got(**more))})


TWICE = """
A = emit@g emit
B = emit@b
C = emit@g emit
D = emit@b

client 1 |create A enqueue ─200 @0..5  create B <strategy> ─<control> @40..45
client 2 |create C enqueue on u ─200 @6..20
client 3 |create D <strategy> <second> on u ─<code> <d> @46..<d end>
run A    |enter 0 @10
run C    |enter 0 @12
harness  |list on u ─C running D pending @60..61  open g @100  open b @150  settled @300  settled on u @301
harness  |get A ─<fate> @310..311  get C ─<other> @320..321
"""
"""The same on two threads: on t by /runs alone, on u with another endpoint."""


def twice(strategy: str, fate: str, other: str, endpoint: str = "wait", code: str = "200", control: str = "200") -> str:
    body, end = (created("D", tells=False), "200") if code == "200" else ("null", "50")
    text = filled(TWICE, second=f"via {endpoint}", d=body).replace("<d end>", end)
    if code != "200":
        text = text.replace(" D pending @60", " @60")
    return filled(text, strategy=strategy, fate=fate, other=other, code=code, control=control)


STAYING = """
A = emit@g emit
B = emit

client 1 |create A enqueue via <endpoint> ─200 <created> @0..<end>
client 2 |<how> A ─200 <joined> @25..<left>
client 3 |create B <strategy> ─200 @40..45
run A    |enter 0 @20
run B    |enter 0 found nothing @80  leave 0 @82
harness  |list ─A running @30..31  list ─A <fate> @60..61  open g @100  settled @300  get A ─<fate> @400..401
"""
"""A has a client that created it, and one that came later, when B displaces it."""


def staying(
    endpoint: str = "wait",
    how: str = "join",
    created_by: str | None = None,
    joined: str | None = None,
    end: str = "65",
    left: str = "66",
    strategy: str = "interrupt",
    fate: str = "interrupted",
) -> str:
    return filled(
        STAYING,
        endpoint=endpoint,
        how=how,
        created=created_by or created("A"),
        joined=joined or got(connected=0.026),
        end=end,
        left=left,
        strategy=strategy,
        fate=fate,
    )


HELD = "held"
LONG = "20000"

STREAM = """
A = emit@g emit

client 1 |create A enqueue ─200 @0..5
client 2 |stream A ─200 <got> @20..290
run A    |enter 0 @10  leave 0 @101  enter 1 @102  leave 1 @103
harness  |open g @100  settled @300  get A ─success @400..401  state ─A0 A1 @410..411
"""


def stream(*events: tuple[Any, ...]) -> str:
    return filled(STREAM, got=got(tells=False, events=events))


WHOLE = (("metadata", "run-A"), ("values", "A", 0), ("values", "A", 1), ("values", "A", 2))

EARLY = """
A = emit@g emit
B = emit emit

client 1 |create A enqueue ─200 @0..5  create B enqueue ─200 @12..15
client 2 |stream B ─200 <got> @20..290
client 3 |stream B ─200 <other> @20..291
run A    |enter 0 @10  leave 0 @101  enter 1 @102  leave 1 @103
run B    |enter 0 found A0 A1 @110  leave 0 @111  enter 1 found A0 A1 B0 @112  leave 1 @113
harness  |open g @100  settled @300  get A ─success @400..401  get B ─success @402..403  state ─A0 A1 B0 B1 @410..411
"""
"""B has two readers before A, which is before it, goes on."""


def early(*events: tuple[Any, ...]) -> str:
    whole = (("values", "B", 2), ("values", "B", 3), ("values", "B", 4))
    return filled(EARLY, got=got(tells=False, events=events), other=got(tells=False, events=whole))


STATELESS = """
A = emit@g emit
S = emit

client 1 |create A enqueue ─200 @0..5
run A    |enter 0 @10
client 2 |call stateless of S ─<code> null @20..30
harness  |list ─A running<listed> @40..41  open g @100  settled @300  get A ─<fate> @400..401  state ─A0 A1 @410..411
"""


BESIDE = """
A = emit
S = emit@g emit
T = emit

client 1 |create A enqueue ─200 @0..5
run A    |enter 0 @10  leave 0 @12
client 2 |call stateless of S ─200 null @20..30
run S    |enter 0 @33  <stopped>leave 0 @101
client 3 |call stateless of T ─<code> null @40..50
harness  |open g @100  settled @300  get A ─success @400..401  state ─A0 @410..411
"""


def beside(code: str = "200", stopped: str = "") -> str:
    """Two runs without a thread, of which the first is held while the second one is created."""
    return filled(BESIDE, code=code, stopped=stopped)


def stateless(fate: str = "success", listed: str = "", messages: str = "", code: str = "200") -> str:
    return filled(STATELESS, fate=fate, listed=listed, code=code).replace("A0 A1 @410", f"A0 A1 {messages}@410")


LEGAL: list[tuple[str, str, int]] = [
    ("endpoint.same.wait", twice("enqueue", "success", "success"), 1),
    ("endpoint.same.wait", twice("rollback", "404", "404"), 1),
    ("endpoint.same.wait", twice("rollback", "success", "success"), 1),
    ("endpoint.same.stream", twice("interrupt", "interrupted", "interrupted", "stream"), 1),
    ("endpoint.same.wait", twice("reject", "success", "success", code="409", control="409"), 1),
    ("endpoint.bounded.wait", staying(), 1),
    ("endpoint.bounded.wait", staying(end="4000", created_by=created("A", end=HELD)), 0),
    ("endpoint.bounded.join", staying(), 1),
    ("endpoint.bounded.stream", staying("stream", "stream"), 2),
    ("endpoint.tells", staying(), 2),
    ("endpoint.tells", staying("stream", "stream", strategy="rollback", fate="404"), 2),
    ("endpoint.own-events", stream(*WHOLE), 1),
    ("endpoint.own-events", stream(), 0),
    ("endpoint.own-events", stream(("metadata", "run-A"), ("values", None, 0), *WHOLE[2:]), 1),
    ("endpoint.stateless", stateless(), 1),
    ("endpoint.stateless", beside(), 1),
    ("endpoint.stateless", beside(code="503"), 0),
]

ILLEGAL: list[tuple[str, str, str]] = [
    ("endpoint.same.wait", twice("rollback", "404", "success"), "D (rollback) was accepted, and C ended success"),
    ("endpoint.same.wait", twice("interrupt", "interrupted", "404"), "and C was deleted by /runs/wait"),
    ("endpoint.same.wait", twice("reject", "success", "success", control="409"), "D (reject) was accepted"),
    ("endpoint.same.stream", twice("rollback", "404", "success", "stream"), "and C ended success by /runs/stream"),
    ("endpoint.bounded.wait", staying(end=LONG, created_by=created("A", end=HELD)), "held for 19.9 s after A"),
    ("endpoint.bounded.join", staying(left=LONG, joined=got(HELD)), "held for 19.9 s after A was read as interrupted"),
    ("endpoint.bounded.stream", staying("stream", end=LONG, created_by=created("A", end=HELD)), "held for 19.9 s"),
    ("endpoint.bounded.stream", staying(how="stream", left=LONG, joined=got(HELD)), "held for 19.9 s"),
    ("endpoint.tells", staying(joined=got(tells=False)), "with nothing that says an error"),
    ("endpoint.tells", staying("stream", "stream", created_by=created("A", tells=False)), "with nothing that says"),
    ("endpoint.own-events", stream(*WHOLE, ("values", "B", 3)), "shows a state with B's input"),
    ("endpoint.own-events", early(("values", "B", 4)), "ended without the state after its superstep 0"),
    ("endpoint.own-events", early(), "ended without the state after its superstep 0"),
    ("endpoint.own-events", stream(*WHOLE[:2], WHOLE[3], WHOLE[2]), "a state with 1 entries after one with 2"),
    ("endpoint.own-events", stream(*WHOLE[:2], WHOLE[3]), "ended without the state after its superstep 0"),
    ("endpoint.stateless", stateless(fate="interrupted"), "A ended interrupted"),
    ("endpoint.stateless", stateless(code="409"), "S was created without a thread"),
    ("endpoint.stateless", beside(code="409"), "T was created without a thread"),
    ("endpoint.stateless", beside(stopped="cancelled 0 @60  "), "S was told to stop in superstep 0"),
    ("endpoint.stateless", stateless(listed=" S pending"), "names S, a run without a thread (list of runs)"),
    ("endpoint.stateless", stateless(messages="inputs A S "), "names S, a run without a thread (messages)"),
]
