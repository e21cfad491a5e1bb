"""The command line. Exit codes: 0 passed, 1 violated, 2 usage, 3 incomplete, 4 unreachable or failed."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from conformance import __version__
from conformance.cli_common import UNREACHABLE, USAGE, common_options, fail, own_failure, resolve
from conformance.config import BadOption, Options, Plan, merged
from conformance.dialects import UnknownDialect, find_dialect
from conformance.embedded import CannotServe, command, reference_server
from conformance.fuzz.commands import fuzz, replay
from conformance.signals import BROKEN_OFF, terminated_like_ctrl_c

if TYPE_CHECKING:
    from conformance.probe.install import Language


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="doubletext")
def main() -> None:
    """Conformance of double texting: concurrent runs on one thread of an Agent Server."""


main.add_command(fuzz)
main.add_command(replay)


@main.command()
@click.argument("url", required=False)
@common_options
@click.option(
    "--input",
    metavar="FILE",
    help="A JSON file with the input of --assistant, which is no probe: only what statuses, codes and order show "
    "is judged.",
)
@click.option("--write-baseline", is_flag=True, help="Bring --baseline FILE up to date; the exit code stays.")
def check(url: str | None, write_baseline: bool, **given: Any) -> None:
    """Check URL; without one, the embedded reference server."""
    try:
        options, url = resolve(url, given)
        if write_baseline and options.baseline is None:
            raise BadOption("--write-baseline needs --baseline FILE: where to write")
        with terminated_like_ctrl_c():
            if url is not None:
                code = run_check(url, options, write_baseline=write_baseline)
            else:
                with reference_server() as own:
                    code = run_check(own, options, embedded=True, write_baseline=write_baseline)
        sys.exit(code)
    except (BadOption, UnknownDialect) as e:
        fail(str(e), USAGE)
    except CannotServe as e:
        fail(str(e), UNREACHABLE)
    except KeyboardInterrupt:
        fail("broken off", BROKEN_OFF)


def run_check(
    url: str, options: Options, cracks: int = 30, embedded: bool = False, write_baseline: bool = False
) -> int:
    """One check with its reports; returns the exit code.

    Raises:
        BadOption, UnknownDialect: an option cannot be used.
    """
    from conformance.baseline import of_options
    from conformance.driver import Check
    from conformance.events import Listener
    from conformance.execution.loop import run
    from conformance.execution.preflight import TargetUnusable
    from conformance.report.finding import in_folder
    from conformance.report.terminal import TerminalReport
    from conformance.report.writers import FILES, surroundings, writers

    folder = Path(options.report_dir)
    histories = prepare(folder)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
    plan = Plan(
        url,
        options,
        find_dialect(options.dialect),
        seed,
        cracks,
        histories=histories,
        baseline=of_options(options, missing_ok=write_baseline),
        embedded=embedded,
    )
    console = Console(no_color=options.no_color or None, highlight=False, soft_wrap=False)
    terminal = TerminalReport(console, options.quiet, options.verbose, in_folder(folder), folder)
    listeners: list[Listener] = [terminal, *writers(options.report, folder, options.strict), *surroundings()]
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
        click.echo(f"reports: {', '.join(sorted(f'{folder}/{FILES[name]}' for name in options.report))}")
    if write_baseline and plan.baseline is not None:
        click.echo(plan.baseline.renew(Path(str(options.baseline)), outcome))
    return outcome.exit_code


def prepare(folder: Path) -> Path:
    """Make the report folder and empty its histories; raises BadOption where it cannot be written."""
    histories = folder / "histories"
    try:
        histories.mkdir(parents=True, exist_ok=True)
        for old in (*histories.glob("*.jsonl"), histories / "check.json"):
            old.unlink(missing_ok=True)
    except OSError as e:
        raise BadOption(f"--report-dir {folder}: {e.strerror or e}") from e
    return histories


@main.command("judge")
@click.argument("paths", metavar="HISTORY...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--only", multiple=True, metavar="GLOB", help="Only requirements whose id matches.")
@click.option("--skip", multiple=True, metavar="GLOB", help="Not those whose id matches.")
@click.option("--strict", is_flag=True, default=None, help="A violated SHOULD fails too.")
@click.option("--baseline", metavar="FILE", help="Known failures (default: those that the check was given).")
@click.option("--report", metavar="LIST", help="json,junit,html,markdown,sarif (default: json).")
@click.option("--report-dir", metavar="DIR", help="Where reports go (default: none are written).")
@click.option("--verbose", is_flag=True, default=None, help="Every proof, and its timeline, in full.")
@click.option("--quiet", is_flag=True, default=None, help="Failures and the last line only.")
@click.option("--no-color", is_flag=True, default=None, help="No colour; NO_COLOR is respected too.")
def judge_(paths: tuple[Path, ...], **given: Any) -> None:
    """Judge saved histories (files, or a folder of them) offline: the same verdicts as live."""
    from conformance.history import BadHistory
    from conformance.judging import run_judge

    try:
        said = {k: v for k, v in given.items() if v is not None and v != ()}
        sys.exit(run_judge(paths, merged(Options(), said, "command line").checked(), given["report_dir"]))
    except (BadOption, BadHistory) as e:
        fail(str(e), USAGE)
    except KeyboardInterrupt:
        fail("broken off", BROKEN_OFF)


@main.command("timeline")
@click.argument("paths", metavar="HISTORY...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--width", type=click.IntRange(40, 1000), default=None, help="Columns (default: the terminal's).")
def timeline_(paths: tuple[Path, ...], width: int | None) -> None:
    """Draw saved histories as text: one line a client, time to the right, #n the records that proofs cite."""
    import shutil

    from conformance.history import BadHistory, History
    from conformance.report.drawn import drawn

    try:
        for path in paths:
            click.echo(drawn(History.load(path), width or shutil.get_terminal_size().columns))
    except BadHistory as e:
        fail(str(e), USAGE)


