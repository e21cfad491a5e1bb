"""The requirements, one file per strategy or theme, in the order of the specification."""

from importlib import import_module

from conformance.requirements.base import REGISTRY, Level, Requirement

ROOMS = ("reject", "enqueue", "interrupt", "rollback", "displaced", "threads", "runs", "checkpoints")
for room in ROOMS:
    import_module(f"{__name__}.{room}")  # registers what stands in it

__all__ = ["REGISTRY", "Level", "Requirement"]
