"""The HTTP resources, one file each. Each module has a ``router``; none decides about runs."""

from . import assistants, runs, state, stateless, store, system, threads

ROUTERS = (  # routes are tried in this order, so what clients ask for most comes first; no two claim the same path
    runs.router,
    threads.router,
    state.router,
    store.router,
    stateless.router,
    assistants.router,
    system.router,
)
