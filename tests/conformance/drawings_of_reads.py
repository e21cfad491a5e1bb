"""Histories drawn by hand of graphs that are no probe: creates, cancels and reads, and nothing that a run announced."""

from __future__ import annotations

from tests.conformance.drawn import filled

MEETS = """
transport: none

client 1 |create A enqueue ─200 @0..5
client 2 |create B <strategy> ─<answer> @20..25
harness  |thread ─busy @6..7  list ─<shown> @30..31  thread ─<thread> @32..33  get A ─<later> @40..41
harness  |list ─<second> @50..51  settled @300  get A ─<fate> @310..311
client 3 |create D reject ─<control> @200..205
harness  |get D ─success @220..221
"""
"""B is created 15 ms after A's create was answered; what is read then is filled in. D comes when A is over."""


def meets(
    strategy: str = "reject",
    answer: str = "409",
    shown: str = "A running",
    thread: str = "busy",
    later: str = "running",
    second: str = "A running",
    fate: str = "success",
    control: str = "200",
    ended: str = "get A ─success @100..101",
) -> str:
    parts = {"strategy": strategy, "answer": answer, "shown": shown, "thread": thread, "later": later}
    text = filled(MEETS, **parts, second=second, fate=fate, control=control)
    return text.replace("client 3 |", f"harness  |{ended}\nclient 3 |") if ended else text


def together(strategy: str, second: str) -> str:
    """One list shows both running, and then another one something."""
    return meets(strategy, "200", "A running B running", second=second) + "harness  |get B ─success @312..313\n"


BURST = """
transport: none

c0 |create B0 reject in burst ─200 @1..5
c1 |create B1 reject in burst ─<answer> @1..6
h  |list ─<shown> @10..11  settled @300
"""


def burst(answer: str, shown: str) -> str:
    return filled(BURST, answer=answer, shown=shown)


QUEUE = """
transport: none

client 1 |create A enqueue ─200 @0..5  create X enqueue ─200 @10..15  create Y enqueue ─200 @20..25
harness  |list ─A running X pending Y pending @30..31  list ─A success X <x> Y <y> @60..61  settled @300
harness  |get A ─success @310..311  get X ─success @312..313  get Y ─success @314..315
"""


def queue(x: str, y: str) -> str:
    return filled(QUEUE, x=x, y=y)


DISPLACED = """
transport: none
c1 < run <writer>
c2 < c1 run B

client 1 |create A enqueue ─200 @0..5
client 2 |create B <strategy> ─200 @20..25
harness  |list ─A running B pending @30..31  settled @300  history ─c2 c1 @301..302
harness  |get A ─<fate> @310..311  get B ─success @312..313
"""


def displaced(strategy: str, fate: str, writer: str = "B") -> str:
    return filled(DISPLACED, strategy=strategy, fate=fate, writer=writer)


CANCELLED = """
transport: none

client 1 |create A enqueue ─200 @0..5
client 2 |cancel A <action> ─<answer> @20..25
harness  |get A ─<then> @30..31  settled @300  get A ─<fate> @310..311
"""


def cancelled(action: str, fate: str, answer: str = "204", then: str = "404") -> str:
    return filled(CANCELLED, action=action, fate=fate, answer=answer, then=then)


STOPPED = """
transport: none

client 1 |create A enqueue ─200 @0..5  create R enqueue ─200 @6..11
harness  |list ─A running R pending @12..13  settled @300  get A ─<a> @310..311  get R ─<r> @312..313
client 2 |<call> @20..25
"""


def stopped(call: str, a: str = "success", r: str = "success") -> str:
    """A runs and R waits when something is called that must not stop one of them."""
    return filled(STOPPED, call=call, a=a, r=r)


CREATED = """
transport: none

client 1 |create A enqueue ─200 {"run_id": "run-A", "status": "<said>", "tag": "A"} @0..<answered>
harness  |list ─A running @20..21  get A ─<later> @3000..3001  settled @3300  get A ─success @3310..3311
"""


def created(answered: str, said: str = "success", later: str = "success") -> str:
    return filled(CREATED, answered=answered, said=said, later=later)


