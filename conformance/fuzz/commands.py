"""``doubletext fuzz`` and ``doubletext replay``."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from conformance.cli_common import UNREACHABLE, USAGE, common_options, fail, own_failure, resolve
from conformance.config import BadOption, Options, check_url
from conformance.dialects import UnknownDialect, find_dialect
from conformance.embedded import CannotServe, reference_server
from conformance.signals import BROKEN_OFF, terminated_like_ctrl_c

if TYPE_CHECKING:
    from conformance.dialects import Dialect
    from conformance.fuzz.campaign import FuzzPlan
    from conformance.fuzz.corpus import Corpus
    from conformance.fuzz.findings import Saved
    from conformance.fuzz.lab import Lab
    from conformance.fuzz.replay import Verdict

USUAL_TIME_S = 600.0
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
MEANINGLESS = ("baseline", "repeat")  # common options that say nothing to a campaign
REPORTS = ("json", "html")  # of findings


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Seconds, or a number with s, m or h behind it."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", value.strip())
    if found is None or float(found[1]) <= 0:
        raise click.BadParameter(f"{value!r} is no duration: 90, 90s, 10m, 1h")
    return float(found[1]) * UNITS[found[2]]


@click.command()
@click.argument("url", required=False)
@common_options
@click.option(
    "--max-time",
    callback=duration,
    metavar="10m",
    help="How long, shrinking included; what is under way then has 20 s more (default: 10m, or --max-examples).",
)
@click.option("--max-examples", type=click.IntRange(1), metavar="N", help="How many programs to try.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="R", help="Requests a second, on the average.")
@click.option("--max-inflight", type=click.IntRange(1), metavar="N", help="Programs at once, at most.")
@click.option(
    "--shrink-time",
    callback=duration,
    metavar="2m",
    help="Of it, to make findings smaller (default: 1m each, 2m at least; 30 % at most).",
)
@click.option(
    "--app", metavar="MODULE:APP", help="Instead of a URL: an ASGI application, driven in-process by a seeded schedule."
)
@click.option(
    "--target-pid",
    type=click.IntRange(1),
    metavar="PID",
    help="The local server's process: stopped (SIGSTOP) while simultaneous calls are sent, and continued.",
)
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Search with so many processes.")
@click.option("--cluster", metavar="ADDRESS", help="Search with the workers of a Dask cluster.")
@click.option("--database", metavar="DIR-or-redis-URL", help="Where programs survive that are tried first next time.")
@click.option("--i-may-load-this-server", is_flag=True, help="Needed where the target is not this machine.")
def fuzz(url: str | None, i_may_load_this_server: bool, **given: Any) -> None:
    """Search for what breaks URL (without one, the embedded reference server). Exit 0: no finding, 1: findings."""
    from conformance.fuzz.campaign import FuzzPlan
    from conformance.fuzz.corpus import Corpus, open_database

    own = {name: given.pop(name) for name in ("max_time", "max_examples", "rate", "max_inflight", "shrink_time")}
    workers, address, database = (given.pop(name) for name in ("workers", "cluster", "database"))
    app, pid = given.pop("app"), given.pop("target_pid")
    try:
        options, url = resolve(url, _sensible(given))
        page = "html" in reports(options, given, REPORTS)
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
        if own["max_time"] is None and own["max_examples"] is None:
            own["max_time"] = USUAL_TIME_S
        folder = _folder(Path(options.report_dir) / "findings")
        plan = FuzzPlan(url or "", options, find_dialect(options.dialect), seed, folder=folder, **own)
        if url is not None and not plan.address().loopback and not i_may_load_this_server:
            raise BadOption(
                f"{plan.address().shown} is not this machine, and a campaign is load: hundreds of requests a second. "
                "If you may do that to it, say --i-may-load-this-server (--rate and --max-inflight bound it)."
            )
        plan = replace(plan, **_driven(url, plan, app, pid, address))
        if workers is not None and address is not None:
            raise BadOption("--workers starts processes here, --cluster uses those that are there: one of the two")
        corpus = Corpus.of(open_database(database))
        by = {"workers": workers, "cluster": address} if workers or address else None
        with terminated_like_ctrl_c():
            if url is not None or app is not None:
                code = run_campaign(plan, corpus, by, page)
            else:
                with reference_server() as embedded:
                    code = run_campaign(replace(plan, url=embedded, embedded=True), corpus, by, page)
        sys.exit(code)
    except (BadOption, UnknownDialect) as e:
        fail(str(e), USAGE)
    except CannotServe as e:
        fail(str(e), UNREACHABLE)
    except KeyboardInterrupt:
        fail("broken off", BROKEN_OFF)


def _driven(url: str | None, plan: FuzzPlan, app: str | None, pid: int | None, cluster: str | None) -> dict[str, Any]:
    """What the plan says of --app and --target-pid; raises BadOption where they make no sense."""
    from conformance.execution.stopping import CannotStop, check_pid

    if app is not None:
        if url is not None or pid is not None:
            raise BadOption("--app is driven without a network: it goes with neither a URL nor --target-pid")
        if plan.rate is not None:
            raise BadOption("--rate spares a server; --app has one of its own, and its time is virtual")
        check_app(app)
    if pid is not None:
        if url is None or not plan.address().loopback or cluster is not None:
            raise BadOption("--target-pid needs the URL of a server on this machine's loopback, and no --cluster")
        try:
            check_pid(pid)
        except CannotStop as e:
            raise BadOption(f"--target-pid: {e}") from e
    return {"app": app, "pid": pid}


def check_app(app: str) -> None:
    """Raises BadOption where no application can be driven in-process."""
    if not re.fullmatch(r"[\w.]+:[\w.-]+", app):
        raise BadOption(f"--app {app}: expected MODULE:ATTRIBUTE, as in my_server.main:app")
    if not hasattr(os, "fork"):
        raise BadOption("--app needs a system that can fork: Linux or macOS")
    if importlib.util.find_spec("time_machine") is None:
        raise BadOption("--app needs time-machine: pip install 'doubletext[inprocess]'")


def _sensible(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options, if they say something here; raises BadOption otherwise."""
    for name in MEANINGLESS:
        if given.get(name):
            raise BadOption(f"--{name} belongs to doubletext check: a campaign writes fuzz.json and a folder a finding")
    return given


