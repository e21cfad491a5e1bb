"""The HTTP resources, one file each. Each module has a ``router``; none decides about runs."""

from . import assistants, runs, state, stateless, store, system, threads

ROUTERS = (
    system.router,
    assistants.router,
    threads.router,
    state.router,
    runs.router,
    stateless.router,
    store.router,
)
