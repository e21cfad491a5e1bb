"""What every command of the command line shares: the options of a target, and how it fails."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from conformance.config import Options, check_headers, check_url, from_pyproject, merged

USAGE, UNREACHABLE = 2, 4
F = TypeVar("F", bound=Callable[..., Any])


def fail(text: str, code: int) -> None:
    """Say why, and end the process with this exit code."""
    click.echo(f"doubletext: {text}", err=True)
    sys.exit(code)


def common_options(function: F) -> F:
    """The options that every command with a target has; each has a twin in ``[tool.doubletext]``."""
    for option in reversed(
        [
            click.option(
                "--assistant",
                metavar="ID",
                help="The assistant that runs the probe graph (default: doubletext).",
            ),
            click.option("-H", "--header", multiple=True, metavar="'NAME: VALUE'", help="Sent with every request."),
            click.option("--api-key", metavar="KEY", help="Sent as x-api-key; also from DOUBLETEXT_API_KEY."),
            click.option("--dialect", metavar="NAME-or-FILE", help="How this kind of server legitimately differs."),
            click.option("--baseline", metavar="FILE", help="Known failures, with reasons: they fail nothing."),
            click.option("--only", multiple=True, metavar="GLOB", help="Only requirements whose id matches."),
            click.option("--skip", multiple=True, metavar="GLOB", help="Not those whose id matches."),
            click.option("--repeat", type=int, metavar="N", help="Execute every program N times."),
            click.option(
                "--parallel", type=int, metavar="N", help="Programs at once (default: what the target takes)."
            ),
            click.option("--strict", is_flag=True, default=None, help="A violated SHOULD fails the check too."),
            click.option("--request-timeout", type=float, metavar="S", help="Bound of one request (default: 10)."),
            click.option("--settle-timeout", type=float, metavar="S", help="By when everything must have ended."),
            click.option(
                "--seed", type=int, metavar="N", help="Order and random instants (default: drawn, and shown)."
            ),
            click.option("--report", metavar="LIST", help="json,junit,html,markdown,sarif (default: json)."),
            click.option(
                "--report-dir",
                metavar="DIR",
                help="Where reports and histories go (default: doubletext-report).",
            ),
            click.option("--verbose", is_flag=True, default=None, help="Every proof, and its timeline, in full."),
            click.option("--quiet", is_flag=True, default=None, help="Failures and the last line only."),
            click.option("--no-color", is_flag=True, default=None, help="No colour; NO_COLOR is respected too."),
        ]
    ):
        function = option(function)
    return function


def resolve(url: str | None, given: Mapping[str, Any], where: str = "command line") -> tuple[Options, str | None]:
    """Options of this call: the command line wins over ``pyproject.toml``."""
    said = {k: v for k, v in given.items() if v is not None and v != ()}
    options = merged(from_pyproject(Path.cwd()), said, where).checked()
    check_headers(options.headers())
    if url is not None:
        check_url(url)
    return options, url


def own_failure(error: BaseException) -> str:
    """A failure of the harness itself, in one line: what, and where."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in where)
    return f"the harness itself failed: {type(error).__name__}: {error}{place}. Nothing is known of the target by this."
