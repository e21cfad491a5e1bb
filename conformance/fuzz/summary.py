"""``fuzz.json``: a campaign as one JSON value, and ``fuzz.html``, the page of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conformance import __version__
from conformance.fuzz.campaign import Began, Ended, FuzzEvent
from conformance.fuzz.findings import write

FILE = "fuzz.json"


class Summary:
    """Writes ``fuzz.json`` at the end, and with ``page`` ``fuzz.html``."""

    def __init__(self, folder: Path, page: bool) -> None:
        self._folder = folder
        self._page = page
        self._began: Began | None = None

    def __call__(self, event: FuzzEvent) -> None:
        if isinstance(event, Began):
            self._began = event
        elif isinstance(event, Ended):
            value = self._value(event)
            write(self._folder / FILE, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
            if self._page:
                from conformance.fuzz.pages import FUZZ, of_campaign, remarks_of

                histories = {f"findings/{f.key.name}": f.history for f in event.findings}
                write(self._folder / FUZZ, of_campaign(value, histories, remarks_of(event), self._folder))

    def _value(self, ended: Ended) -> dict[str, Any]:
        stats = ended.stats
        began = self._began
        return {
            "schema": 1,
            "tool": {"name": "doubletext", "version": __version__},
            "seed": ended.seed,
            "duration_s": round(stats.seconds, 3),
            "target": {**began.target, "gate": began.transport} if began is not None else {},
            "programs": stats.programs,
            "runs": stats.runs,
            "requests": stats.calls,
            "overlap": stats.overlap,
            "could_not_run": stats.could_not_run,
            "undecided": dict(stats.undecided),
            "harness_errors": dict(stats.errors),
            "spread_ms": stats.spread_ms,
            "leaked": stats.leaked,
            "first_finding_s": stats.first_finding,
            "cells": sorted([*cell, n] for cell, n in stats.cells.items()),
            "findings": [{**f.to_json(), "folder": f"findings/{f.key.name}"} for f in ended.findings],
            "interrupted": ended.interrupted,
            "lost": ended.lost,
            "exit_code": ended.exit_code,
        }
