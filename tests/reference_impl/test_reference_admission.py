"""``admit()``, the idea of it all, as properties."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from reference_impl.multitask import Accepted, Refused, admit
from reference_impl.storage import Run, Strategy

runs = st.lists(st.builds(object), max_size=5).map(lambda found: cast("list[Run]", found))


@given(strategy=st.sampled_from(Strategy))
def test_an_idle_thread_accepts_everybody_and_displaces_nobody(strategy: Strategy) -> None:
    admission = admit(strategy, [])
    assert isinstance(admission, Accepted)
    assert not admission.displaced


@given(inflight=runs.filter(bool))
def test_reject_names_the_oldest_inflight_run(inflight: list[Run]) -> None:
    assert admit(Strategy.REJECT, inflight) == Refused(because=inflight[0])


@given(strategy=st.sampled_from(Strategy), inflight=runs)
def test_only_reject_is_ever_refused(strategy: Strategy, inflight: list[Run]) -> None:
    refused = isinstance(admit(strategy, inflight), Refused)
    assert refused == (strategy is Strategy.REJECT and bool(inflight))


@given(inflight=runs)
def test_enqueue_displaces_nobody(inflight: list[Run]) -> None:
    assert admit(Strategy.ENQUEUE, inflight) == Accepted()


@given(strategy=st.sampled_from([Strategy.INTERRUPT, Strategy.ROLLBACK]), inflight=runs)
def test_interrupt_and_rollback_displace_all_and_differ_in_what_they_keep(
    strategy: Strategy, inflight: list[Run]
) -> None:
    admission = admit(strategy, inflight)
    assert isinstance(admission, Accepted)
    assert list(admission.displaced) == inflight
    assert admission.keep_progress == (strategy is Strategy.INTERRUPT)


@given(strategy=st.sampled_from(Strategy), inflight=runs)
def test_deciding_changes_nothing(strategy: Strategy, inflight: list[Run]) -> None:
    before = list(inflight)
    assert admit(strategy, inflight) == admit(strategy, inflight)
    assert inflight == before
