"""The command line. Exit codes: 0 passed, 1 violated, 2 usage, 3 incomplete, 4 unreachable or failed."""

from __future__ import annotations

import json
import random
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
from rich.console import Console

from conformance import __version__
from conformance.config import BadOption, Options, Plan, from_pyproject, merged
from conformance.dialects import UnknownDialect, find_dialect
from conformance.embedded import CannotServe, command, reference_server

USAGE, UNREACHABLE, BROKEN_OFF = 2, 4, 130
F = TypeVar("F", bound=Callable[..., Any])


def _fail(text: str, code: int) -> None:
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
            click.option("--report", metavar="LIST", help="json,junit (default: json)."),
            click.option(
                "--report-dir",
                metavar="DIR",
                help="Where reports and histories go (default: doubletext-report).",
            ),
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
    _check_headers(options.headers())
    if url is not None:
        _check_url(url)
    return options, url


def _check_url(url: str) -> None:
    """Raises BadOption where no request can be sent there; its text shows no user name and no password."""
    if not url.startswith(("http://", "https://")):
        raise BadOption("URL must start with http:// or https://")
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and not re.search(r"[\s\x00-\x1f\x7f]", url)
    except ValueError:
        good = False
    if not good:
        raise BadOption("URL must be http(s)://HOST[:PORT][/PATH]; this one has no valid host, or no valid port")
    if parts.query or parts.fragment:
        raise BadOption("URL must end with its path: leave out ? and # and what follows")


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raises BadOption for what HTTP cannot carry; its text shows no value."""
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise BadOption("-H takes 'Name: value'; one of the headers given has a name that HTTP does not allow")
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise BadOption(f"the value of the header {name!r} has a line break or another control character")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="doubletext")
def main() -> None:
    """Conformance of double texting: concurrent runs on one thread of an Agent Server."""


@main.command()
@click.argument("url", required=False)
@common_options
def check(url: str | None, **given: Any) -> None:
    """Check URL; without one, the embedded reference server."""
    try:
        options, url = resolve(url, given)
        if url is not None:
            sys.exit(run_check(url, options))
        with reference_server() as own:
            code = run_check(own, options)
        sys.exit(code)
    except (BadOption, UnknownDialect) as e:
        _fail(str(e), USAGE)
    except CannotServe as e:
        _fail(str(e), UNREACHABLE)
    except KeyboardInterrupt:
        _fail("broken off before the check began", BROKEN_OFF)


def run_check(url: str, options: Options, cracks: int = 30) -> int:
    """One check with its reports; returns the exit code.

    Raises:
        BadOption, UnknownDialect: an option cannot be used.
    """
    from conformance.driver import Check
    from conformance.events import Listener
    from conformance.execution.loop import run
    from conformance.execution.preflight import TargetUnusable
    from conformance.report.junit import JunitReport
    from conformance.report.result import JsonReport
    from conformance.report.terminal import TerminalReport

    folder = Path(options.report_dir)
    histories = prepare(folder)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
    plan = Plan(url, options, find_dialect(options.dialect), seed, cracks, histories=histories)
    console = Console(no_color=options.no_color or None, highlight=False, soft_wrap=False)
    terminal = TerminalReport(console, options.quiet)
    writers: dict[str, Listener] = {"json": JsonReport(folder), "junit": JunitReport(folder, options.strict)}
    listeners: list[Listener] = [terminal, *[writers[name] for name in options.report]]
    running = Check(plan, listeners)
    try:
        run(running.run)
        outcome = running.outcome()
    except (BadOption, UnknownDialect):
        raise
    except TargetUnusable as e:
        terminal.stop()
        click.echo(f"doubletext: {e}", err=True)
        return UNREACHABLE
    except KeyboardInterrupt:
        terminal.stop()
        running.outcome(exit_code=BROKEN_OFF)
        return BROKEN_OFF
    except Exception as e:
        terminal.stop()
        click.echo(f"doubletext: {running.redactor.text(own_failure(e))}", err=True)
        return UNREACHABLE
    finally:
        terminal.stop()
    if not options.quiet:
        click.echo(f"reports: {', '.join(sorted(f'{folder}/{_file(name)}' for name in options.report))}")
    return outcome.exit_code


def own_failure(error: BaseException) -> str:
    """A failure of the harness itself, in one line: what, and where."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in where)
    return f"the harness itself failed: {type(error).__name__}: {error}{place}. Nothing is known of the target by this."


def _file(report: str) -> str:
    return {"json": "result.json", "junit": "junit.xml"}[report]


