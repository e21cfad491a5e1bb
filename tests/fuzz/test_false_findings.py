"""What campaigns have found on servers that are right: each once, so that it is not found again."""

from __future__ import annotations

from conformance.notation import parse
from conformance.verdicts import judge

GONE_MEANWHILE = """
A = emit
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B enqueue ─────────404
run A    |                   enter 0  leave 0
harness  |                                    call delete_thread ─204   new ─200   settled   final:list ─nothing
"""
THERE = """
A = emit
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B enqueue ─404
run A    |                   enter 0  leave 0
harness  |                                                               settled   final:list ─A success
"""


def test_a_create_that_meets_the_deletion_of_its_thread_may_be_refused() -> None:
    assert not judge(parse(GONE_MEANWHILE), ["enqueue.accepted"])["enqueue.accepted"].violations
    assert judge(parse(THERE), ["enqueue.accepted"])["enqueue.accepted"].violations
