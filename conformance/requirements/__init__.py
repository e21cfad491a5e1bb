"""The requirements, one file per strategy or theme, in the order of the specification."""

from importlib import import_module

from conformance.requirements.base import REGISTRY, Level, Requirement

ROOMS = (
    "reject",
    "enqueue",
    "interrupt",
    "rollback",
    "displaced",
    "threads",
    "busy",
    "deletes",
    "runs",
    "checkpoints",
    "updates",
    "endpoints",
    "creating",
    "cancelling",
    "bad_input",
    "special",
    "webhooks",
    "errors",
    "whole",
    "by_reads",
    "threads_by_reads",
)
for room in ROOMS:
    import_module(f"{__name__}.{room}")  # registers what stands in it

__all__ = ["REGISTRY", "Level", "Requirement"]