def reports(options: Options, given: Mapping[str, Any], usual: tuple[str, ...]) -> tuple[str, ...]:
    """The reports that this command line asks for; what ``pyproject.toml`` sets is for checks.

    Raises:
        BadOption: there are no such reports of findings.
    """
    if given.get("report") is None:
        return usual
    if odd := [name for name in options.report if name not in REPORTS]:
        raise BadOption(f"--report {odd[0]} belongs to doubletext check; of findings there are {', '.join(REPORTS)}")
    return options.report


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise BadOption(f"--report-dir {folder}: {e.strerror or e}") from e
    return folder


def run_campaign(plan: FuzzPlan, corpus: Corpus, by: Mapping[str, Any] | None = None, page: bool = True) -> int:
    """One campaign with its display, ``by`` several workers or here; returns the exit code. ``page``: fuzz.html, too.

    Raises:
        BadOption: an option cannot be used.
    """
    from conformance.execution.loop import run
    from conformance.execution.preflight import TargetUnusable
    from conformance.fuzz.campaign import Campaign
    from conformance.fuzz.live import FuzzDisplay
    from conformance.fuzz.summary import Summary

    options: Options = plan.options
    display = FuzzDisplay(Console(no_color=options.no_color or None, highlight=False), options.quiet)
    listeners = (display, Summary(Path(options.report_dir), page))
    if by is None:
        campaign = Campaign(plan, *listeners, corpus=corpus)
    else:
        from conformance.fuzz.distribution import DistributedCampaign

        campaign = DistributedCampaign(plan, *listeners, corpus=corpus, **by)
    try:
        run(campaign.run)
        code = campaign.outcome().exit_code
        if not options.quiet:
            files = ("fuzz.html", "fuzz.json") if page else ("fuzz.json",)
            click.echo(f"reports: {', '.join(f'{options.report_dir}/{name}' for name in files)}")
        return code
    except BadOption:
        raise
    except TargetUnusable as e:
        display.stop()
        click.echo(f"doubletext: {e}", err=True)
        return UNREACHABLE
    except KeyboardInterrupt:
        display.stop()
        campaign.outcome(exit_code=BROKEN_OFF)
        return BROKEN_OFF
    except Exception as e:
        display.stop()
        click.echo(f"doubletext: {plan.address().redactor().text(own_failure(e))}", err=True)
        campaign.outcome(exit_code=UNREACHABLE)
        return UNREACHABLE
    finally:
        display.stop()


