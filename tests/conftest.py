"""For all tests: pytester, and that in CI no test that needs a real part is skipped in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["pytester"]

STRANGERS = ("schemathesis", "langsmith_plugin", "time_machine")
"""Plugins of packages that are installed beside: importing them takes a process of pytest several seconds."""


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """pytest's own; the processes that it starts know no plugins of strangers."""
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{name}" for name in STRANGERS))
    return pytester


@pytest.fixture
def anyio_backend() -> str:
    """The backend that the product runs on."""
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In CI, a skipped test that needs a real part has failed: the part is missing on the machine."""
    report: pytest.TestReport = yield  # type: ignore[assignment,misc]
    if report.skipped and os.environ.get("CI") and item.get_closest_marker("real"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be missing: {report.longrepr}"
    return report  # type: ignore[return-value]
