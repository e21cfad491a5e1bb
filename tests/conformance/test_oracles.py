"""Every oracle on histories drawn by hand: some that are legal, some that break exactly that rule."""

from __future__ import annotations

import json

import pytest

from conformance.facts import Facts
from conformance.notation import parse
from conformance.requirements import REGISTRY
from conformance.requirements.base import HAZARD, POLICY, Hazard, Inapplicable, Observed
from conformance.verdicts import judge
from tests.conformance import bad_input_drawings, drawings_of_calls, drawings_of_endpoints
from tests.conformance.drawn import filled, judgements, said, the_violation

# --- drawings; <name> is filled in ------------------------------------------------------------------

REJECTING = """
A = emit@g emit
B = emit
D = emit

client 1 |create A enqueue ─200
client 2 |                      create B reject ─<answer>
run A    |                   enter 0
harness  |                                                open g @<opened>

ms       |100
run A    |leave 0  enter 1  leave 1
harness  |                           settled  get A ─<fate>  state ─A0 A1
client 4 |                                                                   create D reject ─<control>
"""
"""B is created with reject (at 22 ms, answered at 39 ms) while A is held; D, afterwards, is the control."""


def rejecting(answer: str = "409", opened: str = "60", fate: str = "success", control: str = "200") -> str:
    text = filled(REJECTING, answer=answer, opened=opened, fate=fate)
    return text.replace("<control>", control) if control else "\n".join(text.splitlines()[:-1])


CUT = """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
run A    |                   enter 0  <cut>
client 2 |                                         create B reject ─200
harness  |                                                              open g

ms       |100
harness  |settled  get A ─interrupted
"""
"""A's node has been cancelled, by whatever, when B is created."""

REOPENING = """
A = emit
B = emit

client 1 |create A enqueue ─200                                      create B reject ─<answer>
run A    |                   enter 0  leave 0
harness  |                                     get A ─<read>
"""


def burst(*answers: str, opened: str = "50") -> str:
    """Simultaneous rejects on an idle thread: sent at 1 ms, answered at 5, 6 … ms."""
    scripts = "".join(f"B{i} = emit@g emit\n" for i in range(len(answers)))
    lanes = "".join(f"c{i} |create B{i} reject in burst ─{a} @1..{5 + i}\n" for i, a in enumerate(answers))
    return f"{scripts}\n{lanes}h  |open g @{opened}\n"


QUEUE = """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B enqueue ─<answer>
run A    |                   enter 0
harness  |                                                  open g

ms       |100
run A    |leave 0  enter 1  leave 1
run B    |                           enter 0 found A0 A1  leave 0
harness  |                                                          settled

ms       |200
harness  |get A ─<fate>  get B ─success  state ─<log>
"""
"""B is enqueued while A is held, and executes after it."""


def queue(answer: str = "200", fate: str = "success", log: str = "A0 A1 B0") -> str:
    return filled(QUEUE, answer=answer, fate=fate, log=log)


ORDER = """
A = emit@g emit
X = emit
Y = emit

client 1 |create A enqueue ─200
client 2 |                      create X enqueue ─200
client 3 |                                             create Y enqueue ─200
run A    |                   enter 0
harness  |                                                                      list ─A running X pending Y pending

ms       |200
harness  |open g            settled  get A ─success  state ─A0 A1 <log>
run A    |       leave 0
"""

DISPLACED = """
A = emit emit@g emit
B = emit

ms       |0                                                                2100   2200
client 1 |create A enqueue ─200
client 2 |                                      create B <kind> ─<answer>
run A    |               enter 0  leave 0  enter 1
harness  |                                                                 stop-waited A  open g

ms       |2201
run A    |leave 1  enter 2 found A0 A1 <went on>

ms       |2300
run B    |enter 0 found <found>  leave 0
harness  |                                      settled

ms       |2500
harness  |list ─<listed>B success  get A ─<fate>  get B ─success  state ─<log>  <more>
"""
"""A has completed superstep 0 and is held in 1; B displaces it."""


def displaced(
    kind: str,
    fate: str,
    log: str,
    found: str,
    went_on: bool = False,
    answer: str = "200",
    listed: str = "",
    more: str = "",
) -> str:
    text = filled(DISPLACED, kind=kind, answer=answer, found=found, fate=fate, log=log, listed=listed, more=more)
    kept = [line for line in text.splitlines() if went_on or not line.endswith("<went on>")]
    kept = [line for line in kept if went_on or line != "ms       |2201"]
    return "\n".join(kept).replace(" <went on>", "") + "\n"


INTERRUPTED = displaced("interrupt", "interrupted", "A0 B0", "A0")
ROLLED_BACK = displaced("rollback", "404", "B0", "nothing")


LEFT = displaced("rollback", "404", "B0 A0", "nothing").replace(
    "enter 0  leave 0  enter 1", "enter 0 found nothing @15  leave 0 @16  enter 1 @17"
)
RELABELLED = INTERRUPTED.replace("enter 0 found A0 ", "enter 0 found A0 under A ")


def with_history(text: str, *checkpoints: str, chain: str) -> str:
    """A drawing with a final read of the history at its end."""
    return "\n".join(checkpoints) + "\n" + text.rstrip().removesuffix("\n") + f"  history ─{chain}\n"


READ = """
A = emit

client 1 |create A enqueue ─200
run A    |                   enter 0  leave 0
harness  |                                     get A ─<first>    get A ─<second>
"""

BACK = """
A = emit@g

client 1 |create A enqueue ─200
run A    |                   enter 0                                              leave 0
harness  |                            get A ─running  get A ─pending  open g
"""
"""Held in its superstep A is called pending again."""

CHAIN = """
A = emit
<checkpoints>

client 1 |create A enqueue ─200
harness  |                   settled  state ─A0 {"id": "head", "parent": null}  history ─<chain>
"""


def chain(checkpoints: str, of: str) -> str:
    return filled(CHAIN, checkpoints=checkpoints, chain=of)


FAILING = """
A = emit@g fail
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B enqueue ─200
run A    |                   enter 0
harness  |                                             open g

ms       |100
run A    |leave 0  enter 1  raise 1
run B    |                           <start>
harness  |                                    settle:list ─A error B <read>  <end>  get A ─error  get B ─<read>
"""


def failing(start: str, read: str, end: str) -> str:
    return filled(FAILING, start=start, read=read, end=end)


HELD_BURST = """
B0 = emit@b
B1 = emit@b

ms      |0                                                   100
c0      |create B0 <kind> in burst ─200
c1      |create B1 <kind> in burst ─200
harness |                                                    open b  settled  get B0 ─<first>  get B1 ─success
"""

