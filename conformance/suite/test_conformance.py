"""One test a requirement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conformance.pytest_plugin import SEEN
from conformance.suite.conftest import options_of


def test_requirement(
    requirement_id: str,
    said: dict[str, Any],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """Passes, fails or is skipped as the verdict says; what a policy or hazard saw is a property of the test."""
    for name in ("policy", "hazard"):
        if said[name] is not None:
            record_property(f"{SEEN}{name}", f"{requirement_id}: {said[name]}")
    known = said.get("known")
    if known is not None:
        text = f"{requirement_id}: {known['reason']}" + (f" ({known['note']})" if known["note"] else "")
        if known["state"] == "stale":
            pytest.fail(f"stale in the baseline: {text}", pytrace=False)
        record_property(f"{SEEN}known", text)
        if known["state"] == "failing":
            pytest.xfail(f"known: {known['reason']}")
    match said["verdict"]:
        case "fail":
            first = said["violations"][0]
            text = f"{first['message']}\nagain: {first['replay']}"
            text += f"\n\n{said['timeline']}" if said["timeline"] else ""
            if said["level"] == "MUST" or options_of(request.config)[1].strict:
                pytest.fail(text, pytrace=False)
            record_property(f"{SEEN}should", f"violated: {text}")
            pytest.xfail(f"SHOULD violated: {first['observed']}")
            pytest.fail(text, pytrace=False)  # under --runxfail the line above does nothing
        case "not-applicable":
            pytest.skip(f"not-applicable: {said['why']}")