def prepare(folder: Path) -> Path:
    """Make the report folder and empty its histories; raises BadOption where it cannot be written."""
    histories = folder / "histories"
    try:
        histories.mkdir(parents=True, exist_ok=True)
        for old in histories.glob("*.jsonl"):
            old.unlink()
    except OSError as e:
        raise BadOption(f"--report-dir {folder}: {e.strerror or e}") from e
    return histories


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--defects", is_flag=True, help="The deliberate defects instead.")
def list_(as_json: bool, defects: bool) -> None:
    """The requirements, or the deliberate defects."""
    from conformance.requirements import REGISTRY

    if defects:
        from reference_impl.defects import all_defects

        rows = [
            {
                "name": d.name,
                "description": d.description,
                "must_fail": list(d.must_fail),
                "may_fail": list(d.may_fail),
            }
            for d in all_defects()
        ]
        if as_json:
            click.echo(json.dumps(rows, indent=1))
        else:
            for row in rows:
                click.echo(
                    f"{row['name']}: {row['description']} (must fail {', '.join(row['must_fail']) or 'nothing'})"
                )
        return
    if as_json:
        click.echo(json.dumps([_described(r) for r in REGISTRY.values()], indent=1, ensure_ascii=False))
        return
    for r in REGISTRY.values():
        click.echo(f"{r.id:26} {r.level:6} {r.statement}")


def _described(r: Any) -> dict[str, Any]:
    return {
        "id": r.id,
        "level": str(r.level),
        "statement": r.statement,
        "source": r.source,
        "exercised_by": [{"programs": e.family, "least": e.least} for e in r.exercised_by],
        "breaks": r.breaks,
        "advice": r.advice,
    }


@main.command()
@click.argument("id")
def explain(id: str) -> None:
    """One requirement: sentence, source, how it is exercised, how servers break it."""
    import difflib

    from conformance.requirements import REGISTRY

    r = REGISTRY.get(id)
    if r is None:
        near = difflib.get_close_matches(id, REGISTRY, 3, 0.3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `doubletext list` shows them all"
        _fail(f"no requirement {id!r}{hint}", USAGE)
        return
    programs = ", ".join(f"{e.family} (at least {e.least})" for e in r.exercised_by)
    click.echo(
        f"{r.id} ({r.level})\n\n{r.statement}\n\nsource:       {r.source}\nexercised by: {programs}\n"
        f"how it works: {(r.oracle.__doc__ or '').strip()}\nhow it breaks: {r.breaks}\nadvice:       {r.advice}"
    )


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=2024, show_default=True, type=int)
@click.option("--graph", "graphs", multiple=True, metavar="PATH:NAME", help="Also serve this graph, under its name.")
@click.option("--database", default=None, metavar="URL", help="In memory only, in this version.")
@click.option("--defect", default=None, metavar="NAME", help="A deliberately broken server: see list --defects.")
@click.option("--api-key", default=None, metavar="KEY", help="Refuse requests without it.")
def serve(
    host: str,
    port: int,
    graphs: tuple[str, ...],
    database: str | None,
    defect: str | None,
    api_key: str | None,
) -> None:
    """The reference server, with the probe graph."""
    import os

    if database is not None:
        _fail("--database: this version keeps everything in memory; leave the option out", USAGE)
    if defect is not None:
        _check_defect(defect)
    arguments = ["--host", host, "--port", str(port)]
    for graph in graphs:
        path, colon, name = graph.rpartition(":")
        if not colon or not path:
            _fail(f"--graph takes PATH:NAME, not {graph!r}", USAGE)
        arguments += ["--graph", f"{name}={path}:{name}" if "=" not in graph else graph]
    arguments += ["--defect", defect] if defect else []
    arguments += ["--api-key", api_key] if api_key else []
    try:
        argv = command(*arguments)
    except CannotServe as e:
        _fail(str(e), UNREACHABLE)
    os.execv(argv[0], argv)


def _check_defect(name: str) -> None:
    import difflib

    from reference_impl.defects import all_defects

    names = [d.name for d in all_defects()]
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, 0.3)
        _fail(
            f"no defect {name!r}; {'did you mean ' + ', '.join(near) + '?' if near else 'see list --defects'}",
            USAGE,
        )


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--language", type=click.Choice(["python"]), default="python", show_default=True)
def probe(folder: Path, language: str) -> None:
    """Write the probe graph into the LangGraph project in DIR, and register it."""
    from conformance.probe.install import CannotInstall, install

    del language
    try:
        for line in install(folder):
            click.echo(line)
    except CannotInstall as e:
        _fail(str(e), USAGE)


@main.command()
@click.option("--defect", "globs", multiple=True, metavar="GLOB", help="Only these defects.")
@click.option("--report", type=click.Choice(["json"]), default=None, help="The kill matrix as JSON.")
@click.option("--parallel", type=int, default=2, show_default=True, help="Defects at once.")
def selftest(globs: tuple[str, ...], report: str | None, parallel: int) -> None:
    """Test the tester: every deliberate defect must be found by the right requirements, and by no other."""
    from conformance.selftest import run_selftest

    try:
        sys.exit(run_selftest(globs, as_json=report == "json", parallel=parallel))
    except BadOption as e:
        _fail(str(e), USAGE)
    except CannotServe as e:
        _fail(str(e), UNREACHABLE)
    except KeyboardInterrupt:
        sys.exit(BROKEN_OFF)


if __name__ == "__main__":
    main()