INTERRUPT_ALL = 'target: {"displaces": "interrupt-all"}\n'
EXECUTING = 'target: {"displaces": "executing"}\n'
"""A target that displaces a run only when it executes: none of a burst need have started when the others came."""

TWO_THREADS = """
A = emit@g
B = emit
X = emit@x
Y = emit

client 1 |create A enqueue ─200
client 2 |                      create X enqueue on u ─<answer>
run A    |                   enter 0
run X    |                                                  enter 0

ms       |100
client 3 |create B <over> ─200
client 4 |                     <then>
run X    |                                                        leave 0
harness  |                                                 open x

ms       |200
harness  |settled  settled on u  get X ─<fate>  list on u ─X success<listed>  state on u ─<log>
"""


def two_threads(
    answer: str = "200",
    fate: str = "success",
    listed: str = "",
    log: str = "X0",
    over: str = "interrupt",
    then: str = "",
) -> str:
    return filled(TWO_THREADS, answer=answer, fate=fate, listed=listed, log=log, over=over, then=then)


EARLIER = """
P = emit
A = emit@g emit
B = emit

client 1 |create P enqueue ─200                                 create A enqueue ─200
run P    |                   enter 0  leave 0
harness  |                                     get P ─success

ms       |100
client 2 |      create B rollback ─200
run A    |enter 0                        cancelled 0
run B    |                                            enter 0  leave 0
harness  |                                                              settled  get P ─success  get A ─404

ms       |300
harness  |state ─<head>  history ─<chain>
"""
"""A, which follows P, is rolled back."""

WRITES_LATE = """
A = emit emit@g emit
B = emit
c0 <
c1 < c0 A0
c2 < c1 A0 B0
z < c1 A0 A1

client 1 |create A enqueue ─200
client 2 |                                      create B interrupt ─200
run A    |               enter 0  leave 0  enter 1                             <stop>
run B    |                                                               enter 0  leave 0
harness  |                                                                        open g @<opened>

ms       |200
harness  |settled  settled:history ─c2 c1 c0  get A ─interrupted  get B ─success  state ─c2  history ─<chain>
"""

BESIDE = """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B <strategy> ─200
run A    |                   enter 0
run B    |                                                   enter 0
harness  |                                                              open g
"""

OVERLAPPING = """
A = emit
B = emit

client 1 |create A enqueue ─200
client 2 |create B enqueue ─200
run A    |                        enter 0                       leave 0
run B    |                                 enter 0 clock <clock>
"""

TRUTH = """
A = emit@g emit

client 1 |create A enqueue ─200
run A    |                   enter 0
harness  |                            get A ─success @<read>  open g @50
"""

RAISING = """
A = fail

client 1 |create A enqueue ─200
run A    |                   enter 0  raise 0
harness  |                                     final:get A ─<status>
"""

STUCK = """
A = emit

client 1 |create A enqueue ─200
harness  |                   settle:list ─A running  unsettled A waited <waited>
"""

WAITING = """
A = emit@g emit

client 1 |create A enqueue ─200 @0..<answered>
run A    |                   enter 0
harness  |                            open g @4000
"""

QUEUED_CANCELLED = """
A = emit@g
Q = emit

client 1 |create A enqueue ─200
client 2 |                      create Q enqueue ─200
run A    |                   enter 0
harness  |                                             cancel Q interrupt ─202

ms       |60                                  200
harness  |thread ─<during> @60..61            open g  list ─A success Q interrupted @250..251
run A    |                                            leave 0

ms       |260      300
harness  |settled  thread ─<after> @300..301  get A ─success  get Q ─interrupted
"""
"""Q, which waits behind A, is cancelled while A is held."""

DELETED = """
A = emit emit@g emit
B = emit
c0 <
c1 < c0 A0
c2 < c1 A0 A1

ms       |0                                                                                  3000
client 1 |create A enqueue ─200 @0..5                                         create B enqueue ─200 @3000..3010
client 2 |                                           call delete of A ─204
run A    |              enter 0 @6  leave 0 @8  enter 1 @9
harness  |                                                                                  <waited>
run B    |                                                                                      enter 0 @3020

ms       |3100
harness  |open g
run A    |        <leave>
run B    |                 leave 0

ms       |3300
harness  |settle:list ─B <second>  <end>  get A ─404  get B ─<second>  history ─<chain>
"""
"""A, which a gate holds in superstep 1, is deleted; the gate opens when the harness has waited for A to stop."""

WAITED = 'remark halt-waited {"tag": "A", "waited": 20.0, "deadline": 20.0, "told": false} @2999'


def deleted(chain: str, leave: str = "cancelled 1", waited: str = WAITED, **more: str) -> str:
    return filled(DELETED, chain=chain, leave=leave, waited=waited, **{"second": "success", "end": "settled", **more})


RENEWED = """
A = emit emit@g emit
B = emit
c0 <
c1 < c0 A0
c2 < c1 A0 A1
b1 < B0

ms       |0                                                                      60                   100
client 1 |create A enqueue ─200 @0..5
client 2 |                                           call delete_thread ─204    new ─200 @62..80
run A    |              enter 0 @6  leave 0 @8  enter 1 @9
harness  |                                                                                            list ─<listed>

ms       |3000
harness  |<waited>  open g @3100
client 1 |create B enqueue ─200 @3001..3010
run B    |enter 0 @3050  leave 0 @3051

ms       |3300
harness  |settled  get A ─404  get B ─success  history ─<chain>
"""
"""A, which a gate holds in superstep 1, is there when its thread is deleted and created again."""


QUEUED_RENEWED = """
A = emit@g
Q = emit

client 1 |create A enqueue ─200 @0..5  create Q enqueue ─200 @20..25
client 2 |call delete_thread ─204 @60..70  new ─200 @72..80
run A    |enter 0 @10  cancelled 0 @66
run Q    |enter 0 @<entered>  leave 0 @101
harness  |settled @3000  state ─Q0 @3300..3301
"""
"""Q waits behind A when their thread is deleted and created again, and is executed then."""


def renewed(listed: str = "nothing", waited: str = WAITED, chain: str = "b1") -> str:
    return filled(RENEWED, listed=listed, waited=waited, chain=chain)


