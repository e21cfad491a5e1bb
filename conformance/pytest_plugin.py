"""The pytest plugin: every option of ``doubletext check`` as ``--doubletext-…`` and as an ini key.

``pytest --pyargs conformance.suite --doubletext-url URL`` runs the suite; see ``conformance/suite``. The fixtures
``double_text`` and ``double_text_sync`` try double texting on a team's own graph; see ``conformance/double_text``.
Nothing heavy is imported here: pytest loads this module in every project where doubletext is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

# name -> (kind, help); the kinds say how a value is given on the command line and in an ini file.
OPTIONS: dict[str, tuple[str, str]] = {
    "url": ("text", "the target; without it, the embedded reference server"),
    "assistant": ("text", "the assistant that runs the probe graph"),
    "input": ("text", "a JSON file: the input of an assistant that is no probe; what statuses show is judged"),
    "header": ("list", "'Name: value', sent with every request (repeatable)"),
    "api-key": ("text", "sent as x-api-key; also from DOUBLETEXT_API_KEY"),
    "dialect": ("text", "how this kind of server legitimately differs"),
    "baseline": ("text", "a file of known failures: xfailed, with their reasons; stale entries fail"),
    "only": ("list", "only requirements whose id matches this glob (repeatable)"),
    "skip": ("list", "not those whose id matches this glob (repeatable)"),
    "repeat": ("text", "execute every program N times"),
    "parallel": ("text", "programs at once"),
    "strict": ("flag", "a violated SHOULD fails its test too"),
    "request-timeout": ("text", "bound of one request, in seconds"),
    "settle-timeout": ("text", "by when everything must have ended, in seconds"),
    "seed": ("text", "order and random instants"),
    "report": ("text", "json,junit,html,markdown,sarif: reports as the command line writes them"),
    "report-dir": ("text", "where they go"),
    "verbose": ("flag", "accepted for symmetry: failures are always shown in full, with their timelines"),
    "quiet": ("flag", "no section of policies and hazards at the end"),
    "no-color": ("flag", "that section without colour"),
}
FIXTURE_OPTIONS: dict[str, tuple[str, str]] = {
    "graph": ("text", "for the fixture double_text: [ID=]FILE.py:NAME or [ID=]MODULE:NAME, served for these tests"),
}
SEEN = "doubletext-"  # begins the names of the test properties that the last section shows
_INI = {"text": "string", "list": "linelist", "flag": "bool"}


def _name(option: str) -> str:
    return f"doubletext_{option.replace('-', '_')}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and an ini key for each."""
    group = parser.getgroup("doubletext", "conformance of double texting (doubletext)")
    for option, (kind, help) in {**OPTIONS, **FIXTURE_OPTIONS}.items():
        how: dict[str, Any] = {"default": None}
        if kind != "text":
            how["action"] = "append" if kind == "list" else "store_true"
        group.addoption(f"--doubletext-{option}", dest=_name(option), help=help, **how)
        parser.addini(_name(option), help, type=_INI[kind], default=None)  # type: ignore[arg-type]


def given(config: pytest.Config) -> dict[str, Any]:
    """What the command line, or else the ini file, says of each option; options that neither names are left out."""
    values: dict[str, Any] = {}
    for option in OPTIONS:
        value = _value(config, option)
        if value is not None:
            values[option] = value
    return values


def _value(config: pytest.Config, option: str) -> Any:
    value = config.getoption(_name(option))
    if value is None:
        value = config.getini(_name(option))
    return None if value in ("", []) else value


@pytest.fixture(scope="session")
def _double_text_tries(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Where the fixtures try: the target of ``--doubletext-url``, or the embedded server with a graph on it."""
    from conformance.double_text.fixture import NoTarget, tries

    try:
        with tries(_value(request.config, "graph"), given(request.config)) as there:
            yield there
    except NoTarget as e:
        pytest.fail(f"doubletext: {e}", pytrace=False)


@pytest.fixture
def double_text(_double_text_tries: Any) -> Callable[..., Any]:
    """``await double_text(first, second, strategy, when)`` on your own graph: see ``conformance.double_text``."""
    tried: Callable[..., Any] = _double_text_tries.double_text
    return tried


@pytest.fixture
def double_text_sync(_double_text_tries: Any) -> Callable[..., Any]:
    """The same as ``double_text`` for synchronous tests."""
    tried: Callable[..., Any] = _double_text_tries.double_text_sync
    return tried


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show in full what no failure shows: policies, hazards, violated SHOULDs."""
    seen: dict[str, None] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if str(name).startswith(SEEN):
                    seen[f"{str(name).removeprefix(SEEN)} {value}"] = None
    if not seen or given(config).get("quiet"):
        return
    terminalreporter.section("doubletext")
    for text in sorted(seen):
        colour = {} if given(config).get("no-color") or not text.startswith("hazard") else {"yellow": True}
        terminalreporter.write_line(text, **colour)
