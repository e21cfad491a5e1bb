"""Behind the pytest fixtures: the target and the defaults that the options name."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from conformance.config import BadOption
from conformance.double_text import double_text, double_text_sync
from conformance.embedded import CannotServe, reference_server

DEFAULT_ASSISTANT = "doubletext"


class NoTarget(Exception):
    """The options do not say where to try, or that place cannot be had; the text says what to do."""


@dataclass(frozen=True)
class Tries:
    """``double_text`` with the arguments that the options give; those of a call win."""

    given: Mapping[str, Any] = field(repr=False)  # keys among them

    def double_text(self, first: Any, second: Any, strategy: Any, when: Any, **more: Any) -> Any:
        """See ``conformance.double_text.double_text``."""
        __tracebackhide__ = True
        return double_text(first, second, strategy, when, **{**self.given, **more})

    def double_text_sync(self, first: Any, second: Any, strategy: Any, when: Any, **more: Any) -> Any:
        """See ``conformance.double_text.double_text_sync``."""
        __tracebackhide__ = True
        return double_text_sync(first, second, strategy, when, **{**self.given, **more})


@contextmanager
def tries(graph: str | None, given: Mapping[str, Any]) -> Iterator[Tries]:
    """What the fixtures give, for the duration of the block.

    Raises:
        NoTarget: there is nothing to try on.
    """
    from conformance.cli_common import resolve

    values = dict(given)
    url = values.pop("url", None)
    if (url is None) == (graph is None):
        both = "--doubletext-url and --doubletext-graph were both given" if url else "the fixture has no target"
        raise NoTarget(
            f"{both}: give either --doubletext-url URL (an Agent Server that serves your graph; --doubletext-assistant "
            "names it), or --doubletext-graph FILE.py:NAME (a graph, served for these tests only); "
            "or doubletext_url, doubletext_graph in the ini file"
        )
    with ExitStack() as stack:
        try:
            options, url = resolve(url, values, "pytest options")
            assistant = options.assistant
            if graph is not None:
                assistant, target = _named(graph, options.assistant)
                url = stack.enter_context(reference_server("--graph", f"{assistant}={target}", path=sys.path))
            defaults = {
                "url": url,
                "assistant": assistant,
                "headers": options.headers(),
                "request_timeout": options.request_timeout,
                **({} if options.settle_timeout is None else {"settle_timeout": options.settle_timeout}),
            }
        except (BadOption, CannotServe) as e:
            raise NoTarget(str(e)) from None
        yield Tries(defaults)


def _named(graph: str, assistant: str) -> tuple[str, str]:
    """Id and place of a graph: the id that it is given, else the assistant that was asked for, else its name."""
    if match := re.fullmatch(r"([A-Za-z0-9_.-]+)=(.+)", graph):
        return match[1], match[2]
    name = graph.rpartition(":")[2]
    return (assistant if assistant != DEFAULT_ASSISTANT else name), graph