ENDED_RENEWED = """
A = emit
B = emit
a1 < A0
b1 < B0

ms       |0
client 1 |create A enqueue ─200
client 2 |                                        call delete_thread ─204 @41..50    new ─200 @62..80
run A    |              enter 0  leave 0
harness  |                                get A ─success @35..36

ms       |100
harness  |state ─<state> @100..101  settled  get A ─404  history ─nothing
"""

LEAKING = """
D0 = emit@g
D1 = emit@g
X = emit

ms       |0                                   100                                           200
client 1 |create D0 enqueue on a ─200         call delete of D0 on a ─204
client 2 |create D1 enqueue on b ─200                                                       call delete of D1 on b ─204
run D0   |                        enter 0
run D1   |                           enter 0
harness  |

ms       |300
harness  |open g  remark begin-waited {"tag": "X", "waited": 8.0, "deadline": 8.0, "told": <told>} @9000
client 3 |create X enqueue on u ─200 @301..305
run X    |                                  enter 0 @<begun>
"""


def leaking(told: str, begun: str) -> str:
    return filled(LEAKING, told=told, begun=begun)


UPDATED = """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                              call update_state of U ─<answer>
run A    |                   enter 0 found nothing @25
harness  |                                                                  open g @100

ms       |101
run A    |leave 0  enter 1  leave 1
harness  |                           settled  get A ─success  state ─<log> inputs <inputs>
"""
"""A client updates the state while A is held."""


def updated(log: str, answer: str = "200", inputs: str = "A U") -> str:
    return filled(UPDATED, log=log, answer=answer, inputs=inputs)


STARVING = """
A = emit@g
W = emit@w
X = emit
<scripts>

client 1 |create A enqueue ─200 @0..5  create W enqueue on w ─200 @10..15
run A    |enter 0 @6
run W    |enter 0 @<beside>
harness  |<remark>  open w @20  get W ─success @25..26  open g @9000
client 2 |<queue>
client 3 |create X enqueue on u ─200 @50..55
run X    |enter 0 @<begun>
"""


def starving(told: str, begun: str, beside: str = "16", remark: str = "answered W @17") -> str:
    """A has eight runs behind it, W, beside it, has ended; X comes."""
    queue = "  ".join(f"create B{i} enqueue ─200 @{30 + i}..{31 + i}" for i in range(8))
    waited = f'remark begin-waited {{"tag": "X", "waited": 8.0, "deadline": 8.0, "told": {told}}} @8100'
    text = STARVING.replace("<scripts>", "\n".join(f"B{i} = emit" for i in range(8))).replace("<queue>", queue)
    return filled(text, begun=begun, beside=beside, remark=f"{remark}  {waited}")


UNWELCOME = starving("false", "9100").replace("create X enqueue on u ─200", "create X enqueue on u ─503")
UNWELCOME = UNWELCOME.replace("run X    |enter 0 @9100\n", "")

ALONE = 'remark begin-waited {"tag": "W", "waited": 8.0, "deadline": 8.0, "told": false} @19'
HOOKED = """
A = emit

client 1 |create A enqueue ─200 @0..5
run A    |enter 0 @10  leave 0 @11
harness  |get A ─<status> @20..21  <told>

#0 request.webhook=true
"""

HOOK_REFUSED = """
A = emit

client 1 |create A enqueue ─422 @0..5

#0 request.webhook=true
"""

CALLED = 'remark webhook {"tag": "A", "status": "success"}'
UNCALLED = 'remark hook-waited {"tag": "A", "waited": 8.0, "deadline": 8.0, "told": false} @9000'
UNNAMING = 'dialect: {"name": "agent-protocol", "history_names_run": "no"}\n'
UNDER = with_history(ROLLED_BACK, "c0 <", "x < c0 A0", "head < x B0", chain="head x c0")
ORPHAN = with_history(ROLLED_BACK, "c0 <", "x < c0 A0", "head < c0 B0", chain="head x c0")
KEPT = filled(EARLIER, head="P0 B0", chain="head c").replace("P =", "c < P0\nhead < c P0 B0\nP =")
LOST_P = filled(EARLIER, head="B0", chain="head").replace("P =", "head < B0\nP =")
COMPLETES = """
A = emit emit@g emit

ms       |0                                                                       2100   2200
client 1 |create A enqueue ─200
client 2 |                                      cancel A interrupt ─204
run A    |               enter 0  leave 0  enter 1
harness  |                                                              stop-waited A  open g

ms       |2201                                        2300
run A    |leave 1 <went on>
harness  |                                             settled  get A ─interrupted  state ─A0 A1
"""
"""A run that was cancelled in its superstep 1 completes that, and then stops."""
WENT_ON = COMPLETES.replace("<went on>", " enter 2 found A0 A1")
COMPLETES = COMPLETES.replace(" <went on>", "")

LATE = filled(WRITES_LATE, stop="leave 1", opened="79", chain="z c2 c1 c0")
AFTER_READ = LATE.replace("open g @79", "open g @290").replace("settled:history ─c2 c1 c0", "")


def named(value: object) -> str:
    """Drawings do not name a test."""
    return value if isinstance(value, str) and "\n" not in value else ""


# --- what is legal --------------------------------------------------------------------------------

