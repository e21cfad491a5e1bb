"""Histories drawn by hand in which single calls are what matters: cancels, and creates on unknown threads."""

from __future__ import annotations

from tests.conformance.drawn import filled

RUNNING = """
A = emit emit@g emit
R = emit@r

client 1 |create A enqueue ─200 @0..5  create R enqueue ─200 @30..35
run A    |enter 0 @10  leave 0 @12  enter 1 @14
client 2 |cancel A <action> <answer> @50..55
run R    |enter 0 found <found> @80  leave 0 @205
harness  |open g @100  open r @200  settled @300
harness  |get A ─<fate> @320..321  get R ─<other> @330..331  state ─<log> @340..341
"""
"""A has completed superstep 0 and is held in 1 when it is cancelled; R waits behind it, and is held later."""


def running(
    action: str, fate: str, found: str, log: str, answer: str = "─202", other: str = "success", more: str = ""
) -> str:
    return filled(RUNNING, action=action, answer=answer, found=found, fate=fate, other=other, log=log) + more


STOPPED = running("interrupt", "interrupted", "A0", "A0 R0")
REVERTED = running("rollback", "404", "nothing", "R0")

PENDING = """
A = emit@g emit
Q = emit@q

client 1 |create A enqueue ─200 @0..5  create Q enqueue ─200 @20..25
run A    |enter 0 @10  leave 0 @101  enter 1 @102  leave 1 @103
client 2 |cancel Q <action> ─202 @50..55
run Q    |enter 0 @<started>
harness  |open g @100  settled @300
harness  |get A ─success @320..321  get Q ─<fate> @330..331  state ─A0 A1 @340..341
"""
"""Q waits behind A, which is held, when it is cancelled."""


def pending(action: str, fate: str, started: str = "-") -> str:
    return filled(PENDING, action=action, fate=fate, started=started)


HANGING = """
A = emit@g emit
Q = emit

client 1 |create A enqueue ─200 @0..5  create Q enqueue ─200 @20..25
client 2 |cancel Q interrupt wait ─lost "ReadTimeout" @50..<gave up>
run A    |enter 0 @10
harness  |get Q ─interrupted @60..61  open g @20000  settled @21000  get A ─success @21100..21101
harness  |get Q ─interrupted @21102..21103
"""
"""Q waits behind A; who cancels it is not answered."""

WAITING = """
A = emit@g~z

client 1 |create A enqueue ─200 @0..5
run A    |enter 0 @10  swallowed 0 @52  leave 0 @101
client 2 |cancel A interrupt wait ─200 @50..<answered>
harness  |open z @100
"""
"""A's node swallows the cancellation, and works on until z is opened."""

OVER = """
A = emit

client 1 |create A enqueue ─200 @0..5
run A    |enter 0 @10  leave 0 @12
harness  |get A ─success @30..31  cancel A interrupt form true ─<answer> @40..45
"""

UNKNOWN = """
A = emit

client 1 |create A enqueue ─200 @0..5  cancel nobody interrupt ─<answer> @40..45
"""

TWICE = running("interrupt", "interrupted", "A0", "A0 R0", more="client 3 |cancel A <action> ─<answer> @<at>\n")


def twice(answer: str, action: str = "interrupt", at: str = "60..65") -> str:
    return filled(TWICE, action=action, answer=answer, at=at)


BULK = """
A = emit@g emit
Q = emit@q
R = emit@r

client 1 |create A enqueue ─200 @0..5  create Q enqueue ─200 @20..25  create R enqueue ─200 @30..35
run A    |enter 0 @10
client 2 |cancel-many <action> A Q ─<answer> @50..55
run R    |enter 0 found nothing @80  leave 0 @205
harness  |open g @100  open r @200  settled @300
harness  |get A ─<fate> @320..321  get Q ─<fate> @325..326  get R ─<other> @330..331  state ─R0 @340..341
"""


def bulk(action: str, fate: str, answer: str = "204", other: str = "success") -> str:
    return filled(BULK, action=action, fate=fate, answer=answer, other=other)


BEHIND_TWO = """
A = emit@g emit
Q = emit@q
S = emit@s

client 1 |create A enqueue ─200 @0..5  create Q enqueue ─200 @20..25  create S enqueue ─200 @30..35
run A    |enter 0 @10  leave 0 @101  enter 1 @102  leave 1 @103
client 2 |cancel-many interrupt Q S ─204 @50..55
run Q    |enter 0 @110
harness  |open g @100  settled @300
harness  |get A ─success @320..321  get Q ─interrupted @330..331  get S ─interrupted @335..336  state ─A0 A1 @340..341
"""

MISSING = """
B0 = emit@b
B1 = emit@b

c0      |create B0 enqueue if-missing in burst ─200 @1..5
c1      |create B1 enqueue if-missing in burst ─<answer> @1..6
harness |thread ─<thread> @20..21  open b @50  settled @100  get B0 ─<first> @110..111  get B1 ─success @120..121
"""


def missing(answer: str = "200", thread: str = "busy", first: str = "success") -> str:
    return filled(MISSING, answer=answer, thread=thread, first=first)


STRAY = """
N = emit

client 1 |stray N interrupt via wait on n ─<answer> @0..5
harness  |thread on n ─<thread> @10..11
"""