@main.command("report")
@click.argument("results", metavar="RESULT.json...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where the pages go.")
def report_(results: tuple[Path, ...], out: Path) -> None:
    """The matrix of several results as static, offline pages: what they disagree on first."""
    from conformance.report.matrix import PAGE, BadResult, load, write

    try:
        write(load(results), out)
    except (BadResult, OSError) as e:
        fail(str(e), USAGE)
    click.echo(f"{out / PAGE}")


@main.command()
@click.argument("url")
@common_options
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(url: str, as_json: bool, **given: Any) -> None:
    """Can URL be checked: server, probe, gates, latency, features, dialect; and what to do about each no."""
    try:
        options, _ = resolve(url, given)
        sys.exit(run_doctor(url, options, as_json))
    except (BadOption, UnknownDialect) as e:
        fail(str(e), USAGE)
    except KeyboardInterrupt:
        fail("broken off", BROKEN_OFF)


def run_doctor(url: str, options: Options, as_json: bool) -> int:
    """Examine the target and show what was found; returns the exit code: usable, or not."""
    from conformance.doctor import examine
    from conformance.driver import address_of
    from conformance.execution.loop import run
    from conformance.report.diagnosis import lines

    address = address_of(url, options)
    try:
        diagnosis = run(lambda: examine(address, options.settle_timeout))
    except Exception as e:
        fail(address.redactor().text(own_failure(e)), UNREACHABLE)
        return UNREACHABLE
    if as_json:
        click.echo(json.dumps(diagnosis.to_json(), indent=1, ensure_ascii=False))
    else:
        console = Console(no_color=options.no_color or None, highlight=False, soft_wrap=True)
        for line in lines(diagnosis):
            console.print(line)
    return 0 if diagnosis.usable else UNREACHABLE


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--defects", is_flag=True, help="The deliberate defects instead.")
@click.option("--anomalies", is_flag=True, help="The named anomalies instead.")
def list_(as_json: bool, defects: bool, anomalies: bool) -> None:
    """The requirements, the deliberate defects, or the named anomalies."""
    from conformance.requirements import REGISTRY

    if anomalies:
        from conformance.anomalies import ANOMALIES

        if as_json:
            click.echo(json.dumps([a.to_json() for a in ANOMALIES], indent=1, ensure_ascii=False))
        else:
            for a in ANOMALIES:
                click.echo(f"{a.name:21} {a.definition} ({', '.join(a.requirements)})")
        return
    if defects:
        from reference_impl.defects import all_defects, all_variants

        rows = [
            {
                "name": d.name,
                "description": d.description,
                "must_fail": list(d.must_fail),
                "may_fail": list(d.may_fail),
            }
            for d in (*all_defects(), *all_variants())
        ]
        if as_json:
            click.echo(json.dumps(rows, indent=1))
        else:
            for row in rows:
                fails = (
                    f"must fail {', '.join(row['must_fail'])}" if row["must_fail"] else "a variant: nothing may fail"
                )
                click.echo(f"{row['name']}: {row['description']} ({fails})")
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
    """One requirement (sentence, source, how it is exercised, how servers break it), or a named anomaly."""
    import difflib

    from conformance.anomalies import ANOMALIES, find_anomaly, of_requirement
    from conformance.requirements import REGISTRY

    if (anomaly := find_anomaly(id)) is not None:
        click.echo(anomaly.explained())
        return
    r = REGISTRY.get(id)
    if r is None:
        near = difflib.get_close_matches(id, [*REGISTRY, *(a.name for a in ANOMALIES)], 3, 0.3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `doubletext list` shows them all"
        fail(f"no requirement or anomaly {id!r}{hint}", USAGE)
        return
    programs = ", ".join(f"{e.family} (at least {e.least})" for e in r.exercised_by)
    if r.by_reads is None:
        other = "nothing can be said"
    else:
        other = ", ".join(f"{e.family} (at least {e.least})" for e in r.by_reads.exercised_by) or "seen to fail only"
    click.echo(
        f"{r.id} ({r.level})\n\n{r.statement}\n\nsource:       {r.source}\nexercised by: {programs}\n"
        f"no probe:     {other}\n"
        f"how it works: {(r.oracle.__doc__ or '').strip()}\nhow it breaks: {r.breaks}\nadvice:       {r.advice}"
    )
    if caught := of_requirement(r.id):
        click.echo(f"anomalies:    {', '.join(a.name for a in caught)}")


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
        fail("--database: this version keeps everything in memory; leave the option out", USAGE)
    if defect is not None:
        _check_defect(defect)
    arguments = ["--host", host, "--port", str(port)]
    for graph in graphs:
        path, colon, name = graph.rpartition(":")
        if not colon or not path:
            fail(f"--graph takes PATH:NAME, not {graph!r}", USAGE)
        arguments += ["--graph", f"{name}={path}:{name}" if "=" not in graph else graph]
    arguments += ["--defect", defect] if defect else []
    arguments += ["--api-key", api_key] if api_key else []
    try:
        argv = command(*arguments)
    except CannotServe as e:
        fail(str(e), UNREACHABLE)
    os.execv(argv[0], argv)


def _check_defect(name: str) -> None:
    import difflib

    from reference_impl.defects import all_defects, all_variants

    names = [d.name for d in (*all_defects(), *all_variants())]
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, 0.3)
        fail(
            f"no defect {name!r}; {'did you mean ' + ', '.join(near) + '?' if near else 'see list --defects'}",
            USAGE,
        )


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--language", type=click.Choice(["python", "js"]), default="python", show_default=True)
def probe(folder: Path, language: Language) -> None:
    """Write the probe graph into the LangGraph project in DIR, and register it."""
    from conformance.probe.install import CannotInstall, install

    try:
        for line in install(folder, language):
            click.echo(line)
    except CannotInstall as e:
        fail(str(e), USAGE)


@main.command()
@click.option("--defect", "globs", multiple=True, metavar="GLOB", help="Only these defects.")
@click.option("--report", type=click.Choice(["json"]), default=None, help="The kill matrix as JSON.")
@click.option("--parallel", type=int, default=2, show_default=True, help="Defects at once.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Share of the programs that do not exercise what the defect must break: less is quicker.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Which share, in which order.")
def selftest(globs: tuple[str, ...], report: str | None, parallel: int, share: float, seed: int) -> None:
    """Test the tester: every deliberate defect must be found by the right requirements, and by no other.

    Variants, which decide otherwise where that is open, must not be failed at all.
    """
    from conformance.selftest import run_selftest

    try:
        with terminated_like_ctrl_c():
            code = run_selftest(globs, as_json=report == "json", parallel=parallel, seed=seed, share=share)
        sys.exit(code)
    except BadOption as e:
        fail(str(e), USAGE)
    except CannotServe as e:
        fail(str(e), UNREACHABLE)
    except KeyboardInterrupt:
        sys.exit(BROKEN_OFF)


if __name__ == "__main__":
    main()