LEGAL: list[tuple[str, str, int]] = [
    ("reject.conflict", rejecting(), 1),
    ("reject.conflict", filled(CUT, cut="cancelled 0"), 0),
    ("reject.code", rejecting(), 1),
    ("reject.no-effect", rejecting(), 1),
    ("reject.one-winner", burst("200", "409", "409"), 1),
    ("reject.reopens", filled(REOPENING, answer="200", read="success"), 1),
    ("enqueue.accepted", queue(), 1),
    ("enqueue.first-completes", queue(), 1),
    ("enqueue.separate-run", queue(), 1),
    ("enqueue.conserves-input", queue(), 2),
    ("enqueue.fifo", filled(ORDER, log="X0 Y0"), 1),
    ("enqueue.survives-failure", failing("enter 0", "success", "settled"), 1),
    ("interrupt.accepted", INTERRUPTED, 1),
    ("interrupt.status", INTERRUPTED, 1),
    ("interrupt.status", EXECUTING + filled(HELD_BURST, kind="interrupt", first="success"), 0),
    ("history.explainable", EXECUTING + filled(HELD_BURST, kind="interrupt", first="success"), 1),
    ("rollback.deleted", EXECUTING + filled(HELD_BURST, kind="rollback", first="success"), 0),
    ("rollback.deleted", INTERRUPT_ALL + filled(HELD_BURST, kind="rollback", first="success"), 0),
    ("run.terminal-is-final", LATE.replace("z < c1 A0 A1", "z < c2 A0 B0 of B source update"), 0),
    ("interrupt.keeps-progress", INTERRUPTED, 1),
    ("interrupt.builds-on", INTERRUPTED, 1),
    ("interrupt.no-injection", INTERRUPTED, 1),
    ("rollback.accepted", ROLLED_BACK, 1),
    ("rollback.deleted", ROLLED_BACK, 1),
    ("rollback.reverts", ROLLED_BACK, 1),
    ("rollback.lineage", with_history(ROLLED_BACK, "c0 <", "head < c0 B0", chain="head c0"), 1),
    (
        "rollback.lineage",
        KEPT,
        1,
    ),
    ("rollback.no-orphans", with_history(ROLLED_BACK, "c0 <", "head < c0 B0", chain="head c0"), 1),
    ("displaced.stops", INTERRUPTED, 1),
    ("displaced.stops", ROLLED_BACK, 1),
    ("thread.one-at-a-time", queue(), 1),
    ("thread.no-lost-update", queue(), 1),
    ("thread.independent", two_threads(), 1),
    # What another run on its own thread may have done, or what nobody else may have, is not another thread's doing.
    ("thread.independent", two_threads(fate="interrupted", over="enqueue"), 0),
    ("thread.independent", two_threads(fate="interrupted", then="create Y enqueue on u ─200"), 0),
    ("thread.independent", two_threads(fate="error"), 1),
    ("thread.settles", queue(), 1),
    ("run.terminal-is-final", filled(READ, first="success", second="success"), 1),
    ("run.terminal-is-final", filled(WRITES_LATE, stop="cancelled 1", opened="79", chain="c2 c1 c0"), 0),
    ("run.final-when-read", filled(WRITES_LATE, stop="cancelled 1", opened="79", chain="c2 c1 c0"), 1),
    ("run.status-legal", filled(READ, first="running", second="success"), 1),
    ("run.status-truthful", rejecting(), 1),
    ("checkpoint.lineage", chain("a < of A\nhead < a A0", "head a"), 1),
    ("checkpoint.lineage", chain('a < of A\nhead < "b" A0', "head  older:history ─a"), 0),
    ("checkpoint.lineage", chain('a < of A\nhead < "b" A0', "head  older:history ─500"), 0),
    ("history.explainable", queue(), 1),
    ("history.explainable", INTERRUPTED, 1),
    ("history.explainable", rejecting(), 1),
    ("checkpoint.one-chain", chain("a < of A\nhead < a A0", "head a"), 1),
    ("thread.busy-iff-inflight", filled(QUEUED_CANCELLED, during="busy", after="idle"), 1),
    ("checkpoint.attributed", chain("a < of A\nhead < a A0", "head a"), 1),
    ("checkpoint.attributed", chain("a < of A\nu < a A0 source update run nobody\nhead < u A0 A1", "head u a"), 1),
    ("checkpoint.attributed", UNNAMING + chain("a < of A run nobody", "a"), 0),
    ("delete.stops-writes", deleted("c1 c0"), 1),
    ("delete.stops-writes", deleted("c2 c1 c0", "leave 1", WAITED.replace("20.0, ", "2.0, ", 1)), 0),
    ("delete.stops-writes", renewed(), 1),
    ("delete.stops-writes", QUEUED_RENEWED.replace("<entered>", "71"), 0),
    ("delete.stops-writes", filled(ENDED_RENEWED, state="nothing"), 1),
    ("delete.thread-settles", deleted("c1 c0"), 1),
    ("thread.not-starved", starving("true", "60"), 1),
    ("thread.not-starved", UNWELCOME, 0),
    # Put back into the queue before its first superstep, or behind its last: nobody can tell.
    ("run.status-legal", filled(READ, first="running", second="pending"), 1),
    ("run.status-legal", BACK.replace("enter 0", "enter 0  enter 0"), 1),
    ("run.status-legal", BACK + "client 2 |cancel A rollback ─204 @60..70\n", 1),
    ("displaced.stops", COMPLETES, 1),
    ("history.explainable", COMPLETES, 1),
    ("webhook.once", filled(HOOKED, status="success", told=f"{CALLED} @30"), 1),
    ("webhook.once", filled(HOOKED, status="running", told=UNCALLED), 0),
    ("enqueue.accepted", HOOK_REFUSED, 0),
    ("thread.not-starved", starving("false", "9100", beside="9050", remark=ALONE), 0),
    ("state.update-not-lost", updated("A0 U:0 A1"), 1),
    ("state.update-not-lost", updated("A0 A1", "409", "A"), 0),
    ("thread.no-lost-update", updated("A0 U:0 A1"), 1),
    ("history.explainable", updated("U:0 A0 A1"), 1),
    ("delete.frees-worker", leaking("true", "310"), 1),
    ("create.returns", rejecting(), 1),
    ("create.returns", filled(WAITING, answered="1"), 1),
    ("run.status-truthful", filled(RAISING, status="error"), 1),
    *drawings_of_calls.LEGAL,
    *bad_input_drawings.LEGAL,
    *drawings_of_endpoints.LEGAL,
]


def test_rollbacks_that_spare_what_waits_excuse_no_interrupt() -> None:
    violations, _ = said(INTERRUPT_ALL + filled(HELD_BURST, kind="interrupt", first="success"), "interrupt.status")
    assert [v.observed for v in violations] == ["B0 and B1 all ended by themselves"]


@pytest.mark.parametrize(("id", "text", "exercised"), LEGAL, ids=named)
def test_what_is_legal_is_accepted(id: str, text: str, exercised: int) -> None:
    violations, n = said(text, id)
    assert violations == []
    assert n == exercised


# --- what is not ----------------------------------------------------------------------------------

