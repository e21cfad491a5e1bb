"""The check behind the suite: executed once a session, also under xdist, and shared by all its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.config import BadOption, Options, from_pyproject, merged
from conformance.pytest_plugin import given
from conformance.requirements import REGISTRY
from conformance.suite.checking import Answers, answers_once


def options_of(config: pytest.Config) -> tuple[str | None, Options]:
    """The target and the options; raises pytest.UsageError where they make no sense."""
    values = given(config)
    url = values.pop("url", None)
    try:
        options = merged(from_pyproject(config.rootpath), values, "pytest options").checked()
        options.headers()
    except BadOption as e:
        raise pytest.UsageError(str(e)) from e
    if url is not None and not str(url).startswith(("http://", "https://")):
        raise pytest.UsageError(f"--doubletext-url must start with http:// or https://, not {url!r}")
    return url, options


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a selected requirement."""
    if "requirement_id" in metafunc.fixturenames:
        try:
            ids = options_of(metafunc.config)[1].selected(REGISTRY)
        except BadOption as e:
            raise pytest.UsageError(str(e)) from e
        metafunc.parametrize("requirement_id", ids)


@pytest.fixture(scope="session")
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The verdicts on what was collected; the first test that asks waits for the whole check."""
    url, options = options_of(request.config)
    collected = {i.callspec.params.get("requirement_id") for i in request.session.items if hasattr(i, "callspec")}
    shared = _shared_folder(request.config, tmp_path_factory)
    asked: dict[str, Any] = given(request.config)
    reports = options.report if "report" in asked or "report-dir" in asked else ()
    return answers_once(url, options, [i for i in REGISTRY if i in collected], reports, shared)


def _shared_folder(config: pytest.Config, factory: pytest.TempPathFactory) -> Path | None:
    """A folder that all xdist workers of this run have in common; None where there are none."""
    worker = getattr(config, "workerinput", None)
    return None if worker is None else factory.getbasetemp().parent
