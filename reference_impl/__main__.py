"""``python -m reference_impl``: serve graphs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from . import defects
from .app import DEFAULT_WORKERS, create_app
from .multitask import Multitask
from .serve import BadGraph, Server, load_graph


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m reference_impl", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2024, help="0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--graph",
        action="append",
        required=True,
        metavar="ID=TARGET",
        help="serve a graph: ID=FILE.py:NAME or ID=MODULE:NAME (repeatable)",
    )
    parser.add_argument("--defect", metavar="NAME", help="be deliberately broken: see reference_impl/defects")
    parser.add_argument("--workers", type=int, default=DEFAULT_WORKERS, help="runs executed at once")
    parser.add_argument("--jitter-ms", type=float, default=0.0, metavar="MAX", help="random delay of responses")
    parser.add_argument("--seed", type=int, help="makes delays, and defects that throw dice, repeatable")
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when standard input closes: when whoever started this is gone"
    )
    parser.add_argument("--api-key", metavar="KEY", help="refuse requests without this x-api-key")
    return parser


def _stop_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Serve until told to stop. Exit code 2 if the arguments make no sense, 1 if the port is taken."""
    parser = _parser()
    args = parser.parse_args()
    multitask = Multitask()
    if args.defect is not None:
        try:
            multitask = defects.find(args.defect).multitask(args.seed)
        except KeyError:
            names = [d.name for d in (*defects.all_defects(), *defects.all_variants())]
            parser.error(f"no defect {args.defect!r}; there are: {', '.join(names)}")
    graphs = {}
    for item in args.graph:
        name, equals, target = item.partition("=")
        if not equals:
            parser.error(f"--graph {item}: expected ID=TARGET")
        try:
            graphs[name] = load_graph(target)
        except BadGraph as error:
            parser.error(f"--graph {error}")
    app = create_app(
        graphs,
        multitask=multitask,
        defect=args.defect,
        workers=args.workers,
        api_key=args.api_key,
        jitter=args.jitter_ms / 1000,
        seed=args.seed,
    )
    server = Server(app, args.host, args.port)
    if args.with_parent:
        threading.Thread(target=_stop_with_parent, daemon=True).start()
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