ILLEGAL: list[tuple[str, str, str]] = [
    ("reject.conflict", filled(CUT, cut=""), "B's create was answered 200"),
    ("reject.conflict", rejecting("200"), "B's create was answered 200"),
    ("reject.conflict", rejecting("500"), "B's create was answered 500"),
    ("reject.conflict", rejecting("404"), "B's create was answered 404"),
    ("reject.conflict", rejecting("401"), "B's create was answered 401"),
    ("reject.code", rejecting("422"), "B was refused with 422"),
    ("reject.code", rejecting("409 {}"), "and the body {}"),
    (
        "reject.no-effect",
        rejecting() + "h        |list ─B pending @300..301\n",
        "is listed as a run",
    ),
    ("reject.no-effect", rejecting() + "run B    |enter 0 @300\n", "refused and yet executed"),
    ("reject.no-effect", rejecting().replace("─A0 A1", "─A0 A1 B0"), "its input is in the state"),
    ("reject.no-effect", rejecting(fate="interrupted"), "A, which nobody displaced, did not end by itself"),
    ("reject.one-winner", burst("200", "200", "409"), "2 were accepted: B0, B1"),
    ("reject.one-winner", burst("409", "409"), "all were refused on an idle thread"),
    ("reject.one-winner", burst("200", "500"), "B1's create was answered 500"),
    ("reject.reopens", filled(REOPENING, answer="409", read="success"), "create was answered 409"),
    ("enqueue.accepted", queue("409"), "create was answered 409"),
    ("enqueue.accepted", queue("500"), "B's create was answered 500"),
    ("enqueue.first-completes", queue(fate="interrupted"), "A ended interrupted"),
    ("enqueue.first-completes", queue(fate="404"), "A is gone"),
    ("enqueue.first-completes", queue(log="A0 B0"), "only supersteps [0] of A's 2"),
    ("enqueue.separate-run", queue(log="B0 A0 A1"), "the log reads B0 A0 A1"),
    ("enqueue.separate-run", queue().replace("found A0 A1", "found A0 A1 under A"), "id of A"),
    ("enqueue.conserves-input", queue(log="A0 A1"), "nothing of B is in the state"),
    ("enqueue.conserves-input", queue(log="A0 A1 B0 B0"), "supersteps [0, 0] were written"),
    ("enqueue.fifo", filled(ORDER, log="Y0 X0"), "Y executed first"),
    ("enqueue.survives-failure", failing("", "pending", "unsettled B waited 20"), "B is still pending"),
    ("enqueue.survives-failure", failing("", "interrupted", "settled"), "B never started"),
    (
        "interrupt.accepted",
        displaced("interrupt", "success", "A0 A1 A2", "A0", answer="409"),
        "B's create was answered 409",
    ),
    ("interrupt.status", displaced("interrupt", "success", "A0 B0", "A0"), "A ended success"),
    ("interrupt.status", displaced("interrupt", "404", "A0 B0", "A0"), "A is gone (404)"),
    ("interrupt.status", filled(HELD_BURST, kind="interrupt", first="success"), "B0 and B1 all ended by themselves"),
    ("interrupt.keeps-progress", displaced("interrupt", "interrupted", "B0", "nothing"), "[0] of A are not"),
    ("interrupt.builds-on", displaced("interrupt", "interrupted", "A0 B0", "nothing"), "B found a log of 0 entries"),
    (
        "interrupt.builds-on",
        displaced("interrupt", "interrupted", "A0 B0 A1", "A0"),
        "supersteps [1] of A stand after",
    ),
    (
        "interrupt.no-injection",
        INTERRUPTED + "run A    |enter 2 found A0 last B @2700\n",
        "A found B's input",
    ),
    ("interrupt.no-injection", displaced("interrupt", "interrupted", "A0 B0 A1", "A0"), "the log reads A0 B0 A1"),
    ("interrupt.no-injection", RELABELLED, "under A's id"),
    (
        "rollback.accepted",
        displaced("rollback", "success", "A0 A1 A2", "A0", answer="409"),
        "B's create was answered 409",
    ),
    ("rollback.deleted", displaced("rollback", "interrupted", "B0", "nothing"), "A reads as interrupted"),
    (
        "rollback.deleted",
        displaced("rollback", "404", "B0", "nothing", listed="A interrupted "),
        "a list of runs (final)",
    ),
    ("rollback.deleted", filled(HELD_BURST, kind="rollback", first="success"), "B0 and B1 all ended by themselves"),
    ("rollback.reverts", displaced("rollback", "404", "A0 B0", "A0"), "they differ in log"),
    ("rollback.reverts", LEFT, "A is still in the final state"),
    ("rollback.lineage", UNDER, "carries A"),
    (
        "rollback.lineage",
        LOST_P,
        "nothing of P is in the head's",
    ),
    (
        "rollback.no-orphans",
        ORPHAN,
        "of the final history carries A",
    ),
    ("displaced.stops", displaced("interrupt", "interrupted", "A0 B0", "A0", went_on=True), "went on with superstep 2"),
    ("displaced.stops", displaced("rollback", "404", "B0", "nothing", went_on=True), "went on with superstep 2"),
    ("thread.no-lost-update", queue(log="B0"), "A was overwritten"),
    ("thread.no-lost-update", queue(log="A0 B0 A1"), "the log reads A0 B0 A1"),
    ("thread.no-lost-update", queue(log="A0 A1 B0 counter 3"), "the final counter is 3"),
    ("thread.no-lost-update", queue().replace("found A0 A1", "found A0"), "B found a log of 1 entries"),
    ("thread.independent", two_threads(answer="409"), "X's create was answered 409"),
    ("thread.independent", two_threads(fate="interrupted"), "X ended interrupted"),
    (
        "thread.independent",
        two_threads(listed=" A running"),
        "thread u names A, a run of another thread (list of runs)",
    ),
    ("thread.independent", two_threads(log="X0 A0"), "thread u names A, a run of another thread (log)"),
    ("run.terminal-is-final", filled(READ, first="success", second="interrupted"), "A became interrupted"),
    ("run.terminal-is-final", ROLLED_BACK + "harness  |get A ─interrupted @3000..3001\n", "A became interrupted"),
    (
        "run.terminal-is-final",
        LATE,
        "it wrote superstep 1",
    ),
    (
        "run.final-when-read",
        AFTER_READ,
        "it wrote superstep 1",
    ),
    ("run.status-legal", filled(READ, first="cancelled", second="cancelled"), "A was read as 'cancelled'"),
    ("run.status-legal", BACK, "read as running, then as pending"),
    ("history.explainable", BACK, "A was running before"),
    ("displaced.stops", WENT_ON, "went on with superstep 2"),
    ("history.explainable", WENT_ON, "A entered superstep 2"),
    ("run.status-truthful", filled(TRUTH, read="30..31"), "A was read as success"),
    ("run.status-truthful", filled(TRUTH, read="60..61"), "A went no further than superstep 0 of 2"),
    ("run.status-truthful", filled(RAISING, status="success"), "A ended success"),
    ("run.status-truthful", filled(RAISING, status="interrupted"), "A ended interrupted"),
    ("thread.one-at-a-time", filled(BESIDE, strategy="enqueue"), "while A was held at its gate"),
    (
        "thread.one-at-a-time",
        filled(OVERLAPPING, clock="k"),
        "on one clock, A began 9.0 ms before B entered superstep 0",
    ),
    ("thread.settles", filled(STUCK, waited="20"), "with all gates open: A is running"),
    ("create.returns", filled(WAITING, answered="5000"), "after the run had entered its gate"),
    (
        "thread.busy-iff-inflight",
        filled(QUEUED_CANCELLED, during="idle", after="idle"),
        "thread t was read as idle by a read from t=60.0 ms",
    ),
    (
        "thread.busy-iff-inflight",
        filled(QUEUED_CANCELLED, during="busy", after="busy"),
        "thread t was read as busy by a read from t=300.0 ms",
    ),
    (
        "delete.stops-writes",
        deleted("c2 c1 c0", "leave 1"),
        "checkpoint c2 of the final history holds superstep 1 of A",
    ),
    ("delete.stops-writes", QUEUED_RENEWED.replace("<entered>", "100"), "the state of thread t, read from"),
    ("delete.stops-writes", renewed(chain="c2"), "checkpoint c2 of the final history holds superstep 1 of A"),
    ("delete.stops-writes", renewed(listed="A running"), "the list of runs of thread t, read from"),
    ("delete.stops-writes", filled(ENDED_RENEWED, state="A0"), "the state of thread t, read from"),
    (
        "delete.thread-settles",
        deleted("c1 c0", second="pending", end="unsettled B waited 20"),
        "B is pending",
    ),
    ("state.update-not-lost", updated("A0 A1", inputs="A"), "nothing of U is in it"),
    ("history.explainable", updated("A0 A1", inputs="A"), "the settled state holds the log A0 A1"),
    ("thread.not-starved", starving("false", "9100"), "X had entered no superstep at t=8100.0 ms"),
    ("webhook.once", filled(HOOKED, status="success", told=f"{CALLED} @30  {CALLED} @31"), "there were 2"),
    ("webhook.once", filled(HOOKED, status="error", told=UNCALLED), "no call of A's webhook had come by t=9000.0 ms"),
    ("delete.frees-worker", leaking("false", "9100"), "X had entered no superstep at t=9000.0 ms"),
    ("checkpoint.attributed", chain("a < of A run nobody\nhead < a A0", "head a"), "(loop), names no run"),
    ("checkpoint.attributed", chain("a < of A\nhead < a A0 run other", "head a"), "names the run other"),
    ("checkpoint.lineage", chain('a < of A\nhead < "b" A0', "head a"), "has the parent b"),
    ("checkpoint.lineage", chain('head < "b" A0', "head  older:history ─nothing"), "has the parent b"),
    ("history.explainable", queue(log="B0 A0 A1"), "the settled state holds the log B0 A0 A1"),
    ("history.explainable", filled(REOPENING, answer="409", read="success"), "create B (reject) was refused"),
    ("checkpoint.lineage", chain("a < of A\nhead < a A0 A1", "head a"), "has the log A0 A1, its parent a has (empty)"),
    ("checkpoint.lineage", chain("a < of A", "a"), "the head head of thread t is not in its history"),
    ("checkpoint.one-chain", chain("a < of A\nf < a A0\nhead < a A0", "head f a"), "have the same parent a"),
    *drawings_of_calls.ILLEGAL,
    *bad_input_drawings.ILLEGAL,
    *drawings_of_endpoints.ILLEGAL,
]


