"""The in-process mode: an ASGI server driven without a network, under a seeded scheduler with virtual time.

``loop`` is the event loop, ``network`` and ``asgi`` stand for sockets, ``threads`` makes code in worker threads
deterministic, ``sources`` replaces clocks and randomness. ``world`` executes one program on all of this; ``forking``
does so in a fresh fork of a process that has imported the server, once for every execution, so that each finds the
server as it was imported. ``lab`` is what campaigns, shrinking and replay see of it.

Execution and server share one event loop. It runs what is ready in the order that asyncio promises; what differs
between two schedules is what differs in reality: when a message arrives, and how long a turn of the loop takes. So no
schedule shows what could not happen, and the same seed gives the same history, byte for byte.
"""
