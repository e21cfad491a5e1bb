"""What real servers do and no MUST forbids: each as a small history, and explained. Times are milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conformance.explain import Search
from conformance.facts import Facts
from conformance.history import History
from conformance.observed import Create, observe
from conformance.programs import emit, gate
from conformance.verdicts import judge
from tests.conformance.making import Making, checkpoint, found_of

GATED = (gate("g"), emit())
TWO = (emit(), emit())
ONE = (emit(),)


def verdict(history: History) -> str:
    observed = observe(Facts(history).threads["t"])
    assert observed is not None
    assert any(isinstance(op, Create) for op in observed.ops)
    return Search(observed).run().verdict


def ended(made: Making, log: list[str], **statuses: str | None) -> History:
    """The settled end: the final reads, and a state with this log."""
    made.settled(900)
    for i, (tag, status) in enumerate(statuses.items()):
        made.read(tag, status, 1000 + 10 * i, phase="final")
    inputs = list(dict.fromkeys(entry.partition(":")[0] for entry in log))
    chain = [checkpoint(f"c{n}", f"c{n - 1}" if n else None, log[:n]) for n in range(len(log), -1, -1)]
    return made.checkpoints(*chain, at=1200).state(log, 1300, messages=inputs).history()


class Made(Making):
    """Found are all messages, too: the inputs of those who wrote."""

    def enter(self, tag: str, step: int, at: float, found: list[str] | None = None, **detail: Any) -> Made:
        value = found_of(found or [])
        value["messages"] = len({entry.partition(":")[0] for entry in found or []})
        self.told("enter", tag, step, at, found=value, **detail)
        return self


def held(transport: str = "callback") -> Making:
    """A is inside its gate."""
    return Made(transport).create("A", "enqueue", 0, 5, steps=GATED).enter("A", 0, 20, [])


def status_before_the_work_stopped() -> History:
    made = held().create("B", "interrupt", 30, 35, steps=ONE).read("A", "interrupted", 40).open("g", 50)
    made.told("leave", "A", 0, 60).enter("B", 0, 80, [])
    return ended(made, ["B:0"], A="interrupted", B="success")


def superstep_finished_after_the_displacement_was_answered() -> History:
    made = held().create("B", "interrupt", 30, 35, steps=ONE).open("g", 50).told("leave", "A", 0, 60)
    made.enter("B", 0, 80, ["A:0"])
    return ended(made, ["A:0", "B:0"], A="interrupted", B="success")


def hurried_on_beside_its_successor() -> History:
    made = held().create("B", "interrupt", 30, 35, steps=ONE).open("g", 50).enter("B", 0, 60, [])
    made.enter("A", 1, 70, ["A:0"])
    return ended(made, ["B:0"], A="interrupted", B="success")


def rolled_back_shown_interrupted_first() -> History:
    made = held().create("B", "rollback", 30, 35, steps=ONE).read("A", "interrupted", 40).open("g", 50)
    made.enter("B", 0, 80, [])
    return ended(made, ["B:0"], A=None, B="success")


def status_lags_behind_the_probe() -> History:
    made = held().read("A", "pending", 30).open("g", 40).told("leave", "A", 0, 50).enter("A", 1, 60, ["A:0"])
    made.told("leave", "A", 1, 70).read("A", "running", 200).read("A", "running", 300)
    return ended(made, ["A:0", "A:1"], A="success")


def attempted_again() -> History:
    made = held().open("g", 40).told("leave", "A", 0, 50).enter("A", 1, 60, ["A:0"])
    made.read("A", "running", 65).read("A", "pending", 70)
    made.enter("A", 1, 90, ["A:0"]).told("leave", "A", 1, 95)
    return ended(made, ["A:0", "A:1"], A="success")


def attempted_again_from_the_start() -> History:
    made = Made().create("A", "enqueue", 0, 5, steps=TWO).enter("A", 0, 20, []).enter("A", 0, 60, [])
    made.told("leave", "A", 0, 65).enter("A", 1, 70, ["A:0"]).told("leave", "A", 1, 80)
    return ended(made, ["A:0", "A:1"], A="success")


def queued_run_displaced_too() -> History:
    made = held().create("Q", "enqueue", 21, 25, steps=ONE).create("B", "interrupt", 30, 35, steps=ONE)
    made.open("g", 50).enter("B", 0, 80, [])
    return ended(made, ["B:0"], A="interrupted", Q="interrupted", B="success")


def queued_run_not_displaced() -> History:
    made = held().create("Q", "enqueue", 21, 25, steps=ONE).create("B", "interrupt", 30, 35, steps=ONE)
    made.open("g", 50).enter("Q", 0, 60, []).told("leave", "Q", 0, 65).enter("B", 0, 80, ["Q:0"])
    return ended(made, ["Q:0", "B:0"], A="interrupted", Q="success", B="success")


def lost_answer_that_took_effect_late() -> History:
    made = Made().create("A", "enqueue", 0, None, None, steps=ONE)
    made.create("B", "enqueue", 100, 105, steps=ONE).enter("B", 0, 120, []).told("leave", "B", 0, 125)
    made.enter("A", 0, 160, ["B:0"]).told("leave", "A", 0, 170).lists(180, A="success", B="success")
    return ended(made, ["B:0", "A:0"], A="success", B="success")


def lost_answer_that_never_took_effect() -> History:
    made = Made().create("A", "interrupt", 0, None, None, steps=ONE)
    made.create("B", "enqueue", 100, 105, steps=ONE).enter("B", 0, 120, []).told("leave", "B", 0, 125)
    return ended(made, ["B:0"], B="success")


def lost_interrupt_that_displaced_and_was_never_seen() -> History:
    made = held().create("B", "interrupt", 30, None, None, steps=ONE).open("g", 50)
    return ended(made, [], A="interrupted")


def two_kinds_at_once() -> History:
    made = held().create("B", "interrupt", 30, 45, steps=ONE).create("C", "rollback", 31, 44, steps=ONE)
    made.open("g", 50).enter("C", 0, 80, [])
    return ended(made, ["C:0"], A="interrupted", B=None, C="success")


def two_kinds_at_once_the_other_wins() -> History:
    made = held().create("B", "interrupt", 30, 45, steps=ONE).create("C", "rollback", 31, 44, steps=ONE)
    made.open("g", 50).enter("B", 0, 80, [])
    return ended(made, ["B:0"], A=None, B="success", C="interrupted")


def cancel_races_with_the_end() -> History:
    made = Made().create("A", "enqueue", 0, 5, steps=ONE).enter("A", 0, 20, [])
    made.call("cancel", 22, 40, 202, tag="A", request={"action": "rollback"}).told("leave", "A", 0, 30)
    return ended(made, ["A:0"], A="success")


def cancel_wins_the_race() -> History:
    made = Made().create("A", "enqueue", 0, 5, steps=ONE).enter("A", 0, 20, [])
    made.call("cancel", 22, 40, 202, tag="A", request={"action": "interrupt"}).told("leave", "A", 0, 30)
    return ended(made, ["A:0"], A="interrupted")


def gate_whose_bound_expired() -> History:
    made = held().told("leave", "A", 0, 90, gate_opened=False).enter("A", 1, 95, ["A:0"]).told("leave", "A", 1, 96)
    made.create("B", "reject", 100, 105, 409).open("g", 200)
    return ended(made, ["A:0", "A:1"], A="success")


def announcements_lost() -> History:
    made = Made("stream").create("A", "enqueue", 0, 5, steps=TWO).enter("A", 1, 30, ["A:0"])
    made.create("B", "enqueue", 40, 45, steps=ONE)
    return ended(made, ["A:0", "A:1", "B:0"], A="success", B="success")


def announcements_late() -> History:
    made = Made("store").create("A", "enqueue", 0, 5, steps=TWO).create("B", "enqueue", 6, 9, steps=ONE)
    made.enter("A", 0, 700, [], t=10).enter("A", 1, 710, ["A:0"], t=20).enter("B", 0, 720, ["A:0", "A:1"], t=30)
    return ended(made, ["A:0", "A:1", "B:0"], A="success", B="success")


def probe_went_on_without_the_harness() -> History:
    """The announcement of its leaving arrived only after the probe had waited in vain for that, for ten seconds."""
    made = Made().create("A", "enqueue", 0, 5, steps=ONE).enter("A", 0, 20, []).read("A", "success", 12_000)
    made.told("leave", "A", 0, 14_000).settled(15_000).read("A", "success", 15_100, phase="final")
    return made.history()


def success_although_may_displaced() -> History:
    made = Made().create("A", "enqueue", 0, 5, steps=ONE).enter("A", 0, 20, [])
    made.create("B", "rollback", 22, 26, steps=ONE).told("leave", "A", 0, 30).enter("B", 0, 60, ["A:0"])
    return ended(made, ["A:0", "B:0"], A="success", B="success")


def refused_while_a_cancelled_run_is_stopping() -> History:
    made = held().call("cancel", 30, 40, 202, tag="A", request={"action": "interrupt"}).read("A", "interrupted", 45)
    made.create("B", "reject", 50, 55, 409).open("g", 60)
    return ended(made, [], A="interrupted")


def accepted_while_a_displacement_is_owed() -> History:
    made = held().call("cancel", 30, 40, 202, tag="A", request={"action": "interrupt"})
    made.create("B", "reject", 50, 55, steps=ONE).open("g", 60).enter("B", 0, 80, [])
    return ended(made, ["B:0"], A="interrupted", B="success")


LEGAL: tuple[Callable[[], History], ...] = (
    status_before_the_work_stopped,
    superstep_finished_after_the_displacement_was_answered,
    hurried_on_beside_its_successor,
    rolled_back_shown_interrupted_first,
    status_lags_behind_the_probe,
    attempted_again,
    attempted_again_from_the_start,
    queued_run_displaced_too,
    queued_run_not_displaced,
    lost_answer_that_took_effect_late,
    lost_answer_that_never_took_effect,
    lost_interrupt_that_displaced_and_was_never_seen,
    two_kinds_at_once,
    two_kinds_at_once_the_other_wins,
    cancel_races_with_the_end,
    cancel_wins_the_race,
    gate_whose_bound_expired,
    announcements_lost,
    announcements_late,
    probe_went_on_without_the_harness,
    success_although_may_displaced,
    refused_while_a_cancelled_run_is_stopping,
    accepted_while_a_displacement_is_owed,
)


@pytest.mark.parametrize("legal", LEGAL, ids=lambda f: f.__name__)
def test_is_explained(legal: Callable[[], History]) -> None:
    assert verdict(legal()) == "explained"


# --- and what looks like it, but is not legal: the tests above are no rubber stamp ------------------------------


def finished_though_owed() -> History:
    made = held().create("B", "interrupt", 30, 35, steps=ONE).open("g", 50).enter("B", 0, 80, ["A:0", "A:1"])
    return ended(made, ["A:0", "A:1", "B:0"], A="success", B="success")


def rolled_back_and_still_there() -> History:
    made = held().create("B", "rollback", 30, 35, steps=ONE).open("g", 50).enter("B", 0, 80, ["A:0"])
    return ended(made, ["A:0", "B:0"], A=None, B="success")


def final_status_is_not_the_one_of_a_rollback() -> History:
    made = held().create("B", "rollback", 30, 35, steps=ONE).open("g", 50).enter("B", 0, 80, [])
    return ended(made, ["B:0"], A="interrupted", B="success")


def left_before_its_gate() -> History:
    made = held().read("A", "success", 30).open("g", 60)
    return ended(made, ["A:0", "A:1"], A="success")


def refused_though_idle() -> History:
    made = Made().create("A", "enqueue", 0, 5, steps=ONE).enter("A", 0, 20, []).told("leave", "A", 0, 25)
    made.read("A", "success", 40).create("B", "reject", 50, 55, 409)
    return ended(made, ["A:0"], A="success")


@pytest.mark.parametrize(
    "illegal",
    [
        finished_though_owed,
        rolled_back_and_still_there,
        final_status_is_not_the_one_of_a_rollback,
        left_before_its_gate,
        refused_though_idle,
    ],
    ids=lambda f: f.__name__,
)
def test_is_impossible(illegal: Callable[[], History]) -> None:
    assert verdict(illegal()) == "impossible"


@pytest.mark.parametrize(("heard", "found"), [(950, 0), (20, 1)])
def test_a_create_whose_connection_was_lost_may_arrive_when_the_thread_has_settled(heard: float, found: int) -> None:
    """Only a run that was there before the thread settled has written too late."""
    request = {"strategy": "enqueue", "steps": list(ONE), "endpoint": "wait"}
    made = Made().call("create", 0, None, None, tag="A", request=request, error="the harness closed the connection")
    early = heard < 900
    if early:
        made.told("enter", "A", 0, heard, found=found_of([]))
    made.settled(900).checkpoints(at=901, phase="settled")
    if not early:
        made.told("enter", "A", 0, heard, found=found_of([]))
    made.told("leave", "A", 0, 960).read("A", "success", 1000, phase="final")
    made.checkpoints(checkpoint("c1", None, ["A:0"], tag="A", run="run-A"), at=1200).state(["A:0"], 1300)
    assert len(judge(made.history())["run.terminal-is-final"].violations) == found


@pytest.mark.parametrize(("later", "found"), [(400, 0), (2100, 1)])
def test_reads_may_lag_for_a_while_in_the_middle_of_a_run(later: float, found: int) -> None:
    made = Made().create("A", "enqueue", 0, 5, steps=ONE).enter("A", 0, 10, []).told("leave", "A", 0, 20)
    made.create("B", "enqueue", 30, 35, steps=GATED).read("A", "success", 40).read("A", "running", later)
    made.open("g", 2500).settled(2600).read("A", "success", 2700, phase="final").read(
        "B", "success", 2710, phase="final"
    )
    judged = judge(made.history())
    assert len(judged["run.terminal-is-final"].violations) == found
    assert len(judged["history.explainable"].violations) == found


@pytest.mark.parametrize(
    ("status", "made_before", "found"), [(501, False, 0), (405, False, 0), (404, True, 0), (404, False, 1)]
)
def test_an_endpoint_that_is_not_there_refuses_nothing(status: int, made_before: bool, found: int) -> None:
    made = Made()
    if made_before:
        made.call("create_thread", 0, 1, 200, {"thread_id": "t"})
    made.create("A", "enqueue", 2, 5, steps=GATED).enter("A", 0, 20, [])
    request = {"strategy": "reject", "steps": list(ONE), "endpoint": "stream"}
    made.call("create", 30, 35, status, {"detail": "Not Found"}, tag="B", request=request).open("g", 50)
    made.told("leave", "A", 0, 60).enter("A", 1, 61, ["A:0"]).told("leave", "A", 1, 62)
    judged = judge(ended(made, ["A:0", "A:1"], A="success"))
    assert len(judged["reject.conflict"].violations) == found
    assert len(judged["history.explainable"].violations) == found


def test_an_update_may_be_put_off_until_the_run_that_it_met_is_over() -> None:
    made = held().call("update_state", 30, 35, 200, {"checkpoint": None}, tag="U", request={"as_node": None})
    made.open("g", 50).told("leave", "A", 0, 60).enter("A", 1, 61, ["A:0"]).told("leave", "A", 1, 62)
    made.create("B", "enqueue", 40, 45, steps=ONE).enter("B", 0, 80, ["A:0", "A:1", "U:0"])
    assert verdict(ended(made, ["A:0", "A:1", "U:0", "B:0"], A="success", B="success")) == "explained"


@pytest.mark.parametrize("strategy", ["reject", "enqueue", "rollback"])
def test_a_create_whose_webhook_is_refused_breaks_nothing(strategy: str) -> None:
    made = held()
    request = {"strategy": strategy, "steps": list(ONE), "webhook": True}
    made.call("create", 30, 35, 422, {"detail": "Webhook host blocked"}, tag="B", request=request).open("g", 50)
    made.told("leave", "A", 0, 60).enter("A", 1, 61, ["A:0"]).told("leave", "A", 1, 62)
    judged = judge(ended(made, ["A:0", "A:1"], A="success"))
    about = ("reject.conflict", "reject.code", "reject.no-effect", "history.explainable", f"{strategy}.accepted")
    assert [id for id in about if id in judged and judged[id].violations] == []


@pytest.mark.parametrize(("read_between", "found"), [(True, 0), (False, 1)])
def test_a_cancel_of_what_is_over_may_be_any_error_of_the_clients(read_between: bool, found: int) -> None:
    request = {"action": "interrupt"}
    made = held().call("cancel", 30, 35, 202, tag="A", request=request)
    if read_between:
        made.read("A", "interrupted", 40)
    made.call("cancel", 50, 55, 409, {"detail": "over"}, tag="A", request=request).open("g", 60)
    assert len(judge(ended(made, [], A="interrupted"))["cancel.twice"].violations) == found


@pytest.mark.parametrize("listed", [True, False])
def test_a_run_that_is_there_blocks_whatever_its_create_was_answered(listed: bool) -> None:
    made = Made().create("A", "enqueue", 0, 5, 500, steps=GATED)
    if listed:
        made.lists(10, A="running")
    made.create("B", "reject", 20, 25, 409, steps=ONE)
    assert bool(judge(ended(made, []))["reject.reopens"].violations) is not listed
