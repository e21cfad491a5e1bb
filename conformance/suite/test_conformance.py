"""One test a requirement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.suite.checking import Answers
from conformance.suite.conftest import options_of


def test_requirement(
    requirement_id: str,
    answers: Answers,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """Passes, fails or is skipped as the verdict says; what a policy or hazard saw is a property of the test."""
    if answers["error"] is not None:
        pytest.fail(f"doubletext: {answers['error']}", pytrace=False)
    said = answers["requirements"][requirement_id]
    for name in ("policy", "hazard"):
        if said[name] is not None:
            record_property(name, said[name])
    match said["verdict"]:
        case "fail":
            first = said["violations"][0]
            text = f"{first['message']}\nagain: {first['replay']}"
            if said["level"] == "MUST" or options_of(request.config)[1].strict:
                pytest.fail(text, pytrace=False)
            pytest.xfail(f"SHOULD violated: {text}")
        case "harness-error":
            pytest.fail(f"doubletext itself failed: {said['why']}", pytrace=False)
        case "inconclusive" | "could-not-run" | "not-applicable" as verdict:
            pytest.skip(f"{verdict}: {said['why']}")
