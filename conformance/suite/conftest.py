"""The check behind the suite: executed once a session, also under xdist, and shared by all its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.baseline import of_options
from conformance.config import BadOption, Options
from conformance.dialects import UnknownDialect
from conformance.pytest_plugin import given
from conformance.requirements import REGISTRY
from conformance.suite.checking import Answers, answers_once


def options_of(config: pytest.Config) -> tuple[str | None, Options]:
    """The target and the options; raises pytest.UsageError where they make no sense."""
    from conformance.cli_common import resolve

    values = given(config)
    url = values.pop("url", None)
    try:
        options, url = resolve(url, values, "pytest options")
    except BadOption as e:
        raise pytest.UsageError(str(e)) from None
    return url, options


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a selected requirement."""
    if "requirement_id" in metafunc.fixturenames:
        try:
            options = options_of(metafunc.config)[1]
            ids = options.selected(REGISTRY)
            of_options(options)
        except (BadOption, UnknownDialect) as e:
            raise pytest.UsageError(str(e)) from None
        metafunc.parametrize("requirement_id", ids)


@pytest.fixture(scope="session")
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The verdicts on what was collected; the first test that asks waits for the whole check."""
    url, options = options_of(request.config)
    collected = {i.callspec.params.get("requirement_id") for i in request.session.items if hasattr(i, "callspec")}
    shared = _shared_folder(request.config, tmp_path_factory)
    # Files only where they were asked for: a test session does not expect to find any.
    asked, usual = given(request.config), Options()
    named = "report" in asked or (options.report, options.report_dir) != (usual.report, usual.report_dir)
    return answers_once(url, options, [i for i in REGISTRY if i in collected], options.report if named else (), shared)


@pytest.fixture
def said(requirement_id: str, answers: Answers) -> dict[str, Any]:
    """What the check says of the requirement; an error where it could not say anything."""
    if answers["error"] is not None:
        pytest.fail(f"doubletext: {answers['error']}", pytrace=False)
    part: dict[str, Any] = answers["requirements"][requirement_id]
    if part["verdict"] == "harness-error":
        pytest.fail(f"doubletext itself failed: {part['why']}", pytrace=False)
    if part["verdict"] in ("inconclusive", "could-not-run"):  # a gate that knows nothing does not open
        lost = answers["lost"]
        why = f"{part['verdict']}: {part['why']}" if lost is None else f"the target was lost: {lost}"
        pytest.fail(f"doubletext: {why}", pytrace=False)
    return part


def _shared_folder(config: pytest.Config, factory: pytest.TempPathFactory) -> Path | None:
    """A folder that all xdist workers of this run have in common; None where there are none."""
    worker = getattr(config, "workerinput", None)
    return None if worker is None else factory.getbasetemp().parent
