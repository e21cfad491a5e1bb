"""Reference servers, forked from a process that has imported all they need, which takes a second of work."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from conformance.embedded import READY, START_S, STOP_S, command

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["reference_impl.__main__", "conformance.probe.graph"])


def _serve(arguments: list[str], said: Connection) -> None:
    from reference_impl.__main__ import main

    sys.stdout = os.fdopen(os.dup(said.fileno()), "w")
    sys.argv = arguments
    sys.exit(main())


@contextmanager
def forked_server(*arguments: str) -> Iterator[str]:
    """What ``reference_server`` does, with the arguments that make no difference to imports."""
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_serve, args=(command("--port", "0", *arguments)[2:], there), daemon=True)
    process.start()
    there.close()
    try:
        assert here.poll(START_S)
        with os.fdopen(os.dup(here.fileno())) as said:
            line = said.readline()
        assert READY in line, line
        yield line.partition(READY)[2].strip()
    finally:
        here.close()
        process.terminate()
        process.join(STOP_S)
        process.kill()
        process.join()
        process.close()
