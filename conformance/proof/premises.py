"""For each requirement the ways in which it can be violated: the kinds of the premises, in order, and what links them.

``a|b`` is either kind, ``a+`` one or more, ``a*`` any number. The condition is given the claims in the same order; it
may rely on them, since each was derived again, and looks at nothing but them and the creates that they name.
"""

from __future__ import annotations

from conformance.proof import (
    premises_of_calls,
    premises_of_endpoints,
    premises_of_reads,
    premises_of_strategies,
    premises_of_threads,
)
from conformance.proof.records import Ways
from conformance.proof.requests import BAD_INPUT

WAYS: dict[str, Ways] = {
    **premises_of_strategies.WAYS,
    **premises_of_threads.WAYS,
    **premises_of_calls.WAYS,
    **premises_of_endpoints.WAYS,
    **BAD_INPUT,
}
WAYS |= {id: WAYS[id] + ways for id, ways in premises_of_reads.WAYS.items()}
