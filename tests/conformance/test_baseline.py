"""Baselines: what is known does not fail, what is new does, what is stale does; and files that make no sense."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.baseline import Baseline, Entry, chance_unseen, load, trials_to_tell
from conformance.config import BadOption
from conformance.dialects import Dialect, under
from conformance.events import Outcome
from conformance.facts import Fact
from conformance.requirements import REGISTRY
from conformance.requirements.base import Violation
from conformance.verdicts import Found, Result, decide

MUST_ID, SHOULD_ID = "rollback.deleted", "enqueue.survives-failure"
ALWAYS = Entry("known to the vendor", "always", 3, 3)
SOMETIMES = Entry("a race of the vendor's", "sometimes", 2, 115)
GOOD = 'reason = "because"\nrate = "sometimes"\nfailed = 2\nexercised = 115\n'


def result(verdict: str, failed: int, exercised: int, id: str = MUST_ID) -> Result:
    found = (Found(Violation("gone", 'A reads as "x"\x7f\n', (Fact("so", (1,)),)), "p", "~i~", "p"),) if failed else ()
    return Result(REGISTRY[id], verdict, "", None, None, exercised, 1, failed, found)  # type: ignore[arg-type]


def applied(entry: Entry, *results: Result) -> tuple[list[str | None], int]:
    seen = Baseline({MUST_ID: entry, SHOULD_ID: entry}).applied(results)
    return [r.known.state if r.known else None for r in seen], decide(seen, strict=True, lost=False)


def test_a_known_failure_does_not_fail_the_check_and_an_unlisted_one_does() -> None:
    assert applied(ALWAYS, result("fail", 3, 3)) == (["failing"], 0)
    assert applied(ALWAYS, result("fail", 1, 3), result("fail", 1, 1, "reject.code")) == (["failing", None], 1)
    assert applied(ALWAYS, result("fail", 1, 3), result("inconclusive", 0, 0, "reject.code")) == (["failing", None], 3)


def test_an_entry_that_always_failed_is_stale_at_its_first_pass_also_of_a_should() -> None:
    assert applied(ALWAYS, result("pass", 0, 1)) == (["stale"], 1)
    assert applied(ALWAYS, result("pass", 0, 1, SHOULD_ID)) == (["stale"], 1)
    assert applied(ALWAYS, result("inconclusive", 0, 0)) == ([None], 3)


def test_a_rare_failure_that_did_not_show_is_no_proof_of_a_fix() -> None:
    needed = trials_to_tell(SOMETIMES)
    assert chance_unseen(2, 115, needed) < 0.05 <= chance_unseen(2, 115, needed - 1)
    assert applied(SOMETIMES, result("pass", 0, needed - 1)) == (["unseen"], 0)
    assert applied(SOMETIMES, result("pass", 0, needed)) == (["stale"], 1)
    (unseen,) = Baseline({MUST_ID: SOMETIMES}).applied([result("pass", 0, 115)])
    assert unseen.known is not None
    assert f"{needed} would (--repeat {-(-needed // 115)})" in unseen.known.note


def test_the_chance_is_that_of_all_failures_falling_among_the_recorded_trials() -> None:
    assert chance_unseen(1, 1, 1) == 1 / 2
    assert chance_unseen(2, 2, 2) == 1 / 6
    assert trials_to_tell(Entry("x", "sometimes", 50, 100)) < 10
    assert trials_to_tell(Entry("x", "sometimes", 1, 5000)) == 95001


def outcome(*results: Result, lost: str | None = None) -> Outcome:
    return Outcome({"server": "s", "version": "1"}, results, 1, "", 0.0, 0, None, {}, lost=lost)


def test_writing_keeps_reasons_adds_new_failures_and_drops_stale_entries(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    before = Baseline({MUST_ID: ALWAYS, SHOULD_ID: ALWAYS, "enqueue.fifo": SOMETIMES})
    results = before.applied(
        [result("fail", 2, 3), result("pass", 0, 3, SHOULD_ID), result("fail", 1, 9, "reject.code")]
    )
    assert before.renew(file, outcome(*results)) == f"wrote {file}: 3 known failures; give the reason of 1 of them"
    after = load(file)
    assert set(after.entries) == {MUST_ID, "enqueue.fifo", "reject.code"}
    assert after.entries[MUST_ID] == replace(
        ALWAYS, rate="sometimes", failed=2, server="s", version="1", date=after.entries[MUST_ID].date
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", after.entries[MUST_ID].date)
    assert after.entries["enqueue.fifo"] == SOMETIMES, "what was not judged stays"
    assert after.entries["reject.code"].reason == 'not explained yet: A reads as "x"\x7f\n'
    (again,) = after.applied([result("fail", 1, 9, "reject.code")])
    assert again.known is not None
    assert "does not explain it yet" in again.known.note


def test_a_check_that_was_lost_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    assert "left as it is" in Baseline().renew(file, outcome(result("fail", 1, 1), lost="gone"))
    assert not file.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "known.toml"),
        ("x = 1\n", "nothing else"),
        (f'[requirements."rollback.deletd"]\n{GOOD}', "did you mean 'rollback.deleted'"),
        (f'[requirements."klingon"]\n{GOOD}', "doubletext list"),
        (f'[requirements."default.strategy"]\n{GOOD}', "never fails"),
        (f"[requirements.rollback.deleted]\n{GOOD}", "no requirement 'rollback'"),
        ('[requirements]\n"rollback.deleted" = 3\n', "quotation marks"),
        (f'[requirements."rollback.deleted"]\n{GOOD}why = "x"\n', "unknown key 'why'"),
        ('[requirements."rollback.deleted"]\nreason = "x"\n', "lacks rate, failed, exercised"),
        (f'[requirements."rollback.deleted"]\n{GOOD.replace("because", "  ")}', "needs a reason"),
        (f'[requirements."rollback.deleted"]\n{GOOD.replace("failed = 2", "failed = true")}', "must be a int"),
        (f'[requirements."rollback.deleted"]\n{GOOD.replace("failed = 2", "failed = 0")}', "from 1 to exercised"),
        (f'[requirements."rollback.deleted"]\n{GOOD.replace("sometimes", "always")}', "is 'sometimes'"),
    ],
)
def test_files_that_make_no_sense(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text(text)
    with pytest.raises(BadOption, match=re.escape(says)):
        load(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--write-baseline makes one"):
        load(tmp_path / "known.toml")
    assert load(tmp_path / "known.toml", missing_ok=True) == Baseline()


def test_a_pinned_policy_can_be_listed(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text(f'[requirements."default.strategy"]\n{GOOD}')
    pinned: dict[str, Any] = under(Dialect(default_strategy="reject"))
    assert load(file, pinned).entries["default.strategy"].failed == 2