@click.command()
@click.argument("finding", type=click.Path(path_type=Path))
@click.argument("url", required=False)
@common_options
@click.option("--app", metavar="MODULE:APP", help="Run it on this ASGI application, in-process, by its own schedule.")
@click.option("--times", type=click.IntRange(1), metavar="N", help="How often (default: by how often it failed).")
@click.option("--json", "json_wanted", is_flag=True, help="The verdict as JSON.")
def replay(finding: Path, url: str | None, app: str | None, times: int | None, json_wanted: bool, **given: Any) -> None:
    """Run the saved FINDING (a folder) again at URL: still failing (exit 1), fixed (0), or could not run (3).

    Without URL: where it was found; one that the embedded reference server had is run on that, one that an application
    had is run in-process, by the same schedule.
    """
    from conformance.fuzz.findings import BadFinding, load
    from conformance.fuzz.replay import dialect_of

    try:
        if given["repeat"] is not None:
            raise BadOption("--repeat belongs to doubletext check; here it is --times N")
        saved = load(finding)
        options, url = resolve(url, given)
        wanted = reports(options, given, ())
        if wanted:
            _folder(Path(options.report_dir))
        dialect = find_dialect(options.dialect) if given["dialect"] else dialect_of(saved)
        target = url or (None if saved.about.get("embedded") else str(saved.about["target"].get("url")))
        if url is not None and app is not None:
            raise BadOption("a URL, or --app: one of the two")
        app = app or (None if url is not None else saved.about["target"].get("app"))
        with terminated_like_ctrl_c():
            if app is not None:
                check_app(app)
                code = run_replay(saved, app, options, dialect, times, json_wanted, wanted, in_app=True)
            elif target is not None:
                check_url(target)
                code = run_replay(saved, target, options, dialect, times, json_wanted, wanted)
            else:
                with reference_server() as embedded:
                    code = run_replay(saved, embedded, options, dialect, times, json_wanted, wanted)
        sys.exit(code)
    except (BadOption, UnknownDialect, BadFinding) as e:
        fail(str(e), USAGE)
    except CannotServe as e:
        fail(str(e), UNREACHABLE)
    except KeyboardInterrupt:
        fail("broken off", BROKEN_OFF)


def run_replay(
    saved: Saved,
    target: str,
    options: Options,
    dialect: Dialect,
    times: int | None,
    json_wanted: bool,
    wanted: tuple[str, ...] = (),
    in_app: bool = False,
) -> int:
    """Run it again at a URL, or ``in_app``, and show what became of it; returns the exit code. ``wanted``: reports that
    are written.

    Raises:
        BadFinding: this version has no such requirement.
    """
    from conformance.driver import address_of
    from conformance.execution.loop import run
    from conformance.execution.preflight import TargetUnusable
    from conformance.fuzz.findings import BadFinding
    from conformance.fuzz.inprocess.lab import in_process
    from conformance.fuzz.lab import laboratory
    from conformance.fuzz.replay import as_json, run_again, schedule_of

    address = address_of("http://localhost" if in_app else target, options)
    where = target if in_app else address.shown
    quiet = options.quiet or json_wanted

    def tell(line: str) -> None:
        if not quiet:
            click.echo(line)

    async def again() -> Verdict:
        at: AbstractAsyncContextManager[Lab]
        if in_app:
            at = in_process(target, options, dialect, first=schedule_of(saved))
        else:
            at = laboratory(address, options, dialect)
        return await run_again(saved, where, at, times, tell)

    try:
        found = run(again)
    except (BadOption, BadFinding):
        raise
    except TargetUnusable as e:
        click.echo(f"doubletext: {e}", err=True)
        return UNREACHABLE
    except Exception as e:
        click.echo(f"doubletext: {address.redactor().text(own_failure(e))}", err=True)
        return UNREACHABLE
    value = as_json(saved, where, found)
    if wanted:
        _write(Path(options.report_dir), wanted, value, saved, found)
    if json_wanted:
        click.echo(json.dumps(value, indent=1, ensure_ascii=False))
        return found.exit_code
    if not quiet:
        _say(saved, found)
    click.echo(f"{saved.key.requirement}: {found.text()}")
    if wanted and not quiet:
        click.echo(f"reports: {', '.join(f'{options.report_dir}/replay.{name}' for name in sorted(wanted))}")
    return found.exit_code


def _say(saved: Saved, found: Verdict) -> None:
    """The history that shows it again, its proof, and what else failed."""
    from conformance.fuzz.shrinking import shown
    from conformance.notation import timeline

    if found.shows is not None:
        violation = shown(found.shows, saved.key)
        assert violation is not None
        click.echo(f"\n{timeline(found.shows.history)}")
        click.echo(f"expected: {violation.expected}\nobserved: {violation.observed}\nbecause:")
        for i, fact in enumerate(violation.proof, 1):
            click.echo(f"  {i}. {fact}")
    if found.other:
        click.echo(f"other requirements failed beside it: {', '.join(found.other)}")


def _write(folder: Path, wanted: tuple[str, ...], value: Mapping[str, Any], saved: Saved, found: Verdict) -> None:
    from conformance.fuzz.findings import write
    from conformance.fuzz.pages import REPLAY, of_replay

    if "json" in wanted:
        write(folder / "replay.json", json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    if "html" in wanted:
        write(folder / REPLAY, of_replay(value, saved, found))