VIOLATIONS: dict[str, tuple[str, ...]] = {
    "reject.conflict": (meets(answer="200", shown="A running B pending"), meets(answer="500")),
    "reject.code": (meets(answer="400"),),
    "reject.no-effect": (
        meets(thread="idle"),
        stopped("create B reject ─409", a="interrupted"),
        meets(second="A running B pending"),
    ),
    "reject.one-winner": (burst("200", "B0 running B1 pending"),),
    "reject.reopens": (meets(control="409"),),
    "enqueue.accepted": (meets("enqueue", "409"),),
    "enqueue.first-completes": (stopped("create B enqueue ─200", a="interrupted"),),
    "enqueue.fifo": (queue("pending", "running"),),
    "interrupt.status": (displaced("interrupt", "404"),),
    "rollback.deleted": (displaced("rollback", "interrupted"),),
    "rollback.no-orphans": (displaced("rollback", "404", "A"),),
    "thread.one-at-a-time": (together("enqueue", "A running B running"),),
    "thread.busy-iff-inflight": (meets(thread="idle"),),
    "create.returns": (created("2500"),),
    "cancel.codes": (
        cancelled("interrupt", "interrupted", "409", "running"),
        cancelled("interrupt", "interrupted", "500", "interrupted"),
    ),
    "cancel.interrupt": (
        cancelled("interrupt", "404"),
        stopped("cancel A interrupt ─204", "interrupted", "interrupted"),
    ),
    "cancel.rollback-reverts": (
        cancelled("rollback", "interrupted", then="interrupted"),
        stopped("cancel A rollback ─204", "404", "interrupted"),
    ),
}

LEGAL: dict[str, tuple[str, ...]] = {
    # Nothing shows that A was inflight when B was created.
    "reject.conflict": (
        meets(answer="200", shown="A success B pending", later="success", second="A success B pending"),
    ),
    "reject.code": (meets(answer="400", control="409"),),
    # The thread may have changed since A is over; A may have failed by itself.
    "reject.no-effect": (
        meets(thread="idle", later="success", second="A success"),
        meets(fate="error", ended="get A ─error @100..101"),
        stopped("create B interrupt ─409", "interrupted"),
    ),
    # The first one that won may have been over when the second one did.
    "reject.one-winner": (burst("200", "B0 success B1 pending"), burst("409", "B0 running")),
    "enqueue.first-completes": (
        meets("enqueue", "200", "A running B pending", fate="error", ended=""),
        stopped("create B interrupt ─200", "interrupted", "interrupted"),
    ),
    "enqueue.fifo": (queue("running", "pending"), queue("success", "success")),
    # It may have been faster than its displacement, or have failed by itself.
    "interrupt.status": (
        displaced("interrupt", "interrupted"),
        displaced("interrupt", "success"),
        displaced("interrupt", "error"),
        displaced("rollback", "404"),
    ),
    "rollback.deleted": (displaced("rollback", "404"), displaced("rollback", "success"), displaced("interrupt", "404")),
    "rollback.no-orphans": (displaced("rollback", "404"), displaced("rollback", "success", "A")),
    # One list may be put together while runs change places.
    "thread.one-at-a-time": (
        together("enqueue", "A success B running"),
        together("interrupt", "A running B running"),
    ),
    "thread.busy-iff-inflight": (meets(thread="idle", later="success", second="A success"), meets()),
    # It took long, and A was not over; or A was over, and was not seen to take long.
    "create.returns": (created("2500", "running", "running"), created("25"), created("5", "pending")),
    "cancel.codes": (
        cancelled("interrupt", "success", "409", "success"),
        cancelled("interrupt", "interrupted", "503", "running"),
        cancelled("rollback", "404"),
    ),
    "cancel.interrupt": (
        cancelled("interrupt", "interrupted", then="interrupted"),
        cancelled("interrupt", "error", then="error"),
        cancelled("rollback", "404"),
    ),
    "cancel.rollback-reverts": (cancelled("rollback", "404"), cancelled("rollback", "success", then="success")),
}
