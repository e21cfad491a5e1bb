"""How a request that was sent as it stands can be sent again, by hand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from conformance.bad_input import STUFFING
from conformance.programs import Send

MOST_SHOWN = 1500  # bytes of a body in a curl command


def filled(text: str, fill: Mapping[str, str]) -> str:
    """The text with each name replaced by its value."""
    for name, value in fill.items():
        text = text.replace(name, value)
    return text


def curl_of(send: Send, url: str) -> str:
    """How to send it again, with its placeholders (THREAD_ID stands for any thread's); credentials are left out."""
    words = ["curl", "-X", send.method]
    body = send.body
    recipe, data = "", ""
    if body is not None:
        words += ["-H", f"content-type: {send.content_type}" if send.content_type else "content-type:"]
        if send.encoding != "utf-8" or "\0" in body:
            written = f"import sys; sys.stdout.buffer.write({body.encode(send.encoding)!r})"
            recipe, data = shlex.join(["python3", "-c", written]) + " | ", "@-"
        elif send.stuffing is not None:
            before, _, after = body.partition(STUFFING)
            opening, closing, times = send.stuffing
            stuffing = f"{opening!r} * {times}" + (f" + {closing!r} * {times}" if closing else "")
            written = f"print({before!r} + {stuffing} + {after!r})"
            recipe, data = shlex.join(["python3", "-c", written]) + " | ", "@-"
        else:
            data = body if len(body) <= MOST_SHOWN else f"{body[:MOST_SHOWN]}…"
        words += ["--data-binary", data]
    return recipe + shlex.join([*words, url.rstrip("/") + send.path])