@pytest.mark.parametrize(("id", "text", "observed"), ILLEGAL, ids=named)
def test_what_is_not_legal_is_seen(id: str, text: str, observed: str) -> None:
    assert observed in the_violation(text, id).observed


def test_every_requirement_has_a_legal_and_an_illegal_history() -> None:
    oracles = {r.id for r in REGISTRY.values() if r.level not in (POLICY, HAZARD)}
    assert {id for id, *_ in LEGAL} >= oracles
    assert {id for id, *_ in ILLEGAL} >= oracles


# --- reject ---------------------------------------------------------------------------------------


def test_a_broken_reject_is_proven_by_the_gate() -> None:
    violation = the_violation(rejecting("200"), "reject.conflict")
    assert "A was inflight while create B took effect" in str(violation.proof[0])


def test_nothing_is_proven_when_the_gate_was_open_before_the_answer() -> None:
    assert said(rejecting("200", opened="30"), "reject.conflict") == ([], 0)


@pytest.mark.parametrize("status", ["503", "429"])
def test_overload_is_neither_a_refusal_nor_a_violation(status: str) -> None:
    assert said(rejecting(status), "reject.conflict") == ([], 0)


def test_a_refusal_counts_only_with_a_control() -> None:
    assert said(rejecting(control=""), "reject.conflict") == ([], 0)


def test_another_code_is_only_a_matter_of_code() -> None:
    assert said(rejecting("422"), "reject.conflict") == ([], 1)
    dialect = 'dialect: {"name": "agent-server", "refusal_code": 422}\n'
    assert said(dialect + rejecting("422"), "reject.code") == ([], 1)
    assert "refused with 409" in the_violation(dialect + rejecting("409"), "reject.code").observed


def test_overload_in_a_burst_proves_nothing() -> None:
    assert said(burst("200", "503"), "reject.one-winner") == ([], 0)


def test_two_winners_prove_nothing_if_the_first_may_have_ended_before_the_second_came() -> None:
    assert said(burst("200", "200", opened="3"), "reject.one-winner") == ([], 0)


def test_a_refusal_beside_a_running_run_is_no_stale_one() -> None:
    assert said(filled(REOPENING, answer="409", read="running"), "reject.reopens") == ([], 0)


# --- enqueue, and one at a time -------------------------------------------------------------------


def test_a_displaced_run_may_still_execute_beside_its_successor() -> None:
    assert said(filled(BESIDE, strategy="interrupt"), "thread.one-at-a-time")[0] == []


def test_two_clocks_prove_no_overlap() -> None:
    assert said(filled(OVERLAPPING, clock="other"), "thread.one-at-a-time")[0] == []


def test_simultaneous_creates_may_execute_in_any_order() -> None:
    text = filled(ORDER, log="Y0 X0").replace("create Y enqueue ─200", "create Y enqueue ─200 @23..40")
    assert said(text, "enqueue.fifo")[0] == []


# --- interrupt and rollback -----------------------------------------------------------------------


@pytest.mark.parametrize(("log", "found"), [("A0 B0", "A0"), ("A0 A1 B0", "A0 A1")])
def test_the_last_superstep_may_be_kept_or_not(log: str, found: str) -> None:
    text = displaced("interrupt", "interrupted", log, found)
    assert said(text, "interrupt.keeps-progress") == ([], 1)
    assert said(text, "interrupt.builds-on") == ([], 1)