def stray(answer: str = "404", thread: str = "404") -> str:
    return filled(STRAY, answer=answer, thread=thread)


LEGAL: list[tuple[str, str, int]] = [
    ("cancel.interrupt", STOPPED, 2),
    ("cancel.interrupt", pending("interrupt", "interrupted"), 2),
    ("cancel.rollback-reverts", REVERTED, 2),
    ("cancel.rollback-reverts", pending("rollback", "404"), 2),
    ("cancel.wait", filled(WAITING, answered="120"), 1),
    ("cancel.wait", HANGING.replace("<gave up>", "1050"), 0),
    (
        "cancel.wait",
        HANGING.replace("<gave up>", "10050").replace("enter 0 @10", "enter 0 @10\nrun Q    |enter 0 @40"),
        0,
    ),
    ("cancel.codes", STOPPED, 1),
    ("cancel.codes", running("rollback", "success", "A0 A1 A2", "A0 A1 A2 R0", answer="─503"), 0),
    ("cancel.codes", filled(OVER, answer="404"), 1),
    ("cancel.codes", filled(OVER, answer="409"), 1),
    ("cancel.codes", filled(OVER, answer="202"), 1),
    ("cancel.codes", filled(UNKNOWN, answer="404"), 1),
    ("cancel.twice", twice("404"), 1),
    ("cancel.twice", twice("202"), 1),
    ("cancel.twice", twice("409", at="52..57"), 1),
    ("cancel.twice", twice("409", action="rollback"), 1),
    ("cancel.bulk", bulk("interrupt", "interrupted"), 3),
    ("cancel.bulk", bulk("rollback", "404"), 3),
    ("create.if-not-exists", missing(), 2),
    ("create.if-not-exists", missing("409").replace("enqueue", "reject").replace("B1 ─success", "B1 ─404"), 2),
    ("create.unknown-thread", stray(), 1),
    ("create.unknown-thread", stray("422"), 1),
]

ILLEGAL: list[tuple[str, str, str]] = [
    ("cancel.interrupt", running("interrupt", "success", "A0", "A0 R0"), "A reads as success"),
    ("cancel.interrupt", running("interrupt", "404", "A0", "A0 R0"), "A is gone (404)"),
    ("cancel.interrupt", running("interrupt", "interrupted", "nothing", "R0"), "supersteps [0] of A are not"),
    ("cancel.interrupt", pending("interrupt", "interrupted", "110"), "Q started when A had gone on"),
    ("cancel.interrupt", running("interrupt", "interrupted", "A0", "A0 R0", other="404"), "R ended gone"),
    ("cancel.rollback-reverts", running("rollback", "interrupted", "nothing", "R0"), "A reads as interrupted"),
    ("cancel.rollback-reverts", running("rollback", "404", "A0", "A0 R0"), "they differ in log"),
    (
        "cancel.rollback-reverts",
        running("rollback", "404", "nothing", "R0 A0").replace("enter 0 @10", "enter 0 found nothing @10"),
        "A is still in the final state",
    ),
    ("cancel.rollback-reverts", pending("rollback", "404", "110"), "Q started when A had gone on"),
    ("cancel.rollback-reverts", running("rollback", "404", "nothing", "R0", other="interrupted"), "R ended interr"),
    ("cancel.wait", filled(WAITING, answered="70"), "answered while a gate still held A's work in superstep 0"),
    ("cancel.wait", HANGING.replace("<gave up>", "10050"), "was not answered when the client gave up"),
    ("cancel.codes", running("interrupt", "interrupted", "A0", "A0 R0", answer="─500"), "was answered 500"),
    ("cancel.codes", running("interrupt", "success", "A0", "A0 A1 A2 R0", answer="─422"), "was answered 422"),
    ("cancel.codes", filled(OVER, answer="500"), "a cancel of A, which was success, was answered 500"),
    ("cancel.codes", filled(UNKNOWN, answer="200"), "a run that does not exist was answered 200"),
    ("cancel.twice", twice("409"), "the second cancel of A was answered 409"),
    ("cancel.twice", twice("500", at="52..57"), "the second cancel of A was answered 500"),
    ("cancel.bulk", bulk("interrupt", "interrupted", answer="500"), "though A was inflight"),
    ("cancel.bulk", bulk("rollback", "404", other="interrupted"), "R ended interrupted"),
    ("cancel.bulk", bulk("interrupt", "interrupted").replace("get Q ─interrupted", "get Q ─404"), "Q is gone (404)"),
    ("cancel.bulk", bulk("rollback", "404").replace("get A ─404", "get A ─success"), "A reads as success"),
    ("cancel.bulk", BEHIND_TWO, "Q started when A had gone on"),
    ("create.if-not-exists", missing("409"), "B1's create was answered 409"),
    ("create.if-not-exists", missing("500").replace("enqueue", "reject"), "B1's create was answered 500"),
    ("create.if-not-exists", missing(thread="404").replace("in burst ─200 @1..6", "in burst ─503 @1..6"), "not exist"),
    ("create.if-not-exists", missing(first="404"), "B0 is gone (404)"),
    ("create.unknown-thread", stray("200"), "N's create was answered 200"),
    ("create.unknown-thread", stray("500"), "N's create was answered 500"),
    ("create.unknown-thread", stray(thread="idle"), "answered 404, and thread n exists"),
]