def test_a_run_that_two_kinds_of_calls_displaced_may_end_either_way() -> None:
    text = "C = emit\n" + INTERRUPTED + "client 3 |create C rollback ─200 @60..80\n"
    assert said(text, "interrupt.status") == ([], 0)


def test_an_orphan_beside_the_lineage_is_not_in_it() -> None:
    beside = ORPHAN
    assert said(beside, "rollback.lineage") == ([], 1)


# --- runs and threads -----------------------------------------------------------------------------


def test_concurrent_reads_prove_no_flip() -> None:
    text = filled(READ, first="success @45..60", second="running @50..70")
    assert said(text, "run.terminal-is-final")[0] == []


@pytest.mark.parametrize(
    ("id", "text"),
    [
        (id, ROLLED_BACK.rstrip() + "  " + history + "\n")
        for id in ("checkpoint.lineage", "checkpoint.attributed", "rollback.lineage", "rollback.no-orphans")
        for history in ("history ─404", "settled:history ─405  history ─405")
    ],
)
def test_a_target_without_histories_is_not_accused_and_not_left_open(id: str, text: str) -> None:
    assert {type(j) for j in judgements(text, id)} == {Inapplicable}


def test_settles_is_judged_only_after_the_whole_deadline() -> None:
    assert said(filled(STUCK, waited="2"), "thread.settles") == ([], 0)


# --- policies and hazards -------------------------------------------------------------------------

DEFAULT = """
A = emit@g emit
B = emit
C = emit

client 1 |create A enqueue ─200
client 2 |                      create B <strategy> ─<answer>
run A    |                   enter 0
harness  |                                                     open g

ms       |100
client 3 |create C <third> ─200
harness  |                               settled  get A ─<fate>  get B ─<second>
"""

TOOL = """
A = call:x emit@g result:x
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B interrupt ─200
run A    |               enter 0  leave 0  enter 1                         <end>
run B    |                                                                           enter 0  leave 0
harness  |                                                                                             settled

ms       |300
harness  |get A ─interrupted  state ─<log>
"""

EFFECT = """
A = effect:pay emit@g
B = emit

client 1 |create A enqueue ─200
client 2 |                                               create B rollback ─200
run A    |              enter 0  <effect>  leave 0  enter 1                         cancelled 1
harness  |                                                                                       settled  get A ─404
"""


@pytest.mark.parametrize(
    ("answer", "fate", "policy"),
    [
        ("409", "success", "reject"),
        ("200", "success", "enqueue"),
        ("200", "interrupted", "interrupt"),
        ("200", "404", "rollback"),
    ],
)
def test_default_strategy(answer: str, fate: str, policy: str) -> None:
    text = filled(DEFAULT, strategy="default", answer=answer, fate=fate, third="-", second="success")
    assert [j.policy for j in judgements(text, "default.strategy") if isinstance(j, Observed)] == [policy]


def policies(text: str, id: str) -> list[str]:
    return [j.policy for j in judgements(text, id) if isinstance(j, Observed)]


@pytest.mark.parametrize(("answer", "policy"), [("409", ["refused"]), ("200", ["accepted"]), ("503", []), ("404", [])])
def test_updates_of_a_busy_thread(answer: str, policy: list[str]) -> None:
    assert policies(updated("A0 A1", answer, "A"), "state.update-busy") == policy


@pytest.mark.parametrize(("answer", "policy"), [("204", ["running: allowed"]), ("409", ["running: refused"])])
def test_deletion_of_an_active_run(answer: str, policy: list[str]) -> None:
    text = deleted("c1 c0").replace("of A ─204", f"of A ─{answer}")
    assert policies(text.replace("get A ─404", "get A ─running"), "delete.active") == policy


CANCELLED = """
A = emit@g

client 1 |create A enqueue ─200 @0..5
run A    |enter 0 @10
client 2 |cancel A interrupt ─202 @20..25
harness  |open g @40  settled @50  list ─A interrupted @60..61  thread ─<status> @62..63  get A ─interrupted @64..65
"""


def test_what_a_thread_is_called_after_a_cancel() -> None:
    assert policies(filled(CANCELLED, status="idle"), "thread.status-after") == ["interrupted: idle"]


SCHEDULED = """
S = emit
R = emit

client 1 |create S enqueue ─200 @0..5
client 2 |create R reject ─<answer> @10..15
run S    |enter 0 @1010

#0 request.after=1
"""


@pytest.mark.parametrize(
    ("answer", "policy"), [("409", "inflight from its creation"), ("200", "inflight from its start")]
)
def test_a_scheduled_run_is_judged_by_its_policy_alone(answer: str, policy: str) -> None:
    text = filled(SCHEDULED, answer=answer)
    assert policies(text, "schedule.after-seconds") == [policy]
    said_too = {id for id, j in judge(parse(text)).items() if j.judgements} - {"schedule.after-seconds"}
    assert said_too <= {r.id for r in REGISTRY.values() if r.special or r.scheduled}


ASKED = """
A = emit {"op": "ask"} emit
B = emit

client 1 |create A enqueue ─200 @0..5
run A    |enter 0 @10  leave 0 @11  enter 1 @12  <more>
harness  |get A ─success @20..21
client 2 |create B <strategy> ─<answer> @30..35
harness  |settled @100  thread ─<status> @110..111
"""


@pytest.mark.parametrize(
    ("more", "answer", "status", "policy"),
    [
        ("", "409", "interrupted", "refused"),
        ("", "200", "interrupted", "the question stays"),
        ("", "200", "idle", "the question is dropped"),
        ("enter 2 @40", "200", "idle", "resumes the waiting run"),
    ],
)
def test_a_question_that_a_new_run_meets(more: str, answer: str, status: str, policy: str) -> None:
    text = filled(ASKED, more=more, answer=answer, status=status, strategy="reject")
    assert policies(text, "hitl.overtaken") == [f"reject: {policy}"]
    hazards = [j for j in judgements(text, "hitl.overtaken") if isinstance(j, Hazard)]
    assert len(hazards) == (policy == "the question is dropped")


@pytest.mark.parametrize(
    ("body", "shows"),
    [
        ({"detail": "Thread is busy."}, None),
        ({"detail": "busy with {'messages': [{'id': 'in-A'}]}"}, "another run's input"),
        ({"detail": "you are in-Asia"}, None),
        ({"detail": 'Traceback (most recent call last):\n  File "x.py", line 3'}, "a stack trace"),
        ({"detail": "Error\n    at run (queue.mjs:10:3)"}, "a stack trace"),
        ({"detail": "no such table: /usr/lib/python3/site-packages/x"}, "a path of the server's installation"),
        ({"detail": "cannot reach postgresql://db/x"}, "an address of its database"),
        ({"detail": "select a strategy from the list"}, None),
        ({"detail": "key *** is not known"}, "credentials"),
    ],
)
def test_what_the_text_of_an_error_shows(body: dict[str, str], shows: str | None) -> None:
    (hazard,) = judgements(rejecting(f"409 {json.dumps(body)}"), "error.discloses-nothing")
    assert isinstance(hazard, Hazard)
    assert hazard.seen == (shows and f"the text of an error (create: 409) shows {shows}")


@pytest.mark.parametrize(
    ("sent", "seen"),
    [("x", "a stack trace"), ("Traceback (most recent call last)", None)],
)
def test_an_error_may_quote_the_request_that_it_is_about(sent: str, seen: str | None) -> None:
    answer = json.dumps({"detail": "invalid: Traceback (most recent call last)"})
    text = bad_input_drawings.request("types", f"422 {answer}", curl=f"curl --data-binary '{sent}' http://x")
    (hazard,) = judgements(text, "error.discloses-nothing")
    assert isinstance(hazard, Hazard)
    assert hazard.seen == (seen and f"the text of an error (request: 422) shows {seen}")


STUBBORN = """
A = emit emit@g~z emit
B = emit

client 1 |create A enqueue ─200
run A    |                   enter 0  leave 0  enter 1

ms       |50
client 2 |create B interrupt ─200
run A    |                         swallowed 1            leave 1  enter 2
run B    |                                                                  enter 0 found A0  leave 0
harness  |                                      open z

ms       |200
harness  |settled  get A ─interrupted  get B ─success  state ─A0 B0
"""


def test_what_is_completed_after_the_displacing_call_is_not_owed() -> None:
    """A node that swallows its cancellation goes on; what it completes then may be kept or not."""
    assert said(STUBBORN, "interrupt.keeps-progress") == ([], 1)
    assert said(STUBBORN, "interrupt.builds-on") == ([], 1)


LATE_NEWS = """
A = emit emit
B = emit
H = emit

client 1 |create A enqueue ─200
client 2 |                      create B rollback ─200
run B    |                                              enter 0
run A    |                                                       enter 0 seq 0

ms       |100
client 3 |create H enqueue ─200
run H    |                       enter 0
"""


def test_an_announcement_that_comes_late_makes_no_other_successor() -> None:
    """A node that is cancelled while it announces itself is recorded after its successor, which began after it."""
    thread = Facts(parse(LATE_NEWS)).threads["t"]
    assert thread.first_after(thread.runs["A"]) is thread.runs["B"]


@pytest.mark.parametrize(
    ("second", "policy", "lost"),
    [("interrupted", "displaces queued runs too", True), ("success", "leaves queued runs", False)],
)
def test_what_becomes_of_queued_runs(second: str, policy: str, lost: bool) -> None:
    text = filled(DEFAULT, strategy="enqueue", answer="200", fate="interrupted", third="interrupt", second=second)
    found = judgements(text.replace("open g", "open g @200"), "displaced.pending")
    assert [j.policy for j in found if isinstance(j, Observed)] == [f"interrupt: {policy}"]
    assert any("its input is lost" in str(j.seen) for j in found if isinstance(j, Hazard)) == lost


MAY_HAVE_STARTED = """
A = emit@g emit
B = emit@g emit
C = emit

client 1 |create A enqueue ─200
client 2 |                        create B interrupt ─200
run A    |                   enter 0

ms       |50
client 3 |create C rollback ─200
run B    |                       enter 0
harness  |                                open g

ms       |120
harness  |settled  get A ─interrupted  get B ─success  get C ─success
"""


def test_a_run_that_may_have_started_is_no_queued_one() -> None:
    """A was displaced by B; whether B has started when C comes, nobody can tell: its announcement is late."""
    assert judgements(MAY_HAVE_STARTED, "displaced.pending") == ()


def test_work_beside_the_successor_is_a_hazard() -> None:
    id = "thread.work-stops"
    assert judgements(INTERRUPTED, id) == (Hazard(None),)
    (hazard,) = judgements(INTERRUPTED + "run A    |effect 1 name pay @2302\n", id)
    assert isinstance(hazard, Hazard)
    assert "pay" in str(hazard.seen)


def test_a_dangling_tool_call_is_a_hazard() -> None:
    id = "interrupt.tool-calls"
    (hazard,) = judgements(filled(TOOL, end="cancelled 1", log="A0 B0"), id)
    assert isinstance(hazard, Hazard)
    assert "tool calls ['x'] of A have no result" in str(hazard.seen)
    assert judgements(filled(TOOL, end="leave 1  enter 2", log="A0 A1 A2 B0"), id) == (Hazard(None),)


def test_an_effect_that_stays_after_a_rollback_is_a_hazard() -> None:
    (hazard,) = judgements(filled(EFFECT, effect="effect 0"), "rollback.effects")
    assert isinstance(hazard, Hazard)
    assert "which was rolled back, remain: pay" in str(hazard.seen)
    assert judgements(filled(EFFECT, effect="        "), "rollback.effects") == (Hazard(None),)


# --- what a lost answer may mean ------------------------------------------------------------------

LOST = """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B <what>
run A    |                   enter 0
harness  |                                               open g @50

ms       |100
run A    |leave 0  enter 1  leave 1
harness  |                           settled  get A ─<fate>  get A ─success  state ─A0 A1
"""


@pytest.mark.parametrize(
    ("what", "fate"),
    [
        ("interrupt ─never", "success"),
        ("reject ─never", "success"),
        ("interrupt ─lost", "success"),
        ("rollback ─504", "404"),
        ("enqueue ─502", "success"),
    ],
)
def test_a_lost_answer_alone_is_never_a_failure(what: str, fate: str) -> None:
    judged = judge(parse(filled(LOST, what=what, fate=fate)))
    assert not {id: j.error for id, j in judged.items() if j.error}
    # That a deleted run is there again is what the drawing says on purpose.
    on_purpose = {"run.terminal-is-final", "history.explainable"} if fate == "404" else set()
    violated = {id for id, j in judged.items() if j.violations} - on_purpose
    assert violated == set()
